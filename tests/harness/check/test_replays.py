"""What the replay probe found decides the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.command import judge_run
from tests.support.recorded_run import RecordedFolder


@pytest.mark.parametrize(
    ("told", "verdict", "measured"),
    [
        ('{"tried": 2, "accepted": 0}', "passed", 0),
        ('{"tried": 2, "accepted": 1}', "failed", 1),
        ('{"tried": 0, "accepted": 0}', "inconclusive", None),
    ],
)
def test_a_replay_that_is_accepted_fails_the_run(
    told: str, verdict: str, measured: int | None, tmp_path: Path
) -> None:
    run = RecordedFolder(tmp_path)
    (run.path / "replays.json").write_text(told)
    found = judge_run(run.path).verdict
    assert found.verdict == verdict, found.reasons
    (check,) = (check for check in found.checks if check.name == "replays.accepted")
    assert check.measured == measured


def test_a_probe_that_was_wanted_and_left_nothing_makes_a_run_inconclusive(tmp_path: Path) -> None:
    found = judge_run(RecordedFolder(tmp_path, {"probes": {"replay": 2}}).path).verdict
    assert found.verdict == "inconclusive"
    assert found.reasons == ("replays.accepted was not measured",)


def test_a_run_that_was_not_probed_has_no_such_check(tmp_path: Path) -> None:
    found = judge_run(RecordedFolder(tmp_path).path).verdict
    assert found.verdict == "passed"
    assert "replays.accepted" not in {check.name for check in found.checks}
