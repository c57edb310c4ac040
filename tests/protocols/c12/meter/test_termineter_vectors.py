"""Tables that termineter 1.0.6 has read, and what it made of them.

The octets were given to its ``c1219.access.general`` and ``c1219.access.log``, which decoded them
as the comments say; ST8 is what its ``run_procedure`` takes apart. From then on they are fixed.
ST76 it does not decode: its entries have the layout of ST74's.
"""

from __future__ import annotations

from typing import Final

import pytest

from protocols.c12.meter import Meter
from protocols.c12.services import FullRead, FullWrite, ReadBody
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged

TABLES: Final = {
    # little endian, ISO 646, electric, version 2; every table but those numbered 7 modulo 8
    0: (
        "021c8b4d5354300200404002000a0103010100eb99e112000098e0811f06fb062006e000000000000000000000"
    ),
    # MTSM EMULATED 1.0 1.0 MST0000000000002
    1: ("4d54534d454d554c41544544010001004d535430303030303030303030303032"),
    # mode 1, status 4097
    3: ("0101100000"),
    # HOUSE 12
    5: ("484f555345203132202020202020202020202020"),
    # procedure 9, sequence 6: completed, data 01
    8: ("0900060001"),
    # 32 history and 256 event entries, 4 octets of arguments each
    71: ("060700040420000001000000"),
}
HISTORY: Final = (
    # 4 valid entries, the last at element 4 with number 4, 4 unread; element 0 was never filled
    "0404000400040000000400"
    "0000000000000000000000000000"
    # 15 Nov 2023 00:00:30, number 1: event 10 (table written), argument 5
    "1e0a5465010000000a0005000000"
    # number 2: event 9 (procedure invoked), argument 21
    "1e0a546502000000090015000000"
    # number 3: event 20 (demand reset)
    "1e0a546503000000140000000000"
    # number 4: event 9, argument 9
    "1e0a546504000000090009000000"
)
HISTORY_ENTRIES: Final = 32
EVENTS: Final = (
    # 1 valid entry, the last at element 1 with number 1, 1 unread; element 0 was never filled
    "0401000100010000000100"
    "0000000000000000000000000000"
    # 14 Nov 2023 22:58:20, number 1: event 1 (power down)
    "8cfb536501000000010000000000"
)


@pytest.fixture
def meter() -> Meter:
    """Return a meter that was renamed, disconnected and reset."""
    model = AnsiConcentrator(raised=[logged(1, 3, 1, 1)])
    model.meter_state(1).status_bits = 1 << 12 | 1
    meter = granted(model, 1)
    meter.handle(FullWrite(5, b"HOUSE 12".ljust(20)), now=0.0)
    meter.handle(FullWrite(7, bytes.fromhex("1500 05 0000")), now=0.0)
    meter.handle(FullWrite(7, bytes.fromhex("0900 06 01")), now=0.0)
    return meter


@pytest.mark.parametrize("number", TABLES)
def test_a_table_is_what_termineter_read(meter: Meter, number: int) -> None:
    assert table(meter, number).hex() == TABLES[number]


def test_the_history_is_what_termineter_read(meter: Meter) -> None:
    blank = bytes(14).hex() * (HISTORY_ENTRIES - 5)
    assert table(meter, 74).hex() == HISTORY + blank


def test_the_event_log_is_laid_out_like_the_history(meter: Meter) -> None:
    assert table(meter, 76).hex()[: len(EVENTS)] == EVENTS


def table(meter: Meter, number: int) -> bytes:
    return ReadBody.decode(meter.handle(FullRead(number), now=0.0).body).data
