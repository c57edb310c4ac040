from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.facts import IssuedCommand
from harness.run.latencies import LatencyLog
from harness.run.outcomes import record_commands
from harness.store.commands import Command, CommandState
from reports.recording import CommandDone, RunRecord, RunRecorder, RunTime

DONE, FAILED, SENT = CommandState.DONE, CommandState.FAILED, CommandState.SENT


def known(number: int, state: CommandState, done_at_us: int | None) -> Command:
    return Command(
        number, 10 + number, "tariff", "2", created_at_us=0, state=state, done_at_us=done_at_us
    )


def test_commands_that_ended_are_events_with_their_latency(tmp_path: Path) -> None:
    issued = [
        IssuedCommand(id=i, meter=10 + i, kind="tariff", parameter=2, due_us=1_000_000)
        for i in range(4)
    ]
    journal = [
        known(0, DONE, 1_500_000),
        known(1, FAILED, 7_000_000),
        known(2, SENT, None),
        known(9, DONE, 2_000_000),  # not of this run
    ]
    with RunRecorder(tmp_path) as recorder:
        record_commands(
            recorder,
            LatencyLog(recorder),
            issued,
            journal,
            at=lambda posix_us: RunTime(scenario_s=0.0, wall_s=posix_us / 1e6),
            link=lambda meter: f"link-{meter}",
        )
    record = RunRecord.load(tmp_path)
    done = [event for event in record.events if isinstance(event, CommandDone)]
    assert [(e.meter, e.link, e.outcome, e.latency_s) for e in done] == [
        (10, "link-10", "executed", 0.5),
        (11, "link-11", "failed", 6.0),
    ]
    assert [(i.series, i.start_s, i.end_s) for i in record.latency] == [
        ("command", 0.0, 5.0),
        ("command", 5.0, 10.0),
    ]
    assert record.latency[1].histogram.get_max_value() == pytest.approx(6_000_000, rel=1e-3)
