"""What happened to a layer: at its moment, once, bounded, known again however the layer ended."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from harness.bal import happenings
from harness.bal.chronicle import Chronicle
from harness.bal.errors import BatteryError, CommandConflictError
from harness.bal.happenings import reading_details
from harness.bal.journal import Entry, Event, Journal, Kept, Order, Snapshot, read_journal
from harness.bal.model.durable import state_of
from harness.bal.model.values import Reading, Values
from harness.check.battery_parts import Parts
from harness.check.conservation import conservation_of
from tests.harness.bal import dying
from tests.harness.bal.dying import CAPACITY, open_chronicle
from tests.support.command_line import ROOT

PARTS = Parts(
    {"a": 50_000, "b": 50_000}, {"both": ("a", "b")}, {"both": ("homes", "grid")}, frozenset()
)


@asynccontextmanager
async def opened(path: Path, kept: Kept | None = None) -> AsyncIterator[Chronicle]:
    with closing(Journal(path, kept)) as journal:
        chronicle = open_chronicle(journal)
        yield chronicle
        await chronicle.flush()


def read(chronicle: Chronicle, at_ms: int, charge: int = CAPACITY // 2) -> None:
    at_ms = max(at_ms, chronicle.batteries.now_ms)
    for name in ("a", "b"):
        values = Values(50_000, 0, 5_000, 5_000, charge, CAPACITY)
        chronicle.happen(happenings.READ, reading_details(name, Reading.at(at_ms, values)), at_ms)


def set_current(
    chronicle: Chronicle, current_ma: int, at_ms: int, name: str | None = None
) -> Sequence[Order]:
    details = {"name": "homes", "current_ma": current_ma}
    return chronicle.happen(happenings.SET_CURRENT, details, at_ms, name)


# Moments


async def test_what_was_due_is_of_its_moment_however_late_somebody_looks(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    async with opened(path) as chronicle:
        read(chronicle, 0)
        window = {"name": "homes", "current_ma": 50, "start_ms": 5_000, "end_ms": 7_000}
        chronicle.happen(happenings.SCHEDULE, window, 1_000)
        read(chronicle, 9_000)
    events, orders = read_journal(path)
    passed = [event for event in events if event.kind == happenings.TIME_PASSED]
    assert [event.at_ms for event in passed] == [5_000, 7_000]
    assert [(one.event, one.source, one.current_ma) for one in orders] == [
        (passed[0].sequence, "a", 25),
        (passed[0].sequence, "b", 25),
        (passed[1].sequence, "a", 0),
        (passed[1].sequence, "b", 0),
    ]


async def test_what_was_due_before_a_refused_command_happened_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    async with opened(path) as chronicle:
        read(chronicle, 0)
        window = {"name": "homes", "current_ma": 50, "start_ms": 5_000, "end_ms": 7_000}
        chronicle.happen(happenings.SCHEDULE, window, 1_000)
        with pytest.raises(BatteryError):
            set_current(chronicle, 10**9, 5_000)
        with pytest.raises(BatteryError):
            set_current(chronicle, 10**9, 6_000)
    events, orders = read_journal(path)
    assert [(event.kind, event.at_ms) for event in events[-2:]] == [
        (happenings.SCHEDULE, 1_000),
        (happenings.TIME_PASSED, 5_000),
    ]
    assert {order.event for order in orders} == {events[-1].sequence}


async def test_nothing_is_noted_of_moments_at_which_nothing_changes(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.sqlite") as chronicle:
        read(chronicle, 0)
        for at_ms in range(0, 100_000, 50):
            chronicle.pass_time(at_ms)
    assert len(read_journal(tmp_path / "journal.sqlite")[0]) == 2


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_and_however_often_it_ends_the_check_is_exact(
    tmp_path: Path, seed: int
) -> None:
    """Commands, windows, losses; killed with what was not durable yet, and started again."""
    draw, path = random.Random(seed), tmp_path / "journal.sqlite"
    at_ms, accepted, flows = 0, set[str](), []
    for life in range(6):
        with closing(Journal(path)) as journal:
            chronicle = open_chronicle(journal)
            for number in range(draw.randint(5, 40)):
                at_ms += draw.choice((0, 1, 700, 9_000, 60_000))
                name = f"{life}-{number}"
                try:
                    _do(chronicle, draw, at_ms, name)
                except BatteryError:
                    continue
                if draw.random() < 0.2:
                    await chronicle.flush()
                    accepted.add(name)
            if life == 5:
                chronicle.pass_time(at_ms + 500)
                flows = chronicle.batteries.flows(0, at_ms + 500)
                await chronicle.flush()
    events, orders = read_journal(path)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    found = conservation_of(PARTS, events, orders, flows)
    assert (found.findings, found.divided) == ([], 1), seed
    assert accepted <= {event.command for event in events}, seed


def _do(chronicle: Chronicle, draw: random.Random, at_ms: int, name: str) -> None:
    who, current_ma = draw.choice(("homes", "grid")), draw.randint(-3_000, 3_000)
    match draw.randrange(5):
        case 0:
            chronicle.happen(happenings.LOST, {"name": draw.choice("ab")}, at_ms, name)
        case 1:
            start_ms = max(at_ms, chronicle.batteries.now_ms) + draw.randint(0, 9_000)
            window = {"start_ms": start_ms, "end_ms": start_ms + draw.randint(1, 90_000)}
            details = {"name": who, "current_ma": current_ma, **window}
            chronicle.happen(happenings.SCHEDULE, details, at_ms, name)
        case 2:
            details = {"name": who, "current_ma": current_ma}
            chronicle.happen(happenings.SET_CURRENT, details, at_ms, name)
        case _:
            read(chronicle, at_ms, draw.randint(0, CAPACITY))
            chronicle.happen(happenings.TIME_PASSED, {}, at_ms, name)


# Bounds


LIVES = 150


async def test_a_journal_that_is_bounded_keeps_what_a_restart_needs(tmp_path: Path) -> None:
    path, kept = tmp_path / "journal.sqlite", Kept(events=30, commands=10)
    most = 0
    async with opened(path, kept) as chronicle:
        for number in range(1, LIVES):
            dying.happen(chronicle, number)
            await chronicle.flush()
            (there,) = chronicle._journal._file.execute("SELECT count(*) FROM events").fetchone()
            most = max(most, there)
        before = state_of(chronicle.batteries)
    events, orders = read_journal(path)
    # 8 events happen between two looks at whether it is time.
    assert most <= 30 + 20 + 10 + 8
    assert events[0].sequence > 700
    assert len(orders) < 5 * len(events)
    assert not [one for one in orders[:-10] if one.fate is None]
    async with opened(path, kept) as again:
        assert state_of(again.batteries) == before
        assert set_and_known(again) == [True] * 10 + [False] * 2
    last = read_journal(path)
    assert last[0][-1].sequence == events[-1].sequence + 2
    assert {order.source for order in last[1]} == {"a", "b"}


def set_and_known(chronicle: Chronicle) -> list[bool]:
    """Return of the last commands whether their names are known."""
    known = []
    for number in reversed(range(LIVES - 12, LIVES)):
        before = chronicle._event
        who = ("homes", "grid")[number % 2]
        details = {"name": who, "current_ma": 100 * (number % 7 - 3)}
        at_ms = chronicle.batteries.now_ms
        try:
            chronicle.happen(happenings.SET_CURRENT, details, at_ms, f"command-{number}")
        except BatteryError:
            known.append(False)
        else:
            known.append(chronicle._event == before)
    return known


def test_open_orders_and_the_last_of_each_battery_stay(tmp_path: Path) -> None:
    """Of 100 events with an order each, in a journal that keeps one event."""
    orders = [Order(at, at, "a", at, "executed", at, at) for at in range(1, 101)]
    orders[10] = Order(11, 11, "b", 7, "executed", 11, 7)
    orders[20] = Order(21, 21, "b", 8, "refused", 21, None)
    orders[30] = Order(31, 31, "b", 9)
    orders[99] = Order(100, 100, "a", 5, "lost", 100, None)
    events = [Event(at, at, happenings.TIME_PASSED, {}) for at in range(1, 101)]
    with closing(Journal(tmp_path / "journal.sqlite", Kept(events=1))) as journal:
        journal.append(Entry(events, orders))
        journal.append(Entry(snapshot=Snapshot(100, b"{}")))
        assert journal.last() == (100, 100)
        assert journal.last_sent() == {"a": (99, 99), "b": (7, 7)}
        assert [order.sequence for order in journal.open_orders()] == [31]
    events, orders = read_journal(tmp_path / "journal.sqlite")
    assert [event.sequence for event in events] == [100]
    assert [order.sequence for order in orders] == [11, 31, 99, 100]


async def test_a_name_that_is_forgotten_may_come_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for _ in range(2):
        async with opened(path, Kept(commands=2)) as chronicle:
            read(chronicle, 0)
            for name in ("x", "y", "z"):
                set_current(chronicle, ord(name), 0, name)
            with pytest.raises(CommandConflictError):
                set_current(chronicle, 1, 0, "z")
            await chronicle.flush()
    commands = [event.command for event in read_journal(path)[0] if event.command]
    assert commands == ["x", "y", "z", "x", "y", "z"]


async def test_a_disk_that_fails_at_a_snapshot_gets_all_of_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.bal.chronicle.RETRY_S", 0.0)
    failures: list[int] = []

    class Failing(Journal):
        def _keep(self, snapshot: Snapshot) -> None:
            if snapshot.sequence and len(failures) < 2:
                failures.append(snapshot.sequence)
                raise sqlite3.OperationalError("disk is full")
            super()._keep(snapshot)

    path = tmp_path / "journal.sqlite"
    with closing(Failing(path)) as journal:
        chronicle = open_chronicle(journal)
        for number in range(1, 10):
            dying.happen(chronicle, number)
            await chronicle.flush()
        before = state_of(chronicle.batteries)
    assert len(set(failures)) == 1
    async with opened(path) as again:
        assert state_of(again.batteries) == before


async def test_a_layer_that_keeps_starting_again_takes_snapshots_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.sqlite"
    for number in range(1, 20):
        async with opened(path) as chronicle:
            dying.happen(chronicle, number)
    with closing(Journal(path)) as journal:
        kept = journal.snapshot()
        assert kept is not None
        assert journal.last()[0] - kept.sequence < 2 * dying.SNAPSHOT_EVENTS


# Killed


@pytest.mark.slow
def test_a_kill_at_any_statement_costs_nothing_that_was_told(tmp_path: Path) -> None:
    """SIGKILL before every 7th statement: what is there again is what had happened by then."""
    command = [sys.executable, "-m", "tests.harness.bal.dying", str(tmp_path), "7"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    killed = [path for path in tmp_path.glob("*.sqlite") if path.stem != "whole"]
    assert len(killed) > 30
    with closing(Journal(tmp_path / "twin.sqlite")) as journal:
        twin = open_chronicle(journal)
        states = {0: state_of(twin.batteries)}
        for number in range(1, dying.ROUNDS):
            dying.happen(twin, number)
            states[number] = state_of(twin.batteries)
    reached = set()
    for path in killed:
        told = path.with_suffix(".told")
        rounds = int(told.read_text() or 0) if told.exists() else 0
        with closing(Journal(path, dying.KEPT)) as journal:
            found = state_of(open_chronicle(journal).batteries)
        number = next(one for one, state in states.items() if state == found)
        assert number in (rounds, rounds + 1), path.name
        reached.add(number)
    assert len(reached) > dying.ROUNDS // 2


# Starting again


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_made_and_removed_a_restart_knows_it(tmp_path: Path, seed: int) -> None:
    """Batteries come and go, are settled and forgotten about; snapshots come in between."""
    draw, path = random.Random(seed), tmp_path / "journal.sqlite"
    at_ms = 0
    for life in range(5):
        async with opened(path, Kept(events=25, commands=10)) as chronicle:
            for number in range(draw.randint(5, 30)):
                at_ms += draw.choice((0, 1, 700, 9_000, 1_000_000))
                with suppress(BatteryError):
                    _rearrange(chronicle, draw, at_ms, f"{life}-{number}")
                if draw.random() < 0.3:
                    await chronicle.flush()
            lived = chronicle.batteries
        async with opened(path, Kept(events=25, commands=10)) as again:
            # Time at which nothing happened is not known; nothing follows from it.
            again.pass_time(lived.now_ms)
            assert state_of(again.batteries) == state_of(lived), seed
    events, _ = read_journal(path)
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)


def _rearrange(chronicle: Chronicle, draw: random.Random, at_ms: int, name: str) -> None:
    batteries = chronicle.batteries
    tops = batteries.tops()
    details: dict[str, object]
    match draw.randrange(7):
        case 0:
            sources = draw.sample(tops, min(len(tops), draw.randint(1, 2)))
            details = {"name": f"made-{name}", "sources": sources}
            chronicle.happen(happenings.MAKE_AGGREGATOR, details, at_ms)
        case 1:
            shares = [[f"{part}-{name}", 10**6 // 3] for part in range(2)]
            details = {"shares": shares, "source": draw.choice(tops), "policy": "reserved"}
            chronicle.happen(happenings.MAKE_SPLITTER, details, at_ms)
        case 2:
            top = draw.choice(tops)
            if top not in ("a", "b"):
                chronicle.happen(happenings.REMOVE, {"name": top}, at_ms, name)
        case 3:
            kind = draw.choice((happenings.SETTLE, happenings.FORGET))
            details = {"name": "both"} if kind == happenings.SETTLE else {"before_ms": at_ms // 2}
            chronicle.happen(kind, details, at_ms, name)
        case 4:
            details = {"name": draw.choice(tops), "current_ma": draw.randint(-500, 500)}
            chronicle.happen(happenings.SET_CURRENT, details, at_ms, name)
        case _:
            _do(chronicle, draw, at_ms, name)
