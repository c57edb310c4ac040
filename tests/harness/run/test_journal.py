from __future__ import annotations

import time
from pathlib import Path

import pytest

from emulator.clock import ScenarioClock
from harness.run.journal import Journal
from reports.recording import (
    FaultBegan,
    FaultEnded,
    PhaseEnded,
    PhaseStarted,
    RunRecord,
    RunRecorder,
    Warned,
)


def test_before_the_clock_starts_everything_is_at_the_first_step(tmp_path: Path) -> None:
    clock = ScenarioClock()
    with RunRecorder(tmp_path) as recorder:
        journal = Journal(recorder, 900, clock, 100.0, lambda: None)
        assert journal.at(107.5).scenario_s == 0.0
        clock.start(110.0, 900.0, 60.0)
        assert (journal.at(112.0).scenario_s, journal.at(112.0).wall_s) == (120.0, 12.0)
        assert journal.at(109.0).scenario_s == -60.0
        before = time.monotonic()
        assert journal.now().wall_s >= before - 100.0


def test_phases_and_faults_end_even_when_something_goes_wrong(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        journal = Journal(recorder, 0, ScenarioClock(), 0.0, lambda: None)
        with (
            pytest.raises(OSError, match="broken"),
            journal.phase("drain"),
            journal.fault("kill 0", "killed"),
        ):
            raise OSError("broken")
    kinds = [type(event) for event in RunRecord.load(tmp_path).events]
    assert kinds == [PhaseStarted, FaultBegan, FaultEnded, PhaseEnded]


def test_a_doubt_is_kept_and_told_at_once(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    with RunRecorder(tmp_path) as recorder:
        journal = Journal(
            recorder, 0, ScenarioClock(), 0.0, lambda: told.append(tuple(journal.doubts))
        )
        journal.shard_lost(2, -9)
        journal.doubt("interrupted by SIGINT")
    lost = "fleet-2 ended with status -9 before it was asked to"
    assert told == [(lost,), (lost, "interrupted by SIGINT")]
    warned = [event for event in RunRecord.load(tmp_path).events if isinstance(event, Warned)]
    assert [event.text for event in warned] == list(told[-1])
