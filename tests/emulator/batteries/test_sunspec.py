"""A battery's SunSpec face: what it shows, what power it takes, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.batteries.battery import Battery
from emulator.batteries.device import IDLE_S
from emulator.batteries.physics import Course, Ratings
from emulator.batteries.record import BatteryRecord, Executed, Refused
from emulator.batteries.sunspec import SunSpecSession, battery_image, register_map
from protocols.sunspec import (
    Found,
    JobRefused,
    PowerSet,
    StatusRead,
    StorageStatus,
    SunSpecHost,
    power_of_current,
)
from tests.support.batteries import AH, HOUR_MS, Bench

RATINGS = Ratings(
    capacity_ma_ms=100 * AH,
    charge_ma_max=40_000,
    discharge_ma_max=60_000,
    cells=16,
    resistance_uohm=0,
)


class Connection:
    """A Modbus connection to a battery, a host at its other end."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        image = battery_image(bench.battery)
        self.session = SunSpecSession(bench.battery, bench.now_ms, 0.0, image)
        self.host = SunSpecHost(layout=register_map())

    def raw(self, octets: bytes) -> bytes:
        self.session.receive_data(octets, now=0.0)
        return self.session.data_to_send()

    def status(self) -> StorageStatus:
        self.host.read_status(now=0.0)
        event = self._event()
        assert isinstance(event, StatusRead), event
        return event.status

    def set_power(self, power_mw: int) -> object:
        self.host.set_power(power_mw, now=0.0)
        return self._event()

    def _event(self) -> object:
        while (event := self.host.next_event()) is None:
            self.host.receive_data(self.raw(self.host.data_to_send()), now=0.0)
        return event


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Connection]:
    bench = Bench(tmp_path, RATINGS, 40 * AH)
    yield Connection(bench)
    bench.record.close()


def write(address: int, *registers: int) -> bytes:
    """Return a Modbus frame, written out by hand: function 16."""
    data = b"".join(register.to_bytes(2, "big") for register in registers)
    pdu = b"\x10" + address.to_bytes(2, "big") + len(registers).to_bytes(2, "big")
    pdu += bytes([len(data)]) + data
    return b"\x00\x09\x00\x00" + (len(pdu) + 1).to_bytes(2, "big") + b"\x01" + pdu


def address_of(name: str, model: int = 704) -> int:
    return register_map().place((model, name)).address


def test_what_it_shows_is_one_moment(line: Connection) -> None:
    line.bench.battery.set_current(20_000, 0)
    line.bench.at_ms = HOUR_MS
    shown = line.status()
    # 20 of 100 Ah: 3,250 mV.
    assert (shown.voltage_mv, shown.current_ma) == (16 * 3_250, 20_000)
    assert shown.power_mw is not None
    assert abs(shown.power_mw - 20_000 * 16 * 3_250 // 1_000) < 1_000
    assert (shown.capacity_mah, shown.charge_ppm) == (100_000, 200_000)
    assert (shown.max_charge_current_ma, shown.max_discharge_current_ma) == (40_000, 60_000)
    assert shown.energy_mwh == shown.energy_capacity_mwh // 5  # type: ignore[operator]


@pytest.mark.parametrize("current_ma", [1, -1, 12_345, -39_999, 60_000, -40_000])
def test_a_power_made_of_a_current_at_the_voltage_shown_is_that_current(
    line: Connection, current_ma: int
) -> None:
    voltage_mv = line.bench.battery.status(0).voltage_mv
    power_mw = power_of_current(current_ma, voltage_mv)
    assert line.set_power(power_mw) == PowerSet(power_mw)
    (executed,) = line.bench.entries
    assert isinstance(executed, Executed)
    assert (executed.kind, executed.asked) == ("power", power_mw)
    assert executed.changed.current_ma == line.bench.battery.set_ma == current_ma


def test_a_little_too_much_power_gets_what_the_battery_is_built_for(line: Connection) -> None:
    voltage_mv = line.bench.battery.status(0).voltage_mv
    for current_ma, most_ma in ((60_000, 60_000), (-40_000, -40_000)):
        power_mw = power_of_current(current_ma, voltage_mv) * 101 // 100
        assert line.set_power(power_mw) == PowerSet(power_mw)
        assert line.bench.battery.set_ma == most_ma


@pytest.mark.parametrize("power_mw", [60_000 * 60, -40_000 * 60, 2**31 - 1])
def test_power_beyond_the_ratings_gets_an_exception_and_changes_nothing(
    line: Connection, power_mw: int
) -> None:
    line.set_power(1_000_000)
    held = line.bench.battery.set_ma
    refused = line.set_power(power_mw)
    assert isinstance(refused, JobRefused)
    assert refused.code == 3
    assert "OverLimitError" in line.session.refusals()
    assert line.bench.battery.set_ma == held > 0
    last = line.bench.entries[-1]
    assert isinstance(last, Refused)
    assert (last.kind, last.asked) == ("power", power_mw)
    # The registers have kept what is held.
    assert line.raw(write(address_of("WSetEna"), 1))[-5] == 0x10
    assert line.bench.battery.set_ma == held


def test_disabling_the_power_idles_the_battery_once(line: Connection) -> None:
    line.set_power(1_000_000)
    for _ in range(2):
        line.raw(write(address_of("WSetEna"), 0))
    assert line.bench.battery.set_ma == 0
    assert [e.asked for e in line.bench.entries if isinstance(e, Executed)] == [1_000_000, 0]


def test_a_power_that_is_not_enabled_is_no_command(line: Connection) -> None:
    scaled = write(address_of("WSet"), 0, 500)
    assert line.raw(scaled)[7] == 0x10
    assert line.bench.entries == []
    assert line.bench.battery.set_ma == 0


def test_points_beside_the_command_are_kept_and_move_nothing(line: Connection) -> None:
    assert line.raw(write(address_of("AlmRst", 802), 1))[7] == 0x10
    assert line.bench.entries == []


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (write(40_000, 1), 2),
        (write(address_of("WSet"), 0), 2),
        (bytes.fromhex("0001 0000 0006 01 01 0000 0001"), 1),
        (bytes.fromhex("0001 0000 0006 01 03 9c40 0000"), 3),
        (bytes.fromhex("0001 0000 0006 02 03 9c40 0001"), 11),
    ],
    ids=["the mark is read-only", "half a point", "coils", "no registers", "another unit"],
)
def test_what_cannot_be_gets_an_exception(line: Connection, octets: bytes, code: int) -> None:
    answer = line.raw(octets)
    assert answer[7] == octets[7] | 0x80
    assert answer[8] == code
    assert line.session.refusals() != []
    assert line.status().charge_ppm == 400_000


def test_a_command_that_cannot_be_recorded_is_a_device_failure() -> None:
    record = BatteryRecord(Path("/dev/full"))
    bench = Bench.__new__(Bench)
    bench.at_ms = 0
    bench.record = record
    course = Battery(0, "full disk", RATINGS, Course(0, AH), record)
    bench.battery = course
    refused = Connection(bench).set_power(1_000_000)
    record.close()
    assert isinstance(refused, JobRefused)
    assert refused.code == 4
    assert course.set_ma == 0


def test_octets_that_are_no_modbus_end_the_connection_after_what_was_answered(
    line: Connection,
) -> None:
    good = bytes.fromhex("0001 0000 0006 01 03 9c40 0002")
    answer = line.raw(good + b"GET / HTTP/1.1\r\n")
    assert answer[-4:] == b"SunS"
    assert line.session.deadline == 0.0
    line.session.handle_deadline(0.0)
    assert line.session.deadline is None
    assert line.session.refusals() == ["sunspec framing"]


def test_a_frame_that_is_cut_off_is_counted(line: Connection) -> None:
    line.raw(bytes.fromhex("0001 0000 0006 01"))
    assert line.session.deadline == IDLE_S
    line.session.receive_eof()
    assert line.session.refusals() == ["sunspec truncated"]


def test_two_connections_share_the_registers(line: Connection) -> None:
    image = battery_image(line.bench.battery)
    first, second = (
        SunSpecSession(line.bench.battery, line.bench.now_ms, 0.0, image) for _ in range(2)
    )
    first.receive_data(write(address_of("AlmRst", 802), 1), now=0.0)
    address = address_of("AlmRst", 802).to_bytes(2, "big")
    second.receive_data(b"\0\1\0\0\0\6\1\3" + address + b"\0\1", now=0.0)
    assert second.data_to_send()[-2:] == b"\0\1"


def test_a_host_that_knows_nothing_finds_the_models(line: Connection) -> None:
    line.host = SunSpecHost()
    line.host.find(now=0.0)
    found = line._event()
    assert isinstance(found, Found)
    assert [run.model for run in found.map.runs] == [1, 802, 713, 704]


@pytest.mark.parametrize(
    "ratings", [Ratings(1, 1, 1, cells=1), Ratings(36 * 10**12, 10**7, 10**7, cells=32)]
)
def test_the_smallest_and_the_largest_battery_can_say_everything(
    tmp_path: Path, ratings: Ratings
) -> None:
    for charge in (0, ratings.capacity_ma_ms):
        bench = Bench(tmp_path, ratings, charge)
        line = Connection(bench)
        for current_ma in (-ratings.charge_ma_max, ratings.discharge_ma_max):
            bench.battery.set_current(current_ma, 0)
            assert line.status().charge_ppm == 1_000_000 * bool(charge)
        bench.record.close()
