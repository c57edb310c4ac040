"""How a concentrator's readings look on the wire: interval-buffer rows and the push that has them.

A row of the interval buffer (profile generic) is a structure of 3 + registers::

    octet-string(16)  logical device name of the meter
    octet-string(12)  COSEM date-time of the capture: UTC, deviation 0, clock status 0
    unsigned          status
    double-long-unsigned, one for each register of the capture profile

A push is a DataNotification (Green Book 9.3.10) whose body is a structure of 3: the concentrator's
logical device name, the push setup's logical name, an array of such rows. The number of registers
tells the capture profile. All of it has one construct declaration per shape (registers, rows),
lowered to a numpy dtype; whatever does not fit the layout goes to the generic A-XDR decoder.

long-invoke-id-and-priority is a u32 (Green Book, "Long-Invoke-Id-And-Priority"): bits 0-23 the
invoke id, 24-27 reserved, 28 self-descriptive, 29 processing option (break on error), 30 service
class (confirmed), 31 priority (high).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from construct import Array, Bytes, Const, Int8ub, Int32ub, Struct
from numpy.typing import NDArray

from protocols.dlms.axdr import decode_data_at, decode_length_at, encode_length
from protocols.dlms.clock import encode_date_time
from protocols.dlms.data import Data, DataType
from protocols.dlms.date_time_columns import decode_date_times, encode_date_times
from protocols.dlms.foreign_rows import read_body, read_rows
from protocols.errors import CodecError
from protocols.lowering import FixedLayout, lower, lower_to_dtype
from protocols.lowering.plan import Declaration
from protocols.readings import ReadingBatch

DATA_NOTIFICATION: Final = 0x0F
NAME_SIZE: Final = 16
DATE_TIME_SIZE: Final = 12
PUSH_SETUP: Final = bytes((0, 7, 25, 9, 0, 255))
"""Logical name of the push setup, "push on interval"."""
MAX_REGISTERS: Final = 64
SHAPES_MAX: Final = 256
"""Layouts kept per process: a peer that invents shapes gets at most 128 KiB for each."""
CODEC: Final = "push"

PREFIX: Final = Struct(
    "tag" / Const(DATA_NOTIFICATION, Int8ub),
    "long_invoke_id_and_priority" / Int32ub,
    # An octet-string without its tag: the APDU itself is not A-XDR "Data".
    "date_time_length" / Const(DATE_TIME_SIZE, Int8ub),
    "date_time" / Bytes(DATE_TIME_SIZE),
    Const(bytes((DataType.STRUCTURE, 3))),
    Const(bytes((DataType.OCTET_STRING, NAME_SIZE))),
    "concentrator" / Bytes(NAME_SIZE),
    Const(bytes((DataType.OCTET_STRING, len(PUSH_SETUP)))),
    "push_setup" / Const(PUSH_SETUP),
)
_PREFIX_CODEC: Final = lower(PREFIX, CODEC)
PREFIX_SIZE: Final = PREFIX.sizeof()


def row(registers: int) -> Declaration:
    """Return the declaration of a row with ``registers`` registers (1..64)."""
    return Struct(
        Const(bytes((DataType.STRUCTURE, 3 + registers))),
        Const(bytes((DataType.OCTET_STRING, NAME_SIZE))),
        "meter" / Bytes(NAME_SIZE),
        Const(bytes((DataType.OCTET_STRING, DATE_TIME_SIZE))),
        "captured_at" / Bytes(DATE_TIME_SIZE),
        Const(bytes((DataType.UNSIGNED,))),
        "status" / Int8ub,
        "registers"
        / Array(
            registers, Struct(Const(bytes((DataType.DOUBLE_LONG_UNSIGNED,))), "value" / Int32ub)
        ),
    )


def push(registers: int, count: int) -> Declaration:
    """Return the declaration of a whole push APDU with ``count`` rows (at least 1)."""
    return PREFIX + _rows(registers, count)


@lru_cache(maxsize=MAX_REGISTERS)
def row_layout(registers: int) -> FixedLayout:
    """Return the lowered layout of one row."""
    if not 1 <= registers <= MAX_REGISTERS:
        raise CodecError(f"{registers} registers", codec=CODEC, path="registers")
    return lower_to_dtype(row(registers), "row")


def encode_rows(
    meter_ids: NDArray[np.bytes_],
    captured_at_s: NDArray[np.int64] | int,
    status: NDArray[np.uint8] | int,
    values: NDArray[Any],
) -> NDArray[np.uint8]:
    """Return n rows as a uint8 array of shape (n, row size), in one pass for any number of meters.

    ``meter_ids`` is S16 of n, ``captured_at_s`` POSIX seconds and ``status`` 0..255 (each n of
    them or one for all), ``values`` unsigned 32 bits of shape (n, registers). A slice of rows
    is a concentrator's buffer: ``rows[first:last].tobytes()``. Raises `CodecError`.
    """
    columns = {
        "meter": meter_ids,
        "captured_at": (
            encode_date_time(captured_at_s)
            if isinstance(captured_at_s, int)
            else encode_date_times(captured_at_s)
        ),
        "status": status,
        "registers": {"value": values},
    }
    return row_layout(values.shape[1]).encode(columns, len(meter_ids))


def encode_readings(readings: ReadingBatch) -> bytes:
    """Return the rows of ``readings``, one after the other. Raises `CodecError`."""
    times = readings.captured_at_s
    one_time = len(times) > 0 and bool((times == times[0]).all())
    rows = encode_rows(
        readings.meter_ids,
        int(times[0]) if one_time else times,
        readings.status,
        readings.values,
    )
    return rows.tobytes()


def encode_buffer(rows: bytes, count: int) -> bytes:
    """Return ``count`` encoded rows as A-XDR: the array that attribute 2 of the buffer is."""
    return bytes((DataType.ARRAY,)) + encode_length(count) + rows


def push_apdu(
    concentrator: bytes,
    rows: bytes,
    count: int,
    *,
    long_invoke_id_and_priority: int,
    date_time: bytes,
) -> bytes:
    """Return a DataNotification of ``count`` encoded rows.

    ``concentrator`` is a logical device name of 16 octets, ``date_time`` the COSEM date-time of
    sending. Raises `CodecError`.
    """
    prefix = {
        "long_invoke_id_and_priority": long_invoke_id_and_priority,
        "date_time": date_time,
        "concentrator": concentrator,
    }
    return _PREFIX_CODEC.build(prefix) + encode_buffer(rows, count)


class PushDecoder:
    """Decodes pushes and interval buffers of any concentrator; learns a layout for each shape.

    ``fast_count`` and ``generic_count`` say how many bodies took which way.
    """

    def __init__(self) -> None:
        self.fast_count = 0
        self.generic_count = 0
        self._captured_at_s: dict[bytes, int] = {}

    def decode_push(self, apdu: bytes) -> ReadingBatch:
        """Return the readings of a DataNotification in the clear.

        Raises:
            CodecError: no push, or one whose body makes no sense; ``path`` names the field.
        """
        shape = _shape(apdu, PREFIX_SIZE)
        if shape is not None:
            layout = _push_layout(*shape)
            if layout.matches(apdu, 1):
                fields = layout.view(apdu, 1)[0]
                batch = self._columns(fields["concentrator"].tobytes(), fields["rows"])
                if batch is not None:
                    return batch
        self.generic_count += 1
        concentrator, rows = read_body(_body(apdu))
        return read_rows(concentrator, rows)

    def decode_buffer(self, concentrator: bytes, data: bytes) -> ReadingBatch:
        """Return the rows of an interval buffer, A-XDR ``data`` read from ``concentrator``.

        Raises:
            CodecError: ``data`` is no array of rows; ``path`` names the field.
        """
        shape = _shape(data, 0)
        if shape is not None:
            layout = _buffer_layout(*shape)
            if layout.matches(data, 1):
                batch = self._columns(concentrator, layout.view(data, 1)[0]["rows"])
                if batch is not None:
                    return batch
        self.generic_count += 1
        decoded, end = decode_data_at(data, 0)
        _refuse_trailing(data, end)
        return read_rows(concentrator, decoded)

    def _columns(self, concentrator: bytes, rows: NDArray[Any]) -> ReadingBatch | None:
        captured_at_s = self._times(rows["captured_at"].tobytes(), len(rows))
        if captured_at_s is None:
            return None
        self.fast_count += 1
        return ReadingBatch(
            concentrator,
            np.ascontiguousarray(rows["meter"]).view(f"S{NAME_SIZE}"),
            captured_at_s,
            rows["status"].copy(),
            rows["registers"]["value"].astype(np.uint32),
        )

    def _times(self, octets: bytes, count: int) -> NDArray[np.int64] | None:
        first = octets[:DATE_TIME_SIZE]
        if first * count != octets:
            return decode_date_times(octets)
        # Most pushes carry one interval, and a fleet's pushes the same one.
        known = self._captured_at_s.get(first)
        if known is None:
            decoded = decode_date_times(first)
            if decoded is None:
                return None
            if len(self._captured_at_s) >= SHAPES_MAX:
                self._captured_at_s.clear()
            known = self._captured_at_s[first] = int(decoded[0])
        return np.full(count, known, np.int64)


def _rows(registers: int, count: int) -> Declaration:
    return Struct(
        Const(bytes((DataType.ARRAY,)) + encode_length(count)),
        "rows" / Array(count, row(registers)),
    )


@lru_cache(maxsize=SHAPES_MAX)
def _push_layout(registers: int, count: int) -> FixedLayout:
    return lower_to_dtype(push(registers, count), CODEC)


@lru_cache(maxsize=SHAPES_MAX)
def _buffer_layout(registers: int, count: int) -> FixedLayout:
    return lower_to_dtype(_rows(registers, count), "buffer")


def _shape(data: bytes, offset: int) -> tuple[int, int] | None:
    """Return (registers, rows) of the array at ``offset`` when its rows are as long as ours."""
    try:
        count, start = decode_length_at(data, offset + 1)
        registers = data[start + 1] - 3
    except (CodecError, IndexError):
        return None
    if count < 1 or not 1 <= registers <= MAX_REGISTERS:
        return None
    # Only what is there is worth a layout: a peer must not choose our memory use.
    if len(data) - start != count * row_layout(registers).size:
        return None
    return registers, count


def _body(apdu: bytes) -> Data:
    """Return the notification-body of a DataNotification with any date-time, or none."""
    if len(apdu) < 6 or apdu[0] != DATA_NOTIFICATION:
        raise CodecError("no data-notification", codec=CODEC, path="tag")
    size = apdu[5]
    if size not in (0, DATE_TIME_SIZE):
        raise CodecError(f"{size} octets", codec=CODEC, path="date_time_length")
    body, end = decode_data_at(apdu, 6 + size)
    _refuse_trailing(apdu, end)
    return body


def _refuse_trailing(data: bytes, end: int) -> None:
    if end != len(data):
        raise CodecError(f"{len(data) - end} trailing octets", codec=CODEC)
