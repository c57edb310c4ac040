"""A run whose store was filled before it began: judged whole, counted apart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from harness.check.command import judge_run
from harness.preload.filling import History, fill
from harness.store.opening import open_store
from reports.recording import Verdict
from tests.support.recorded_run import SCENARIO, RecordedFolder

PRELOADED = 30


def recorded(folder: Path) -> RecordedFolder:
    behaviour = {**SCENARIO["behaviour"], "preloaded": PRELOADED}
    run = RecordedFolder(folder, {"behaviour": behaviour})
    history = History.of(
        run.prepared.schedule.plan, run.prepared.truth, range(run.prepared.grid.meters)
    )
    names = run.prepared.truth.profile.names
    with closing(open_store(run.store, names, create=False)) as store:
        fill(store, history, 1)
    return run


def verdict(run: RecordedFolder) -> Verdict:
    return judge_run(run.path).verdict


def test_history_changes_nothing_but_its_own_count(tmp_path: Path) -> None:
    run = recorded(tmp_path)
    meters = run.prepared.grid.meters
    found, plain = verdict(run), verdict(RecordedFolder(tmp_path))
    assert found.verdict == plain.verdict == "passed"
    assert found.readings.preloaded == PRELOADED * meters
    assert (found.readings.owed, found.readings.stored) == (4 * meters, 4 * meters)
    assert found.grid == plain.grid
    assert found.throughput == plain.throughput


@pytest.mark.parametrize(
    ("statement", "example"),
    [
        ("UPDATE readings SET import_wh = import_wh + 1", "import_wh"),
        ("UPDATE readings SET status = 2", "status"),
        ("DELETE FROM readings", "lost"),
    ],
)
def test_history_that_is_not_right_fails_the_run(
    statement: str, example: str, tmp_path: Path
) -> None:
    run = recorded(tmp_path)
    captured_s = run.prepared.fleet.first_s - 900 * PRELOADED
    run.tamper(f"{statement} WHERE meter = 7 AND captured_at = {captured_s}")
    found = verdict(run)
    assert found.verdict == "failed"
    assert found.readings.preloaded_wrong == 1
    assert found.reasons[0] == (
        "1 readings of before the run that the store lacks or has otherwise"
    )
    (note,) = [note for note in found.distrust if f"captured at {captured_s}" in note]
    assert "meter 7" in note
    assert example in note
