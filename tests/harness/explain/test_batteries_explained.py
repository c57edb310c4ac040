"""From a failed check of batteries to the journal's and the record's entries, and the clients'."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from emulator.batteries.config import BATTERIES_FILE, record_path
from emulator.batteries.grid import generate_batteries
from emulator.batteries.record import BatteryRecord, Begun, Changed, Ended, Entry, Executed, Refused
from harness.bal.journal import Entry as Commit
from harness.bal.journal import Event, Fate, Journal, Order
from harness.check.bal import JOURNAL
from harness.check.command import check_run
from harness.errors import ArgumentsError, ExitCode
from harness.explain.batteries import NEAREST
from harness.explain.command import explain_run
from harness.load.clients.commanded import Commanded
from harness.load.clients.summary import LOAD_FOLDER, CommandNotes, summary_path
from harness.run.battery_files import battery_fleet, write_topology
from tests.support.recorded_run import RecordedFolder

HOUR_MS: Final = 3_600_000
CHARGE: Final = 50_000 * HOUR_MS
LOAD: Final = {"commands_per_s": 1, "current": 4_000}
SYSTEM: Final = {"batteries": {"count": 1}, "bal": {"virtual": 1, "load": LOAD}}


class BatteryRun:
    """A recorded run of one battery that was told to discharge, step by step."""

    def __init__(self, folder: Path) -> None:
        self.run = RecordedFolder(folder, SYSTEM)
        self.first_ms = self.run.prepared.fleet.first_s * 1_000
        self.events: list[Event] = []
        self.orders: list[Order] = []
        self.commands: list[Commanded] = []
        begun = Begun(
            battery=0,
            name="battery-0000001",
            interface="jbd",
            at_ms=self.first_ms,
            charge_ma_ms=CHARGE,
            capacity_ma_ms=2 * CHARGE,
            charge_ma_max=5_000,
            discharge_ma_max=5_000,
            efficiency_ppm=1_000_000,
        )
        self.entries: list[Entry] = [begun]
        self._last = Changed(self.first_ms, self.first_ms, CHARGE, CHARGE, 0, 0)

    def happened(self, at_s: int, kind: str, **details: Any) -> None:
        number = len(self.events) + 1
        command = f"c-{number}" if kind == "set current" else None
        event = Event(number, self.first_ms + at_s * 1_000, kind, details, command)
        self.events.append(event)

    def ordered(self, at_s: int, current_ma: int, fate: Fate | None) -> None:
        """Note a command of a client, its event and its order."""
        self.happened(at_s, "set current", name="virtual-00001", current_ma=current_ma)
        number, event = len(self.orders) + 1, self.events[-1]
        fate_ms = None if fate is None else event.at_ms + 500
        order = Order(number, event.sequence, "battery-0000001", current_ma, fate, fate_ms, None)
        self.orders.append(order)
        assert event.command is not None
        self.given(event.command, current_ma, answered_us=number * 1_000_000)

    def given(self, command: str, current_ma: int, answered_us: int) -> None:
        body = {"id": command, "current_ma": current_ma}
        said = {"id": command}
        due_us = 100_000
        self.commands.append(
            Commanded(
                "bal.command", command, "virtual-00001", body, due_us, 1, answered_us, 200, said
            )
        )

    def executed(self, at_s: int, current_ma: int) -> None:
        """Note in the battery's record that it carried a current out."""
        last, at_ms = self._last, self.first_ms + at_s * 1_000
        moved = last.current_ma * (at_ms - last.at_ms)
        charge = last.charge_ma_ms
        self._last = Changed(last.at_ms, at_ms, charge, charge - moved, last.current_ma, current_ma)
        sequence = sum(isinstance(entry, Executed) for entry in self.entries) + 1
        self.entries.append(Executed(0, sequence, "current", current_ma, self._last))

    def judged(self) -> ExitCode:
        """Write all of it and let the run be judged."""
        path = self.run.path
        (path / JOURNAL).parent.mkdir()
        scenario = self.run.scenario
        assert scenario.bal is not None
        assert scenario.batteries is not None
        grid = generate_batteries(scenario.batteries, scenario.seed)
        write_topology(path / JOURNAL.parent, scenario.bal, grid)
        fleet = battery_fleet(scenario, self.first_ms // 1_000, [1])
        (path / BATTERIES_FILE).write_text(fleet.model_dump_json())
        with closing(Journal(path / JOURNAL)) as journal:
            journal.append(Commit(self.events, self.orders))
        (path / JOURNAL.parent / "counts.json").write_text(
            json.dumps({"bal": {"counts": {"readings": 12}}})
        )
        with closing(BatteryRecord(record_path(path, 0))) as record:
            record.write(*self.entries)
        (path / LOAD_FOLDER).mkdir()
        summary_path(path, 0).write_text('{"lag_s_max": 0.0, "counts": {}, "latencies": []}')
        with closing(CommandNotes(path, 0)) as notes:
            for command in self.commands:
                notes.command(command)
        return check_run(path)

    def explained(self, check: str, most: int = 2) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(
            explain_run(self.run.path, check, most=most, as_json=True)
        )
        return told


@pytest.fixture
def told_once(tmp_path: Path) -> BatteryRun:
    """All is well: one order, carried out."""
    found = BatteryRun(tmp_path)
    found.ordered(60, 1_000, "executed")
    found.executed(61, 1_000)
    return found


def moments(subject: dict[str, Any]) -> list[str]:
    return [f"{one['who']}: {one['what']}" for one in subject["moments"]]


def test_where_nothing_was_found_the_sums_are_told(told_once: BatteryRun) -> None:
    assert told_once.judged() is ExitCode.PASSED
    told = told_once.explained("batteries.invented")
    assert told["found"] == [
        "1 battery; of 1 command by clients 1 were accepted and 0 refused",
        "orders to batteries: 1 executed; executed on their own record: 1",
    ]
    assert (told["passed"], told["hint"], told["subjects"]) == (True, "", [])


def test_what_nobody_ordered_leads_to_the_entries_around_it(told_once: BatteryRun) -> None:
    told_once.executed(90, -7)
    values = [52_000, 990, 5_000, 5_000, CHARGE, 2 * CHARGE]
    stamps = {"oldest_ms": told_once.first_ms + 94_000, "newest_ms": told_once.first_ms + 95_000}
    told_once.happened(95, "read", name="battery-0000001", values=values, **stamps)
    told_once.happened(96, "lost", name="battery-0000001")
    told_once.happened(97, "lost", name="battery-0000002")
    told_once.entries.append(Refused(0, "current", 9_000, told_once.first_ms + 98_000, "too much"))
    last = replace(told_once._last, since_ms=told_once.first_ms + 90_000, current_before_ma=-7)
    ended_ms, charge = told_once.first_ms + 100_000, last.charge_ma_ms
    last = replace(last, at_ms=ended_ms, charge_before_ma_ms=charge, charge_ma_ms=charge + 70_000)
    told_once.entries.append(Ended(0, 2, last))
    assert told_once.judged() is ExitCode.FAILED
    told = told_once.explained("batteries.invented")
    assert "somebody else commands" in told["hint"]
    (subject,) = told["subjects"]
    # Speed 300: 90 s of the scenario are 0.3 s after the start, at 4 s of the run.
    title = "battery-0000001, 4.300 s after the run began: -7 (current) was executed unordered"
    assert subject["title"] == title
    assert subject["facts"] == [
        "battery 0, jbd: built for 5,000 mA of charge and 5,000 mA of discharge, 100,000 mAh",
        "orders to it: 1 executed; on its own record: 2 executed",
    ]
    after = CHARGE - 29_000 * 1_000
    assert moments(subject) == [
        f"record: it began, charge {CHARGE} mA ms",
        "journal: order 1: 1000 mA (set current virtual-00001, command c-1, event 1)",
        "journal: order 1: executed",
        f"record: executed 1: current 1000; from 0 mA to 1000 mA, charge {CHARGE} mA ms",
        f"record: executed 2: current -7; from 1000 mA to -7 mA, charge {after} mA ms",
        f"journal: read: 990 mA, charge {CHARGE} mA ms, event 2",
        "journal: out of reach, event 3",
        "record: refused current 9000: too much",
        "record: its process ended, 2 commands carried out",
    ]
    assert "FROM orders WHERE source = 'battery-0000001'" in subject["commands"][0]


def test_an_order_that_never_came_leads_to_its_event(told_once: BatteryRun) -> None:
    told_once.ordered(120, 2_000, "executed")
    assert told_once.judged() is ExitCode.FAILED
    told = told_once.explained("batteries.lost", most=1)
    (subject,) = told["subjects"]
    assert subject["title"].endswith("2000 mA was ordered and not executed")
    assert any("order 2: 2000 mA (set current virtual-00001" in it for it in moments(subject))
    assert told["more"] == 0


def test_more_than_is_told_is_counted(told_once: BatteryRun) -> None:
    for at_s in range(70, 80):
        told_once.executed(at_s, at_s)
    told_once.judged()
    told = told_once.explained("batteries.invented", most=3)
    assert (len(told["subjects"]), told["more"]) == (3, 7)


def test_of_much_that_happened_the_nearest_is_told(told_once: BatteryRun) -> None:
    for at_s in range(100, 200, 5):
        told_once.ordered(at_s, at_s, "executed")
        told_once.executed(at_s, at_s)
    told_once.executed(300, -7)
    told_once.judged()
    (subject,) = told_once.explained("batteries.invented")["subjects"]
    own = [one for one in moments(subject) if not one.startswith("run: ")]
    assert len(own) == NEAREST
    assert own[-1].startswith("record: executed 22: current -7")
    assert not any("order 1:" in one for one in own)


def test_an_accepted_command_that_the_journal_lacks_leads_to_its_answer(
    told_once: BatteryRun,
) -> None:
    told_once.given("c-9", -300, answered_us=700_000)
    assert told_once.judged() is ExitCode.FAILED
    told = told_once.explained("batteries.commands_lost")
    assert "before it was durable" in told["hint"]
    (subject,) = told["subjects"]
    assert subject["title"] == "command c-9 to virtual-00001: current_ma -300"
    assert subject["facts"] == ["answered 0.600 s after it was due", 'the answer: {"id": "c-9"}']
    assert moments(subject) == ["plan: it is due", "client: has its answer: 200"]
    assert "WHERE command = 'c-9'" in subject["commands"][0]


def test_the_latency_of_commands_names_the_slowest(told_once: BatteryRun) -> None:
    told_once.given("c-8", -300, answered_us=9_100_000)
    told_once.judged()
    told = told_once.explained("bal.command.latency.p99", most=1)
    assert told["found"] == ["the layer counted, since it last started: readings 12"]
    (subject,) = told["subjects"]
    assert subject["title"].startswith("command c-8 ")
    assert subject["facts"][0] == "answered 9.000 s after it was due"
    assert told["more"] == 1
    assert told_once.explained("bal.status.latency.p50")["subjects"] == []


def test_a_journal_that_cannot_be_read_is_named(told_once: BatteryRun) -> None:
    told_once.judged()
    (told_once.run.path / JOURNAL).write_bytes(b"no journal at all, and long enough to be one")
    with pytest.raises(ArgumentsError, match=r"journal\.sqlite"):
        explain_run(told_once.run.path, "batteries.lost")


def test_a_run_without_an_account_says_where_the_reason_is(told_once: BatteryRun) -> None:
    told_once.judged()
    record_path(told_once.run.path, 0).unlink()
    assert check_run(told_once.run.path) is ExitCode.INCONCLUSIVE
    told = told_once.explained("batteries.lost")
    assert told["found"] == [
        "this run has no account of batteries: the reasons of its verdict say why"
    ]


def test_what_was_told_and_not_done_is_named_without_a_journal_too(tmp_path: Path) -> None:
    found = BatteryRun(tmp_path)
    # 60 s of wall time are five hours of the scenario.
    found.given("c-1", 1_000, answered_us=1_000_000)
    last = found._last
    found.entries.append(Ended(0, 0, replace(last, at_ms=found.first_ms + 6 * HOUR_MS)))
    assert found.judged() is ExitCode.FAILED
    resolved = found.run.path / "resolved.json"
    scenario = json.loads(resolved.read_text())
    scenario["bal"]["target"] = {"kind": "external", "url": "http://127.0.0.1:9"}
    resolved.write_text(json.dumps(scenario))
    (found.run.path / JOURNAL).unlink()
    assert check_run(found.run.path) is ExitCode.FAILED
    told = found.explained("batteries.disobeyed")
    (subject,) = told["subjects"]
    assert subject["title"].startswith("virtual-00001 at ")
    assert "1000 mA was told (virtual-00001 1000; last by c-1)" in subject["title"]
    assert "no client" in told["hint"]
    # Nobody knows, so there is nothing to tell.
    assert found.explained("batteries.lost")["subjects"] == []
