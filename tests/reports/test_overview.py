"""Every system in one table."""

from __future__ import annotations

from dataclasses import replace

from reports.overview import COUNTS, OVERVIEW_HEAD, OverviewLine, overview
from reports.recording import OperationFigures
from tests.support.canned import passed_verdict, systems_verdict


def test_a_head_end_alone_has_no_table() -> None:
    assert overview(passed_verdict()) == ()


def test_each_system_says_whether_it_was_right_and_then_what_was_asked_of_it() -> None:
    lines = overview(systems_verdict())
    assert [line.label for line in lines] == [
        "Head-end",
        "push",
        "command",
        "Battery layer",
        "battery status",
        "battery command",
        "Billing",
    ]
    told = {line.label: line.told for line in lines if line.told}
    assert told["Battery layer"].startswith("200 batteries")
    assert "997" not in told["Head-end"]
    assert told["Billing"].startswith("1,000 bills due")
    status = next(line for line in lines if line.label == "battery status")
    assert status.cells == ("100", "97", "1", "2", "9.7", "2 s", "4 s")


def test_what_was_never_answered_has_no_latency() -> None:
    dead = OperationFigures(
        name="bal.command", system="bal", asked=3, answered=0, refused=0, failed=3, lasted_s=1.0
    )
    (*_, line) = overview(replace(passed_verdict(), operations=(dead,)))
    assert line == OverviewLine("battery command", cells=("3", "0", "0", "3", "0", "", ""))


def test_columns_are_those_of_the_head() -> None:
    wide = {len(line.cells) for line in overview(systems_verdict()) if line.cells}
    assert wide == {len(OVERVIEW_HEAD) - 1}
    assert OVERVIEW_HEAD[COUNTS + 1] == "p50"
