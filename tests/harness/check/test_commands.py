from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.check.command import judge_run
from harness.run.facts import IssuedCommand
from harness.store.commands import Command, CommandState
from reports.recording import CommandCounts
from tests.support.recorded_run import RecordedFolder

DUE_US = 1_700_001_004_000_000


def order(number: int, meter: int = 3, kind: str = "tariff", parameter: int = 2) -> IssuedCommand:
    return IssuedCommand(id=number, meter=meter, kind=kind, parameter=parameter, due_us=DUE_US)


def known(ordered: IssuedCommand, state: CommandState, after_s: float | None = 1.5) -> Command:
    return Command(
        id=ordered.id,
        meter=ordered.meter,
        kind=ordered.kind,
        parameter=str(ordered.parameter),
        created_at_us=DUE_US,
        state=state,
        done_at_us=None if after_s is None else DUE_US + int(after_s * 1e6),
    )


def done(ordered: IssuedCommand) -> dict[str, Any]:
    return {"meter": ordered.meter, "kind": ordered.kind, "parameter": ordered.parameter}


ONE = order(1)
DONE = known(ONE, CommandState.DONE)


def judged(
    folder: Path,
    orders: list[IssuedCommand],
    executions: list[dict[str, Any]],
    journal: list[Command],
) -> list[CommandCounts]:
    run = RecordedFolder(folder, commands=orders, journal=journal)
    run.executed(*executions)
    return [counts for counts in judge_run(run.path).verdict.commands if not counts.link]


@pytest.mark.parametrize(
    ("executions", "journal", "expected"),
    [
        pytest.param([done(ONE)], [DONE], (1, 1, 0, 0), id="executed once"),
        pytest.param([done(ONE)] * 2, [DONE], (1, 1, 1, 0), id="executed twice"),
        pytest.param([], [DONE], (1, 0, 0, 0), id="only claimed to be executed"),
        pytest.param([], [], (1, 0, 0, 0), id="never taken"),
        pytest.param(
            [], [known(ONE, CommandState.FAILED)], (1, 0, 0, 1), id="refused by the meter"
        ),
        pytest.param(
            [done(ONE)], [known(ONE, CommandState.SENT, None)], (1, 0, 0, 0), id="never settled"
        ),
    ],
)
def test_a_command_is_executed_when_its_meter_did_it_and_the_head_end_knows(
    executions: list[dict[str, Any]],
    journal: list[Command],
    expected: tuple[int, int, int, int],
    tmp_path: Path,
) -> None:
    (counts,) = judged(tmp_path, [ONE], executions, journal)
    assert (counts.issued, counts.executed, counts.repeated, counts.failed) == expected


def test_equal_commands_each_need_an_execution_of_their_own(tmp_path: Path) -> None:
    again = order(2)
    journal = [DONE, known(again, CommandState.DONE)]
    (counts,) = judged(tmp_path, [ONE, again], [done(ONE)], journal)
    assert (counts.issued, counts.executed, counts.repeated) == (2, 1, 0)


def test_what_nobody_ordered_counts_as_repeated(tmp_path: Path) -> None:
    other = order(9, meter=4)
    (counts,) = judged(tmp_path, [ONE], [done(ONE), done(other)], [DONE])
    assert (counts.executed, counts.repeated) == (1, 1)


def test_latency_counts_from_when_the_command_was_due(tmp_path: Path) -> None:
    (counts,) = judged(tmp_path, [ONE], [done(ONE)], [DONE])
    assert counts.latency_s is not None
    assert counts.latency_s.max == pytest.approx(1.5, rel=1e-3)


def test_commands_are_counted_by_kind_and_by_link(tmp_path: Path) -> None:
    other = order(2, kind="time", parameter=5)
    journal = [DONE, known(other, CommandState.DONE)]
    run = RecordedFolder(tmp_path, commands=[ONE, other], journal=journal)
    run.executed(done(ONE), done(other))
    verdict = judge_run(run.path).verdict
    assert {(c.kind, bool(c.link)) for c in verdict.commands} == {
        ("tariff", False),
        ("tariff", True),
        ("time", False),
        ("time", True),
    }
    assert verdict.latency_s["command"].max == pytest.approx(1.5, rel=1e-3)


def test_what_others_ordered_is_no_repetition_until_it_is_repeated(tmp_path: Path) -> None:
    theirs = order(2**61, kind="segment")
    journal = [DONE, known(theirs, CommandState.DONE)]
    (counts,) = judged(tmp_path / "once", [ONE], [done(ONE), done(theirs)], journal)
    assert (counts.kind, counts.issued, counts.executed, counts.repeated) == ("tariff", 1, 1, 0)
    twice = judged(tmp_path / "twice", [ONE], [done(ONE), done(theirs), done(theirs)], journal)
    assert [(counts.kind, counts.repeated) for counts in twice] == [("segment", 1), ("tariff", 0)]


def test_an_equal_command_of_others_hides_no_repetition(tmp_path: Path) -> None:
    journal = [DONE, known(order(2**61), CommandState.DONE)]
    (counts,) = judged(tmp_path, [ONE], [done(ONE)] * 3, journal)
    assert (counts.issued, counts.executed, counts.repeated) == (1, 1, 1)
