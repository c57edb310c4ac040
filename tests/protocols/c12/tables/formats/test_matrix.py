"""2 byte orders x 14 NI_FORMATs x 5 TM_FORMATs, against octets written out by hand."""

from __future__ import annotations

import struct
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.formats import ByteOrder, NumberFormat, TimeFormat
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types
from protocols.lowering import lower, lower_to_dtype

# Value, octets when the most significant comes first, whether they turn round in little endian.
NUMBERS: dict[NumberFormat, tuple[Any, str, bool]] = {
    NumberFormat.FLOAT64: (-1234.5, "c0934a0000000000", True),
    NumberFormat.FLOAT32: (-1234.5, "c49a5000", True),
    NumberFormat.CHAR12: (-1234, b"       -1234".hex(), False),
    NumberFormat.CHAR6: (-1234, b" -1234".hex(), False),
    NumberFormat.INT32_FOUR_DECIMALS: (Decimal("-12.3456"), "fffe1dc0", True),
    NumberFormat.BCD6: (1234, "000000001234", False),
    NumberFormat.BCD4: (1234, "00001234", False),
    NumberFormat.INT24: (-1234, "fffb2e", True),
    NumberFormat.INT32: (-1234, "fffffb2e", True),
    NumberFormat.INT40: (-1234, "fffffffb2e", True),
    NumberFormat.INT48: (-1234, "fffffffffb2e", True),
    NumberFormat.INT64: (-1234, "fffffffffffffb2e", True),
    NumberFormat.BCD8: (1234, "0000000000001234", False),
    NumberFormat.CHAR21: (-1234, b"                -1234".hex(), False),
}
LTIME_S = 1_700_000_000  # 2023-11-14 22:13:20 UTC
STIME_S = 1_699_999_980  # 2023-11-14 22:13:00 UTC
# Parts that turn round in little endian each by itself.
LTIMES = {
    TimeFormat.NONE: [],
    TimeFormat.BCD_FIELDS: ["23", "11", "14", "22", "13", "20"],
    TimeFormat.UINT8_FIELDS: ["17", "0b", "0e", "16", "0d", "14"],
    TimeFormat.MINUTES_SINCE_1970: ["01b05515", "14"],
    TimeFormat.SECONDS_SINCE_1970: ["6553f100"],
}
STIMES = {
    TimeFormat.NONE: [],
    TimeFormat.BCD_FIELDS: ["23", "11", "14", "22", "13"],
    TimeFormat.UINT8_FIELDS: ["17", "0b", "0e", "16", "0d"],
    TimeFormat.MINUTES_SINCE_1970: ["01b05515"],
    TimeFormat.SECONDS_SINCE_1970: ["6553f0ec"],
}
MATRIX = list(product(ByteOrder, NumberFormat, TimeFormat))


def turned(hexadecimal: str, order: ByteOrder) -> bytes:
    octets = bytes.fromhex(hexadecimal)
    return octets[::-1] if order is ByteOrder.LITTLE else octets


def expected(order: ByteOrder, ni: NumberFormat, tm: TimeFormat) -> bytes:
    _, octets, turns = NUMBERS[ni]
    number = turned(octets, order) if turns else bytes.fromhex(octets)
    times = LTIMES[tm] + STIMES[tm]
    return number + b"".join(turned(part, order) for part in times)


def types_of(order: ByteOrder, ni: NumberFormat, tm: TimeFormat, *, columns: bool = False) -> Types:
    configuration = Configuration(byte_order=order, number_format_1=ni, time_format=tm)
    return Types(configuration, columns)


def declaration(types: Types) -> Any:
    return record(
        "number" / types.number_1,
        present(True, "ltime", types.ltime),
        present(True, "stime", types.stime),
    )


@pytest.mark.parametrize(("order", "ni", "tm"), MATRIX)
def test_values_and_octets(order: ByteOrder, ni: NumberFormat, tm: TimeFormat) -> None:
    codec = lower(declaration(types_of(order, ni, tm)))
    times = {} if tm is TimeFormat.NONE else {"ltime": LTIME_S, "stime": STIME_S}
    values = {"number": NUMBERS[ni][0], **times}
    assert codec.build(values) == expected(order, ni, tm)
    assert codec.parse(expected(order, ni, tm)) == values
    assert type(codec.parse(expected(order, ni, tm))["number"]) is type(NUMBERS[ni][0])


@pytest.mark.parametrize(("order", "ni", "tm"), MATRIX)
def test_columns_and_octets(order: ByteOrder, ni: NumberFormat, tm: TimeFormat) -> None:
    types = types_of(order, ni, tm, columns=True)
    layout = lower_to_dtype(declaration(types))
    value = NUMBERS[ni][0]
    column = np.array([value * ni.unit, 0]).astype(np.float64 if ni.is_float else np.int64)
    number, ltime, stime = types.number_1_field(), types.ltime_field(), types.stime_field()
    columns = {"number": number.to_wire(column)}
    if ltime is not None and stime is not None:
        columns["ltime"] = ltime.to_wire(np.array([LTIME_S, LTIME_S]))
        columns["stime"] = stime.to_wire(np.array([STIME_S, STIME_S]))
    octets = layout.encode(columns, 2).tobytes()
    assert octets[: layout.size] == expected(order, ni, tm)
    rows = layout.decode(octets, 2)
    assert number.to_values(rows["number"]).tolist() == column.tolist()
    if ltime is not None and stime is not None:
        assert ltime.to_values(rows["ltime"]).tolist() == [LTIME_S, LTIME_S]
        assert stime.to_values(rows["stime"]).tolist() == [STIME_S, STIME_S]


def test_the_octets_by_hand_agree_with_struct() -> None:
    assert struct.pack(">d", -1234.5).hex() == NUMBERS[NumberFormat.FLOAT64][1]
    assert struct.pack(">f", -1234.5).hex() == NUMBERS[NumberFormat.FLOAT32][1]
    assert struct.pack(">i", -123456).hex() == "fffe1dc0"
    for size, ni in ((3, "INT24"), (4, "INT32"), (5, "INT40"), (6, "INT48"), (8, "INT64")):
        octets = (-1234).to_bytes(size, "big", signed=True).hex()
        assert octets == NUMBERS[NumberFormat[ni]][1]
    assert struct.pack(">IB", LTIME_S // 60, LTIME_S % 60).hex() == "01b0551514"
    assert struct.pack(">II", LTIME_S, STIME_S).hex() == "6553f1006553f0ec"


@pytest.mark.parametrize("ni", NumberFormat)
def test_sizes(ni: NumberFormat) -> None:
    types = types_of(ByteOrder.BIG, ni, TimeFormat.NONE)
    assert types.number_1_field().size == ni.size == len(bytes.fromhex(NUMBERS[ni][1]))
