"""Readings that the store was given before the run, and has not as they were given."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from harness.check.command import check_run
from harness.errors import ExitCode
from harness.explain.command import explain_run
from harness.preload.filling import History, fill
from harness.store.opening import open_store
from tests.support.recorded_run import SCENARIO, RecordedFolder

PRELOADED: Final = 5


@pytest.fixture
def filled(tmp_path: Path) -> RecordedFolder:
    """A run whose store was filled before it began."""
    behaviour = {**SCENARIO["behaviour"], "preloaded": PRELOADED}
    run = RecordedFolder(tmp_path, {"behaviour": behaviour})
    prepared = run.prepared
    history = History.of(prepared.schedule.plan, prepared.truth, range(prepared.grid.meters))
    with closing(open_store(run.store, prepared.truth.profile.names, create=False)) as store:
        fill(store, history, 1)
    return run


def explained(run: RecordedFolder, check: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(explain_run(run.path, check, as_json=True))
    return found


def test_history_that_is_right_concerns_nobody(filled: RecordedFolder) -> None:
    assert check_run(filled.path) is ExitCode.PASSED
    told = explained(filled, "readings.preloaded")
    assert told["found"] == ["no reading is concerned"]
    assert told["measured"] == str(PRELOADED * filled.prepared.grid.meters)


def test_history_that_is_not_right_is_told_reading_by_reading(filled: RecordedFolder) -> None:
    step_s, first_s = 900, filled.prepared.fleet.first_s
    early_s, late_s = first_s - 4 * step_s, first_s - 2 * step_s
    filled.tamper(
        f"UPDATE readings SET import_wh = import_wh + 3 WHERE meter = 7 AND captured_at = {late_s}",
        f"DELETE FROM readings WHERE meter = 2 AND captured_at = {early_s}",
    )
    assert check_run(filled.path) is ExitCode.FAILED
    listed = json.loads(explain_run(filled.path, None, as_json=True))
    assert "readings.preloaded_wrong" in [one["check"] for one in listed["troubled"]]
    told = explained(filled, "readings.preloaded_wrong")
    assert told["found"][0].startswith("2 readings of 2 meters behind ")
    assert not any("handed to a link" in sentence for sentence in told["found"])
    assert "no link and no concentrator had them" in told["hint"]
    gone, changed = told["subjects"]
    assert gone["title"].startswith("MST0000000000003 behind MSC")
    assert gone["title"].endswith("(4 intervals before the run)")
    assert gone["facts"][1].startswith("the store has no row of it")
    assert changed["title"].endswith("(2 intervals before the run)")
    what, registered, _, stored = changed["facts"][1].replace(",", "").rsplit(" ", 3)
    assert what == "import_wh: registered"
    assert int(stored) == int(registered) + 3
