"""Rows of readings from decoded A-XDR, as ours or as another vendor writes them.

What is understood besides our own layout: names as octet-string or visible-string of 1 to 16
octets, any integer type for status and registers as long as the value fits, a capture time as
octet-string(12), date-time or Unix time in a double-long-unsigned, null-data for the capture time
of the row before, a compact-array of rows, no push setup in the body.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from protocols.dlms.axdr import expand_compact_array
from protocols.dlms.clock import decode_date_time
from protocols.dlms.data import CompactArray, Data, DataType
from protocols.errors import CodecError
from protocols.readings import ReadingBatch

CODEC: Final = "push"
NAME_SIZE_MAX: Final = 16
LEADING_FIELDS: Final = 3
"""Meter, capture time and status come before the registers."""
_INTEGERS: Final = frozenset(
    {
        DataType.INTEGER,
        DataType.LONG,
        DataType.DOUBLE_LONG,
        DataType.LONG64,
        DataType.UNSIGNED,
        DataType.LONG_UNSIGNED,
        DataType.DOUBLE_LONG_UNSIGNED,
        DataType.LONG64_UNSIGNED,
        DataType.ENUM,
    }
)


def read_body(body: Data) -> tuple[bytes, Data]:
    """Return the concentrator's name and the rows of a notification-body, or raise `CodecError`."""
    items = _items(body, "body")
    if body.type is not DataType.STRUCTURE or len(items) not in (2, 3):
        raise CodecError(f"expected a structure of 3, found {_words(body)}", codec=CODEC)
    if len(items) == LEADING_FIELDS and items[1].type is not DataType.OCTET_STRING:
        raise CodecError(f"found {_words(items[1])}", codec=CODEC, path="push_setup")
    return _name(items[0], "concentrator"), items[-1]


def read_rows(concentrator: bytes, data: Data) -> ReadingBatch:
    """Return an array or compact-array of rows as columns, or raise `CodecError`."""
    rows = [_row(item, index) for index, item in enumerate(_row_items(data))]
    registers = len(rows[0]) - LEADING_FIELDS if rows else 0
    for index, fields in enumerate(rows):
        if len(fields) != registers + LEADING_FIELDS:
            message = f"{len(fields) - LEADING_FIELDS} registers, {registers} before"
            raise CodecError(message, codec=CODEC, path=f"rows[{index}]")
    return ReadingBatch(
        concentrator,
        np.array([_name(f[0], f"rows[{i}].meter") for i, f in enumerate(rows)], "S16"),
        np.array(_times([fields[1] for fields in rows]), np.int64),
        np.array([_integer(f[2], 0xFF, f"rows[{i}].status") for i, f in enumerate(rows)], np.uint8),
        _values(rows, registers),
    )


def _row_items(data: Data) -> tuple[Data, ...]:
    if isinstance(data.value, CompactArray):
        data = expand_compact_array(data.value)
    if data.type is not DataType.ARRAY:
        raise CodecError(f"expected an array, found {_words(data)}", codec=CODEC, path="rows")
    return _items(data, "rows")


def _row(data: Data, index: int) -> tuple[Data, ...]:
    fields = _items(data, f"rows[{index}]")
    if data.type is not DataType.STRUCTURE or len(fields) <= LEADING_FIELDS:
        message = f"expected a structure with registers, found {_words(data)}"
        raise CodecError(message, codec=CODEC, path=f"rows[{index}]")
    return fields


def _items(data: Data, path: str) -> tuple[Data, ...]:
    if not isinstance(data.value, tuple):
        raise CodecError(f"found {_words(data)}", codec=CODEC, path=path)
    return data.value


def _name(data: Data, path: str) -> bytes:
    name = data.value
    if data.type is DataType.VISIBLE_STRING and isinstance(name, str):
        name = name.encode("latin-1")
    if not isinstance(name, bytes) or not 1 <= len(name) <= NAME_SIZE_MAX:
        raise CodecError(f"expected 1 to 16 octets, found {_words(data)}", codec=CODEC, path=path)
    return name


def _integer(data: Data, highest: int, path: str) -> int:
    value = data.value
    if data.type not in _INTEGERS or not isinstance(value, int) or not 0 <= value <= highest:
        raise CodecError(f"expected 0 to {highest}, found {_words(data)}", codec=CODEC, path=path)
    return value


def _values(
    rows: Sequence[Sequence[Data]], registers: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint32]]:
    values = np.empty((len(rows), registers), np.uint32)
    for index, fields in enumerate(rows):
        for register, data in enumerate(fields[LEADING_FIELDS:]):
            path = f"rows[{index}].registers[{register}]"
            values[index, register] = _integer(data, 0xFFFF_FFFF, path)
    return values


def _times(times: Sequence[Data]) -> list[int]:
    read: list[int] = []
    for index, data in enumerate(times):
        path = f"rows[{index}].captured_at"
        if data.type is DataType.NULL_DATA and read:
            read.append(read[-1])
        elif data.type is DataType.DOUBLE_LONG_UNSIGNED:
            read.append(_integer(data, 0xFFFF_FFFF, path))
        elif data.type in (DataType.OCTET_STRING, DataType.DATE_TIME):
            read.append(_date_time(data, path))
        else:
            raise CodecError(f"expected a time, found {_words(data)}", codec=CODEC, path=path)
    return read


def _date_time(data: Data, path: str) -> int:
    octets = data.value if isinstance(data.value, bytes) else b""
    try:
        return math.floor(decode_date_time(octets))
    except CodecError as exc:
        raise CodecError(str(exc), codec=CODEC, path=path) from exc


def _words(data: Data) -> str:
    """Describe a value in an error without repeating a long one."""
    name = data.type.name.lower().replace("_", "-")
    if isinstance(data.value, tuple | bytes | str):
        return f"{name} of {len(data.value)}"
    return name if data.value is None else f"{name} {data.value}"
