"""Snapshots against records made by hand: two batteries, 1 A out of each from 1 s on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.batteries.record import Begun, Changed, Ended, Entry, Executed, Refused
from harness.bal.happenings import READ, REMOVE
from harness.bal.journal import Event
from harness.check.battery_parts import Parts, read_parts
from harness.check.held import JBD_MA_MS, Held, held_by_name
from harness.check.snapshots import Rules, Snapshots, look_at_snapshots
from harness.load.clients.seen import Seen

AH = 3_600_000_000
SECOND_MS = 1_000
A = Begun(0, "a", "jbd", 0, 50 * AH, 100 * AH, 9_000, 9_000, 1_000_000)
B = replace(A, battery=1, name="b", interface="sunspec")
RULES = Rules(staleness_ms=60_000, reading_ms=1_000, speed=10.0)
PARTS = """
battery = [{ name = "a", voltage_mv = 1 }, { name = "b", voltage_mv = 1 }]
aggregate = [{ name = "both", sources = ["a", "b"] }]

[[splitter]]
source = "both"
partitions = [{ name = "homes", share = "60 %" }, { name = "grid", share = "40 %" }]
"""
STEP = 100 * AH // 10_000
"""SunSpec's: 100 parts in a million."""


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    file = tmp_path / "topology.toml"
    file.write_text(PARTS)
    return read_parts(file)


def lived(begun: Begun, current_ma: int = 1_000) -> list[Entry]:
    """Return an hour in which ``current_ma`` flows from the first second on."""
    charge = begun.charge_ma_ms
    first = Changed(0, SECOND_MS, charge, charge, 0, current_ma)
    after = charge - current_ma * 3_599_000
    last = Changed(SECOND_MS, 3_600_000, charge, after, current_ma, current_ma)
    return [
        begun,
        Executed(begun.battery, 1, "current", current_ma, first),
        Refused(begun.battery, "current", 1, 2_000, "why not"),
        Ended(begun.battery, 1, last),
    ]


def seen(subject: str, charge: int, oldest_ms: int, newest_ms: int, online: int = 2) -> Seen:
    return Seen(
        subject=subject,
        asked_us=0,
        answered_us=100_000,
        charge_ma_ms=charge,
        oldest_ms=oldest_ms,
        newest_ms=newest_ms,
        sources=2,
        sources_online=online,
    )


def found(
    parts: Parts, *snapshots: Seen, events: Sequence[Event] = (), also: Iterable[Entry] = ()
) -> Snapshots:
    held = held_by_name([*lived(A), *lived(B), *also], events)
    return look_at_snapshots(parts, events, held, snapshots, RULES)


def at(at_ms: int) -> int:
    """Return what one battery holds, by hand."""
    return 50 * AH - 1_000 * (at_ms - SECOND_MS)


MINUTE = 60_000


def test_a_battery_held_what_its_record_says() -> None:
    held = held_by_name(lived(A), [])["a"]
    assert held.within(0, SECOND_MS) == (50 * AH, 50 * AH)
    assert held.within(500, 31_000) == (at(31_000), 50 * AH)
    assert held.within(MINUTE, MINUTE) == (at(MINUTE), at(MINUTE))


def test_charging_turns_keep_losses_and_stop_at_full() -> None:
    begun = replace(A, charge_ma_ms=99 * AH, efficiency_ppm=500_000)
    held = Held(begun)
    held.add(Ended(0, 1, Changed(0, 0, 99 * AH, 99 * AH, 0, -1_000)))
    assert held.within(0, 3_600_000) == (99 * AH, 99 * AH + AH // 2)
    assert held.within(0, 9 * 3_600_000) == (99 * AH, 100 * AH)


def test_the_extremes_may_lie_within_the_interval() -> None:
    held = Held(A)
    held.add(Ended(0, 1, Changed(0, 0, 50 * AH, 50 * AH, 0, 1_000)))
    held.add(Ended(0, 1, Changed(0, MINUTE, 50 * AH, 50 * AH - 1_000 * MINUTE, 1_000, -1_000)))
    assert held.within(0, 2 * MINUTE) == (50 * AH - 1_000 * MINUTE, 50 * AH)


def test_a_snapshot_of_its_interval_is_sound(parts: Parts) -> None:
    charge = at(5 * MINUTE) + at(6 * MINUTE)
    result = found(parts, seen("both", charge, 5 * MINUTE, 6 * MINUTE))
    assert result.held == 1
    assert not result.findings


def test_a_snapshot_that_mixes_two_moments_is_found(parts: Parts) -> None:
    """One of the batteries was read half an hour ago, and the snapshot does not say so."""
    charge = at(MINUTE) + at(31 * MINUTE)
    (finding,) = found(parts, seen("both", charge, 30 * MINUTE, 31 * MINUTE)).findings
    assert (finding.battery, finding.at_ms) == ("both", 31 * MINUTE)
    assert found(parts, seen("both", charge, MINUTE, 31 * MINUTE)).findings  # too wide


@pytest.mark.parametrize(
    ("off", "sound"), [(-JBD_MA_MS, True), (-JBD_MA_MS - 9, False), (9, False)]
)
def test_jbd_is_as_fine_as_ten_milliampere_hours(parts: Parts, off: int, *, sound: bool) -> None:
    one = replace(seen("a", at(MINUTE) + off, MINUTE, MINUTE, 1), sources=1)
    assert (not found(parts, one).findings) is sound


@pytest.mark.parametrize(("off", "sound"), [(-STEP, True), (-STEP - 9, False), (9, False)])
def test_sunspec_is_as_fine_as_its_state_of_charge(parts: Parts, off: int, *, sound: bool) -> None:
    one = replace(seen("b", at(MINUTE) + off, MINUTE, MINUTE, 1), sources=1)
    assert (not found(parts, one).findings) is sound


def test_readings_in_the_journal_say_how_late_and_how_coarse_a_battery_is(parts: Parts) -> None:
    late = replace(seen("b", at(3 * MINUTE), MINUTE, MINUTE, 1), sources=1)
    assert found(parts, late).findings
    values = [1, 0, 0, 0, 0, 100 * AH]
    details = {"name": "b", "values": values, "oldest_ms": MINUTE, "newest_ms": MINUTE}
    assert not found(parts, late, events=[Event(1, 3 * MINUTE, READ, details)]).findings
    cut = replace(late, charge_ma_ms=at(MINUTE) - STEP - 5 * AH)
    coarse = Event(1, MINUTE, READ, details | {"values": [1, 0, 0, 0, 0, 95 * AH]})
    assert found(parts, cut).findings
    assert not found(parts, cut, events=[coarse]).findings


def test_who_is_out_of_reach_adds_nothing(parts: Parts) -> None:
    assert not found(parts, seen("both", at(MINUTE), MINUTE, MINUTE, online=1)).findings
    assert found(parts, seen("both", 2 * at(MINUTE), MINUTE, MINUTE, online=1)).findings
    assert found(parts, seen("both", at(MINUTE), MINUTE, MINUTE, online=2)).findings
    assert not found(parts, seen("both", 0, MINUTE, MINUTE, online=0)).findings
    assert found(parts, seen("both", 1, MINUTE, MINUTE, online=0)).findings


@pytest.mark.parametrize(("width_ms", "sound"), [(62_001, True), (62_002, False), (-1, False)])
def test_an_interval_is_no_wider_than_staleness_waiting_and_reading(
    parts: Parts, width_ms: int, *, sound: bool
) -> None:
    """A minute old, 100 ms waited at ten times the speed, and a second for a reading."""
    charge = 2 * at(10 * MINUTE)
    one = seen("both", charge, 10 * MINUTE, 10 * MINUTE + width_ms)
    assert (not found(parts, one).findings) is sound


def test_partitions_seen_with_one_interval_add_up(parts: Parts) -> None:
    charge = 2 * at(MINUTE)
    homes = seen("homes", charge * 6 // 10, MINUTE, MINUTE)
    grid = seen("grid", charge - homes.charge_ma_ms, MINUTE, MINUTE)
    assert not found(parts, homes, grid).findings
    less = replace(grid, charge_ma_ms=grid.charge_ma_ms - JBD_MA_MS - STEP - 9)
    (finding,) = found(parts, homes, less).findings
    assert finding.battery == "both"
    # Of another interval, they are not of one moment, and nothing can be said of their sum.
    assert not found(parts, homes, replace(less, newest_ms=MINUTE + 1)).findings


def test_a_partition_is_no_more_than_its_battery(parts: Parts) -> None:
    assert found(parts, seen("homes", 2 * at(MINUTE) + 9, MINUTE, MINUTE)).findings


def test_what_came_or_went_or_is_not_known_is_left_out(parts: Parts) -> None:
    wrong = seen("homes", 200 * AH, MINUTE, MINUTE)
    removed = Event(1, 5, REMOVE, {"name": "grid"})
    assert found(parts, wrong, events=[removed]).held == 1
    removed = Event(1, 5, REMOVE, {"name": "both"})
    assert found(parts, wrong, events=[removed]).held == 0
    assert found(parts, replace(wrong, subject="another")).held == 0


def test_of_very_many_every_nth_is_held(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.check.snapshots.LOOKS_MAX", 10)
    many = [seen("both", 2 * at(MINUTE), MINUTE, MINUTE)] * 20
    assert found(parts, *many).held == 5
