"""What a run with batteries is judged by, from its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.batteries.config import BATTERIES_FILE, BatteryFleetConfig
from emulator.batteries.config import FOLDER as RECORDS
from emulator.batteries.parameters import BatteryParameters
from emulator.batteries.record import BatteryRecord, Begun, Changed, Ended
from harness.bal.happenings import SET_CURRENT
from harness.bal.journal import Entry, Event, Journal, Order
from harness.check.bal import (
    CHECKS,
    UnreadableError,
    battery_figures,
    battery_measurements,
    battery_notes,
    with_battery_checks,
)
from harness.limits import MEASURES, parse_limit
from harness.load.clients.commanded import Commanded
from harness.load.clients.seen import Seen
from harness.load.clients.summary import LOAD_FOLDER, CommandNotes
from harness.run.facts import RunFacts
from harness.scenario import Scenario

TOPOLOGY = """
battery = [{ name = "a", voltage_mv = 50_000 }]

[[splitter]]
source = "a"
partitions = [{ name = "homes", share = "100 %" }]
"""
FLOW = {
    "name": "homes",
    "source": "a",
    "from_ms": 0,
    "to_ms": 3_000,
    "opening_ma_ms": 10**9,
    "charged_ma_ms": 0,
    "discharged_ma_ms": 200_000,
    "adjusted_ma_ms": 0,
    "closing_ma_ms": 10**9 - 200_000,
    "charged_nj": 0,
    "discharged_nj": 200_000 * 50_000,
}
SEEN = Seen(
    subject="homes",
    asked_us=0,
    answered_us=1,
    charge_ma_ms=10**9,
    oldest_ms=1_000,
    newest_ms=1_000,
    sources=1,
    sources_online=1,
)


SCENARIO: dict[str, Any] = {
    "name": "of-one-battery",
    "speed": 2.0,
    "link": "none",
    "grid": {"transformer_stations": 2},
    "behaviour": {"steps": 4},
    "batteries": {"count": 1},
    "bal": {"virtual": 1, "staleness": "1 s", "timeout": "1 s", "obeys_within": "1 s"},
}
NEED_THE_JOURNAL = {"lost", "twice", "invented", "commands_lost", "unconserved"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run in which one partition gave 100 mA for two seconds and was seen once."""
    for folder in (RECORDS, "bal", LOAD_FOLDER):
        (tmp_path / folder).mkdir()
    with closing(BatteryRecord(tmp_path / RECORDS / "process-0.ndjson")) as record:
        record.write(Begun(0, "a", "jbd", 0, 10**9, 10**10, 1_000, 1_000, 1_000_000))
    with closing(Journal(tmp_path / "bal" / "journal.sqlite")) as journal:
        command = {"name": "homes", "current_ma": 100}
        journal.append(
            Entry(
                events=[
                    Event(1, 1_000, "time passed", {}),
                    Event(2, 1_000, SET_CURRENT, command, "one"),
                ],
                orders=[Order(1, 2, "a", 100, "lost", 1_000)],
            )
        )
    (tmp_path / "bal" / "topology.toml").write_text(TOPOLOGY)
    (tmp_path / "bal" / "flows.json").write_text(json.dumps([FLOW]))
    (tmp_path / "resolved.json").write_text(Scenario.model_validate(SCENARIO).resolved_json())
    fleet = BatteryFleetConfig(
        seed=7, first_s=0, grid=BatteryParameters(count=1), link="none", listen_ports=(1,)
    )
    (tmp_path / BATTERIES_FILE).write_text(fleet.model_dump_json())
    facts = RunFacts(
        clock=(0.0, 0.0, 2.0), realtime_offset_s=0.0, started_at="", command="", versions={},
        host={}, stores=(),
    )  # fmt: skip
    facts.write(tmp_path)
    with closing(CommandNotes(tmp_path, 0)) as notes:
        notes.seen(SEEN)
    return tmp_path


def test_a_run_that_adds_up_is_measured_by_all_checks(run: Path) -> None:
    figures = battery_figures(run)
    assert (figures.accounts, figures.snapshots) == (1, 1)
    assert battery_measurements(figures) == dict.fromkeys(CHECKS, 0)
    assert with_battery_checks({}, figures).keys() == {*CHECKS}
    assert not figures.examples


@pytest.mark.parametrize(
    ("change", "check", "example"),
    [
        (
            lambda run: (run / "bal" / "flows.json").write_text(
                json.dumps([FLOW | {"discharged_ma_ms": 200_001}])
            ),
            "batteries.unconserved",
            "unconserved: homes at 3000 ms: its account closes with",
        ),
        (
            lambda run: (run / LOAD_FOLDER / "client-0.statuses.ndjson").write_text(
                '{"subject": "homes", "asked_us": 0, "answered_us": 1, "oldest_ms": 1000,'
                ' "charge_ma_ms": 2000000000, "newest_ms": 1000, "sources": 1,'
                ' "sources_online": 1}\n'
            ),
            "batteries.mixed_snapshots",
            "mixed_snapshots: homes at 1000 ms: 2000000000 mA ms from 1000 to 1000 ms",
        ),
    ],
)
def test_what_does_not_add_up_is_counted_and_told(
    run: Path, change: Callable[[Path], object], check: str, example: str
) -> None:
    change(run)
    figures = battery_figures(run)
    assert battery_measurements(figures)[check] >= 1
    assert figures.examples[0].startswith(example)


def test_where_nobody_told_the_flows_that_check_is_left_out(run: Path) -> None:
    (run / "bal" / "flows.json").unlink()
    figures = battery_figures(run)
    assert figures.accounts is None
    left = {*CHECKS} - {"batteries.unconserved"}
    assert battery_measurements(figures).keys() == left
    assert with_battery_checks({}, figures).keys() == left
    # Asked for, it is not measured, and the run proves nothing.
    limit = parse_limit("== 0", MEASURES["batteries.unconserved"])
    asked = with_battery_checks({"batteries.unconserved": limit}, figures)
    assert "batteries.unconserved" in asked


@pytest.mark.parametrize("content", ["[{}]", "{", '[{"name": 1}]'])
def test_flows_that_are_none_cannot_be_judged(run: Path, content: str) -> None:
    (run / "bal" / "flows.json").write_text(content)
    with pytest.raises(UnreadableError):
        battery_figures(run)


def ignored(run: Path) -> None:
    """Let a command of a client be accepted, and half a minute pass in which nothing flows."""
    with closing(BatteryRecord(run / RECORDS / "process-0.ndjson")) as record:
        record.write(Ended(0, 0, Changed(0, 30_000, 10**9, 10**9, 0, 0)))
    with closing(CommandNotes(run, 0)) as notes:
        notes.command(
            Commanded(
                "bal.command", "one", "homes", {"current_ma": 100}, 500_000, 1, 600_000, 200, {}
            )
        )


def test_what_was_accepted_and_not_done_is_disobeyed(run: Path) -> None:
    ignored(run)
    figures = battery_figures(run)
    assert (figures.obeyed, figures.disobeyed, figures.unjudged) == (0, 1, 0)
    # Clients began at 0 s, twice as fast: their 0.6 s are 1.2 s of scenario time.
    assert figures.examples[0].startswith(
        "disobeyed: homes at 1201 ms: 100 mA was told (homes 100;"
    )


def external(run: Path) -> None:
    """Let the layer be somebody else's."""
    bal = SCENARIO["bal"] | {"target": {"kind": "external", "url": "http://127.0.0.1:9"}}
    scenario = Scenario.model_validate(SCENARIO | {"bal": bal})
    (run / "resolved.json").write_text(scenario.resolved_json())
    (run / "bal" / "journal.sqlite").unlink()


def test_of_a_layer_of_others_is_not_said_what_needs_a_journal(run: Path) -> None:
    external(run)
    ignored(run)
    figures = battery_figures(run)
    assert not figures.journal
    needed = {f"batteries.{name}" for name in NEED_THE_JOURNAL}
    assert battery_measurements(figures).keys() == {*CHECKS} - needed
    assert with_battery_checks({}, figures).keys() == {*CHECKS} - needed
    assert {getattr(figures, name) for name in NEED_THE_JOURNAL} == {None}
    assert (figures.disobeyed, figures.snapshots, figures.mixed_snapshots) == (1, 1, 0)
    (note,) = battery_notes(figures)
    assert "no journal of it was read" in note
    told_anew = replace(figures, obeyed=1, unjudged=2)
    assert (
        "Of 4 times that virtual batteries were told something, 2 could"
        in [*battery_notes(told_anew)][1]
    )


def test_of_ours_there_is_nothing_to_say_so(run: Path) -> None:
    assert [*battery_notes(battery_figures(run)), *battery_notes(None)] == []


def test_a_journal_of_ours_that_lacks_is_not_taken_for_one_of_others(run: Path) -> None:
    (run / "bal" / "journal.sqlite").unlink()
    with pytest.raises(UnreadableError, match=r"journal\.sqlite"):
        battery_figures(run)


@pytest.mark.parametrize("others", [True, False])
def test_a_command_of_somebody_who_is_no_client_leaves_nothing_certain(
    run: Path, others: bool
) -> None:
    if others:
        with closing(Journal(run / "bal" / "journal.sqlite")) as journal:
            command = {"name": "homes", "current_ma": 0}
            journal.append(Entry(events=[Event(3, 1_100, SET_CURRENT, command, "by hand")]))
    ignored(run)
    figures = battery_figures(run)
    assert (figures.disobeyed, figures.unjudged) == ((0, 1) if others else (1, 0))


@pytest.mark.parametrize("others", [True, False])
def test_snapshots_that_nobody_noted_are_not_said_to_be_sound(run: Path, others: bool) -> None:
    (run / LOAD_FOLDER / "client-0.statuses.ndjson").unlink()
    if others:
        external(run)
    measured = battery_measurements(battery_figures(run))
    assert ("batteries.mixed_snapshots" in measured) is not others
