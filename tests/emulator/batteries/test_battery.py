"""Commands to a battery, and its own record of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.batteries.battery import Battery, OverLimitError, UnrecordedError
from emulator.batteries.physics import Course, Ratings
from emulator.batteries.record import (
    BatteryRecord,
    Begun,
    Changed,
    Ended,
    Entry,
    Executed,
    Refused,
    read_record,
)

AH = 3_600_000_000
HOUR_MS = 3_600_000
RATINGS = Ratings(capacity_ma_ms=110 * AH, charge_ma_max=40_000, discharge_ma_max=60_000)


class Recorded:
    """A battery that begins with 55 Ah, and its record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = BatteryRecord(path)
        self.battery = Battery(3, "battery-0000004", RATINGS, Course(0, 55 * AH), self.record)

    @property
    def entries(self) -> list[Entry]:
        return list(read_record(self.path))


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    made = Recorded(tmp_path / "batteries" / "process-0.ndjson")
    yield made
    made.record.close()


def test_a_set_current_flows_until_the_next_command(recorded: Recorded) -> None:
    battery = recorded.battery
    battery.set_current(40_000, HOUR_MS)
    battery.set_current(-20_000, 2 * HOUR_MS)
    assert battery.status(3 * HOUR_MS).charge_ma_ms == (55 - 40 + 20) * AH
    assert [entry for entry in recorded.entries if isinstance(entry, Executed)] == [
        Executed(3, 1, "current", 40_000, Changed(0, HOUR_MS, 55 * AH, 55 * AH, 0, 40_000)),
        Executed(
            3,
            2,
            "current",
            -20_000,
            Changed(HOUR_MS, 2 * HOUR_MS, 55 * AH, 15 * AH, 40_000, -20_000),
        ),
    ]


def test_begin_and_end_enclose_the_record(recorded: Recorded) -> None:
    battery = recorded.battery
    recorded.record.write(battery.begun("jbd"))
    battery.set_current(10_000, 0)
    recorded.record.write(battery.ended(HOUR_MS))
    begun, _, ended = recorded.entries
    name = "battery-0000004"
    assert begun == Begun(3, name, "jbd", 0, 55 * AH, 110 * AH, 40_000, 60_000, 1_000_000)
    assert ended == Ended(3, 1, Changed(0, HOUR_MS, 55 * AH, 45 * AH, 10_000, 10_000))


@pytest.mark.parametrize("current_ma", [60_001, -40_001])
def test_a_current_over_the_limits_is_refused_and_changes_nothing(
    recorded: Recorded, current_ma: int
) -> None:
    recorded.battery.set_current(5_000, 0)
    with pytest.raises(OverLimitError, match=r"battery-0000004: .* set -40000 .* to 60000 mA"):
        recorded.battery.set_current(current_ma, HOUR_MS)
    assert recorded.battery.status(HOUR_MS).current_ma == 5_000
    refused = Refused(3, "current", current_ma, HOUR_MS, "over the limits")
    assert recorded.entries[-1] == refused
    assert recorded.battery.commands == 1


def test_nothing_flows_in_a_disabled_direction(recorded: Recorded) -> None:
    battery = recorded.battery
    flows = []
    for directions in range(4):
        battery.disable(directions, 0)
        for current_ma in (-7, 0, 7):
            battery.set_current(current_ma, 0)
            flows.append(battery.status(0).current_ma)
    assert flows == [-7, 0, 7, 0, 0, 7, -7, 0, 0, 0, 0, 0]


def test_what_was_set_flows_again_once_its_direction_is_enabled(recorded: Recorded) -> None:
    battery = recorded.battery
    battery.set_current(10_000, 0)
    battery.disable(2, HOUR_MS)
    battery.disable(0, 2 * HOUR_MS)
    assert battery.status(3 * HOUR_MS).charge_ma_ms == 35 * AH
    kinds = [(entry.kind, entry.asked) for entry in recorded.entries if isinstance(entry, Executed)]
    assert kinds == [("current", 10_000), ("disabled", 2), ("disabled", 0)]


@pytest.mark.parametrize("directions", [-1, 4])
def test_there_are_two_directions(recorded: Recorded, directions: int) -> None:
    with pytest.raises(ValueError, match="write 0 to 3"):
        recorded.battery.disable(directions, 0)
    assert recorded.entries == []


def test_a_command_that_cannot_be_recorded_is_not_carried_out() -> None:
    record = BatteryRecord(Path("/dev/full"))
    battery = Battery(0, "full disk", RATINGS, Course(0, AH), record)
    with (
        closing(record),
        pytest.raises(UnrecordedError, match="full disk: a command was not carried out"),
    ):
        battery.set_current(1, 5)
    assert (battery.commands, battery.set_ma, battery.course) == (0, 0, Course(0, AH))


def test_time_never_runs_backwards(recorded: Recorded) -> None:
    recorded.battery.set_current(10, 100)
    recorded.battery.set_current(20, 50)
    assert recorded.battery.status(0).at_ms == 100


Told = st.tuples(st.integers(0, 20 * HOUR_MS), st.integers(-40_000, 60_000), st.integers(0, 3))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(Told, max_size=12))
def test_the_record_alone_accounts_for_all_charge(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, int]]
) -> None:
    recorded = Recorded(tmp_path_factory.mktemp("record") / "one.ndjson")
    battery = recorded.battery
    recorded.record.write(battery.begun("jbd"))
    at_ms = 0
    for wait_ms, current_ma, directions in told:
        at_ms += wait_ms
        battery.set_current(current_ma, at_ms)
        battery.disable(directions, at_ms)
    recorded.record.write(battery.ended(at_ms + HOUR_MS))
    recorded.record.close()
    begun, *rest = recorded.entries
    assert isinstance(begun, Begun)
    at_ms, charge, flowing = begun.at_ms, begun.charge_ma_ms, 0
    for entry in rest:
        assert isinstance(entry, Executed | Ended)
        changed = entry.changed
        assert (changed.since_ms, changed.charge_before_ma_ms) == (at_ms, charge)
        assert changed.current_before_ma == flowing
        moved = charge - flowing * (changed.at_ms - changed.since_ms)
        assert changed.charge_ma_ms == min(begun.capacity_ma_ms, max(0, moved))
        at_ms, charge, flowing = changed.at_ms, changed.charge_ma_ms, changed.current_ma
    assert len(rest) == 2 * len(told) + 1
