"""Tables that termineter 1.0.6 decoded to the values named here.

termineter (BSD-3) was run by hand over these octets in November 2026: `C1219GeneralAccess` gave
manufacturer, model, serial number, mode, status and identification, `C1219LogAccess` the history,
`C1219ProcedureInit.from_bytes` the procedure, all in both byte orders.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
from protocols.c12.tables.dimensions import Dimensions
from protocols.c12.tables.formats import ByteOrder, TimeFormat
from protocols.c12.tables.logs import LogEntry, LogImage, decode_log, encode_log
from protocols.c12.tables.registry import STANDARD_TABLES, encode_dimensions, read_dimensions

LITTLE = {
    0: "021c8a4d5354300200404002000a0003000100eb99e112000098e0811ffb0703e000000000000000000a",
    3: "0100110000",
    7: "0a304d616263",
    71: "060a00020204000300000000",
    74: "0404000100050000000200"
    "f4f15365040002000900040931f25365050002002f00052f"
    "7af153650200020014000214b7f15365030002000b00030b",
}
BIG = {
    0: "031c8a4d5354300200404002000a0003000100eb99e112000098e0811ffb0703e000000000000000000a",
    3: "0111000000",
    7: "300a4d616263",
    71: "060a00020200040003000000",
    74: "0400040001000000050002"
    "6553f1f400040002000904096553f23100050002002f052f"
    "6553f17a00020002001402146553f1b700030002000b030b",
}
BOTH = [
    pytest.param(ByteOrder.LITTLE, LITTLE, id="little"),
    pytest.param(ByteOrder.BIG, BIG, id="big"),
]
HISTORY = tuple(
    LogEntry(number, 1_700_000_000 + 61 * number, code, user=2, argument=bytes([number, code]))
    for number, code in ((2, 20), (3, 11), (4, 9), (5, 47))
)
DIMENSIONS = meter_dimensions(history_entries=4, event_entries=3)


def configuration_of(order: ByteOrder) -> Configuration:
    return replace(CONFIGURATION, byte_order=order)


@pytest.mark.parametrize(("order", "tables"), BOTH)
def test_general_configuration(order: ByteOrder, tables: dict[int, str]) -> None:
    assert configuration_of(order).encode().hex() == tables[0]
    read = Configuration.decode(bytes.fromhex(tables[0]))
    assert replace(read, set_sizes=None) == configuration_of(order)


def test_manufacturer_and_identification() -> None:
    values = {
        "manufacturer": "MSTM",
        "model": "EMULATE1",
        "hardware_version": 1,
        "hardware_revision": 2,
        "firmware_version": 3,
        "firmware_revision": 4,
        "serial_number": "MST0000000000042",
    }
    octets = b"MSTMEMULATE1\x01\x02\x03\x04MST0000000000042"
    assert STANDARD_TABLES.encode(1, values, CONFIGURATION) == octets
    assert STANDARD_TABLES.decode(1, octets, CONFIGURATION) == values
    identification = {"identification": "MST0000000000042"}
    octets = b"MST0000000000042    "
    assert STANDARD_TABLES.encode(5, identification, CONFIGURATION) == octets
    assert STANDARD_TABLES.decode(5, octets, CONFIGURATION) == identification


@pytest.mark.parametrize(("order", "tables"), BOTH)
def test_mode_and_status_4352(order: ByteOrder, tables: dict[int, str]) -> None:
    values = STANDARD_TABLES.decode(3, bytes.fromhex(tables[3]), configuration_of(order))
    assert [name for name, on in values["mode"].items() if on] == ["metering"]
    on = [name for name, flag in values["standard_status_1"].items() if flag]
    assert on == ["low_battery", "tamper_detected"]
    assert STANDARD_TABLES.encode(3, values, configuration_of(order)).hex() == tables[3]


@pytest.mark.parametrize(("order", "tables"), BOTH)
def test_procedure_10_with_sequence_77(order: ByteOrder, tables: dict[int, str]) -> None:
    values = {
        "procedure": {"number": 10, "manufacturer": False, "selector": 3},
        "sequence": 77,
        "parameters": b"abc",
    }
    assert STANDARD_TABLES.encode(7, values, configuration_of(order)).hex() == tables[7]
    assert STANDARD_TABLES.decode(7, bytes.fromhex(tables[7]), configuration_of(order)) == values


@pytest.mark.parametrize(("order", "tables"), BOTH)
def test_log_dimensions(order: ByteOrder, tables: dict[int, str]) -> None:
    configuration = configuration_of(order)
    assert encode_dimensions(DIMENSIONS, configuration)[71].hex() == tables[71]
    read = read_dimensions({71: bytes.fromhex(tables[71])}, configuration)
    assert read == Dimensions(log=DIMENSIONS.log)


@pytest.mark.parametrize(("order", "tables"), BOTH)
def test_history(order: ByteOrder, tables: dict[int, str]) -> None:
    configuration = configuration_of(order)
    image = LogImage(HISTORY, unread=2)
    assert encode_log(74, image, configuration, DIMENSIONS).hex() == tables[74]
    assert decode_log(74, bytes.fromhex(tables[74]), configuration, DIMENSIONS) == image


def test_history_with_dates_as_fields() -> None:
    configuration = replace(CONFIGURATION, time_format=TimeFormat.UINT8_FIELDS)
    data = encode_log(74, LogImage(HISTORY), configuration, DIMENSIONS)
    # termineter: NOV 14 2023 22:17:24 for the entry in element 0.
    assert data[11:17].hex() == "170b0e161118"
