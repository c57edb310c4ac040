"""A battery on a JBD line: what it shows, what it takes, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.batteries.device import IDLE_S
from emulator.batteries.jbd import READ, WRITE, JbdSession
from emulator.batteries.physics import Ratings
from emulator.batteries.record import Executed
from protocols.bms.jbd import (
    ENTER_CODE,
    ENTER_FACTORY_MODE,
    MAX_CHARGE_CURRENT,
    MAX_DISCHARGE_CURRENT,
    REGISTERS,
    REGULATOR,
    STATUS,
    Answered,
    JbdClient,
    Mosfets,
    PackStatus,
    Protection,
    Refused,
    Register,
    Written,
)
from tests.support.batteries import AH, HOUR_MS, Bench

READ_STATUS = bytes.fromhex("dda50300fffd77")
DISCHARGE_ONLY = bytes.fromhex("dd5ae1020001ff1c77")
CHARGE_ONLY = bytes.fromhex("dd5ae1020002ff1b77")
BOTH_OFF = bytes.fromhex("dd5ae1020003ff1a77")
DONE = bytes.fromhex("dde10000000077")


class Line:
    """A JBD line to a battery, a host at its other end."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.session = JbdSession(bench.battery, bench.now_ms, 0.0)
        self.host = JbdClient()

    def raw(self, octets: bytes) -> bytes:
        self.session.receive_data(octets, now=0.0)
        return self.session.data_to_send()

    def read(self, register: Register[Any]) -> Any:
        self.host.read(register, now=0.0)
        event = self._event()
        assert isinstance(event, Answered), event
        return event.value

    def write(self, register: Register[Any], value: Any) -> object:
        self.host.write(register, value, now=0.0)
        return self._event()

    def _event(self) -> object:
        self.host.receive_data(self.raw(self.host.data_to_send()), now=0.0)
        return self.host.next_event()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    bench = Bench(tmp_path)
    yield Line(bench)
    bench.record.close()


def test_register_03_octet_by_octet(line: Line) -> None:
    line.bench.battery.set_current(40_000, 0)
    line.bench.at_ms = HOUR_MS  # 15 of 110 Ah are 13 %: 3,218 mV at rest, less 40
    reply = line.raw(READ_STATUS)
    assert reply[:4].hex() == "dd03001b"
    body = (
        "13dc"  # 16 x 3,178 mV = 50,848 mV, in steps of 10 mV 5,084
        "f060"  # -40.00 A on the wire: discharging
        "05dc"  # 15.00 Ah
        "2af8"  # 110.00 Ah
        "0000"  # cycles
        "3221"  # 2025-01-01: 25 << 9 | 1 << 5 | 1
        "00000000"  # balance
        "0000"  # no protection
        "10"  # version
        "0d"  # 13 %
        "03"  # both transistors conduct
        "10"  # 16 cells
        "02"  # two sensors
        "0ba50ba5"  # 298.1 K
    )
    assert reply[4:-3].hex() == body
    checksum = (0x10000 - sum(reply[2:-3])) & 0xFFFF
    assert reply[-3:] == checksum.to_bytes(2, "big") + b"\x77"


def test_current_that_is_set_flows_and_shows(line: Line) -> None:
    assert line.write(REGULATOR, -40_000) == Written(REGULATOR)
    line.bench.at_ms = HOUR_MS
    assert line.bench.battery.status(HOUR_MS).charge_ma_ms == 95 * AH
    shown = line.read(STATUS)
    assert isinstance(shown, PackStatus)
    assert (shown.current_ma, shown.remaining_mah) == (-40_000, 95_000)
    assert line.read(REGULATOR) == -40_000


@pytest.mark.parametrize("current_ma", [60_001, -40_001, 2**31 - 1, -(2**31) + 1])
def test_current_over_the_limits_gets_a_refusal_and_the_line_lives(
    line: Line, current_ma: int
) -> None:
    assert line.write(REGULATOR, current_ma) == Refused(REGULATOR)
    assert line.session.refusals() == ["OverLimitError"]
    assert line.session.refusals() == []
    assert line.read(REGULATOR) == 0


@pytest.mark.parametrize(
    ("request_octets", "charges", "discharges", "mosfets"),
    [
        (DISCHARGE_ONLY, False, True, Mosfets.DISCHARGE),
        (CHARGE_ONLY, True, False, Mosfets.CHARGE),
        (BOTH_OFF, False, False, Mosfets.NONE),
    ],
)
def test_transistors_stop_the_current_of_their_direction(
    line: Line, request_octets: bytes, charges: bool, discharges: bool, mosfets: Mosfets
) -> None:
    assert line.raw(request_octets) == DONE
    for current_ma, flows in ((-10_000, charges), (10_000, discharges)):
        assert line.write(REGULATOR, current_ma) == Written(REGULATOR)
        assert line.read(STATUS).current_ma == (current_ma if flows else 0)
    assert line.read(STATUS).mosfets == mosfets
    assert line.read(STATUS).protection == Protection.LOCKED


def test_an_end_of_the_charge_shows_as_protection(tmp_path: Path) -> None:
    for charge, mosfets, protection in (
        (0, Mosfets.CHARGE, Protection.CELL_UNDERVOLTAGE),
        (110 * AH, Mosfets.DISCHARGE, Protection.CELL_OVERVOLTAGE),
    ):
        bench = Bench(tmp_path, charge_ma_ms=charge)
        shown = Line(bench).read(STATUS)
        assert (shown.mosfets, shown.protection) == (mosfets, protection)
        bench.record.close()


def test_limits_are_read_in_factory_mode(line: Line) -> None:
    assert line.write(ENTER_FACTORY_MODE, ENTER_CODE) == Written(ENTER_FACTORY_MODE)
    assert line.read(MAX_CHARGE_CURRENT) == 40_000
    assert line.read(MAX_DISCHARGE_CURRENT) == 60_000


def test_every_register_of_the_table_has_its_answer() -> None:
    modes = {0x00, 0x01}  # kept by the protocol itself
    for number, register in REGISTERS.items():
        if number not in modes:
            assert (number in READ) == register.readable
            assert (number in WRITE) == register.writable


def test_the_largest_battery_that_may_speak_jbd_can_say_so(tmp_path: Path) -> None:
    ratings = Ratings(655_350 * 3_600_000, 327_670, 327_670, cells=32)
    bench = Bench(tmp_path, ratings, 655_350 * 3_600_000)
    line = Line(bench)
    line.write(REGULATOR, 327_670)
    shown = line.read(STATUS)
    assert (shown.current_ma, shown.remaining_mah) == (327_670, 655_350)
    bench.record.close()


def test_requests_may_be_split_anywhere(line: Line) -> None:
    whole = line.raw(READ_STATUS)
    answers = b"".join(line.raw(READ_STATUS[at : at + 1]) for at in range(len(READ_STATUS)))
    assert answers == whole


def test_damage_is_counted_and_what_follows_is_answered(line: Line) -> None:
    damaged = DISCHARGE_ONLY[:-2] + b"\x00\x77"
    whole = line.raw(READ_STATUS)
    assert line.raw(damaged + b"noise" + READ_STATUS) == whole
    causes = line.session.refusals()
    assert "jbd bad_checksum" in causes
    assert "jbd garbage" in causes
    assert line.bench.battery.disabled == 0


def test_a_frame_that_is_cut_off_by_the_end_is_counted(line: Line) -> None:
    line.raw(READ_STATUS[:-1])
    line.session.receive_eof()
    assert "jbd truncated" in line.session.refusals()


def test_a_frame_that_stops_is_given_up_on(line: Line) -> None:
    line.raw(DISCHARGE_ONLY[:5])
    deadline = line.session.deadline
    assert deadline is not None
    assert deadline < IDLE_S
    line.session.handle_deadline(deadline)
    assert line.raw(READ_STATUS)[:3].hex() == "dd0300"


def test_what_lay_behind_a_frame_that_stopped_is_answered(line: Line) -> None:
    announced = bytes.fromhex("dd5ae1ff")
    assert line.raw(announced + READ_STATUS) == b""
    deadline = line.session.deadline
    assert deadline is not None
    line.session.handle_deadline(deadline)
    assert line.session.data_to_send()[:3].hex() == "dd0300"
    assert line.session.deadline == IDLE_S


def test_a_line_that_nobody_uses_ends(line: Line) -> None:
    line.session.receive_data(READ_STATUS, now=100.0)
    assert line.session.deadline == 100.0 + IDLE_S
    line.session.handle_deadline(100.0 + IDLE_S)
    assert line.session.deadline is None


def test_two_lines_reach_one_battery(line: Line) -> None:
    other = Line(line.bench)
    line.write(REGULATOR, 1_000)
    assert other.read(REGULATOR) == 1_000
    other.write(REGULATOR, 2_000)
    assert [e.sequence for e in line.bench.entries if isinstance(e, Executed)] == [1, 2]
