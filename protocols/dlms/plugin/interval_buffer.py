"""The interval buffer as a profile's rows: of a whole concentrator, or of one of its meters.

Rows are the ones that pushes carry (`concentrator_profile`), encoded as columns in one pass; a
profile that shows fewer columns, or a client that asks for fewer, gets the octets of those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from protocols.dlms.apdu import DataAccessResult
from protocols.dlms.concentrator_profile import (
    DATE_TIME_SIZE,
    NAME_SIZE,
    encode_buffer,
    encode_readings,
    encode_rows,
)
from protocols.dlms.cosem.base import CosemObject, Encoded
from protocols.dlms.cosem.device import LOGICAL_DEVICE_NAME
from protocols.dlms.cosem.profile import (
    CaptureObject,
    EntrySelection,
    Everything,
    RangeSelection,
    Selection,
    profile_generic,
)
from protocols.dlms.data import DataType
from protocols.dlms.plugin.addresses import CLOCK, LOAD_PROFILE, READING_STATUS
from protocols.plugin import ConcentratorModel, RegisterDescription
from protocols.readings import ReadingBatch

NAME_COLUMN: Final = CaptureObject(1, LOGICAL_DEVICE_NAME, 2)
CLOCK_COLUMN: Final = CaptureObject(8, CLOCK, 2)
STATUS_COLUMN: Final = CaptureObject(1, READING_STATUS, 2)
ROWS_MAX: Final = 1 << 18
"""Rows one request may ask for, about 15 MB of them; a client that wants more asks in parts."""
CHUNK_ROWS: Final = 1 << 14
"""Rows looked at together where rows have to be counted."""
LATEST_INTERVALS: Final = 96

HEADER_SIZE: Final = 2
LEADING_SIZES: Final = (2 + NAME_SIZE, 2 + DATE_TIME_SIZE, 2)
"""Octets of name, capture time and status in an encoded row, tags included."""
REGISTER_SIZE: Final = 5


def columns_of(registers: Sequence[RegisterDescription]) -> tuple[CaptureObject, ...]:
    """Return the columns of a row, in order: name, clock, status, registers."""
    return (
        NAME_COLUMN,
        CLOCK_COLUMN,
        STATUS_COLUMN,
        *(CaptureObject(3, register.logical_name, 2) for register in registers),
    )


class IntervalBuffer:
    """The rows of ``meters`` of a concentrator; a `RowSource`.

    ``shown`` are the columns that the profile has, in order; a range is restricted by the clock.
    """

    def __init__(
        self, model: ConcentratorModel, meters: range, shown: Sequence[CaptureObject]
    ) -> None:
        self._model = model
        self._meters = meters
        everything = columns_of(model.registers)
        self._all = tuple(range(len(everything)))
        self._shown = tuple(everything.index(column) for column in shown)
        self._clock = shown.index(CLOCK_COLUMN)

    def __call__(self, selection: Selection, /) -> Encoded | DataAccessResult:
        """Return the selected rows encoded; raises `CodecError` for bounds without order."""
        readings = self._select(selection)
        if isinstance(readings, DataAccessResult):
            return readings
        if selection.columns:
            columns = tuple(self._shown[column] for column in selection.columns)
        else:
            columns = self._shown
            # Rows without some of their columns are not what the concentrator has to deliver.
            self._model.handed_over(readings)
        return Encoded(self._encode(readings, columns))

    def entries_in_use(self) -> int:
        """Return how many rows there are; reads them all."""
        return sum(map(len, self._chunks()))

    def capacity(self) -> int:
        """Return how many rows there can be now."""
        return self._rows_between(*self._model.buffer_span())

    def latest(self) -> ReadingBatch | None:
        """Return the newest reading of the first of the meters; ``None`` if there is none."""
        oldest_s, newest_s = self._model.buffer_span()
        width_s = LATEST_INTERVALS * self._model.capture_period_s
        first = self._meters[:1]
        for to_s in range(newest_s, oldest_s - 1, -width_s):
            readings = self._model.buffer(max(oldest_s, to_s - width_s + 1), to_s, first)
            if len(readings):
                return _part(readings, slice(-1, None))
        return None

    def _select(self, selection: Selection) -> ReadingBatch | DataAccessResult:
        oldest_s, newest_s = self._model.buffer_span()
        match selection:
            case Everything():
                return self._between(oldest_s, newest_s)
            case RangeSelection(column=column):
                if column != self._clock:
                    return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
                low, high = selection.bounds()
                if not math.isfinite(low) or not math.isfinite(high):
                    return DataAccessResult.TYPE_UNMATCHED
                return self._between(max(oldest_s, math.ceil(low)), min(newest_s, math.floor(high)))
            case EntrySelection(first=first, last=last):
                return self._entries(first, last)

    def _between(self, from_s: int, to_s: int) -> ReadingBatch | DataAccessResult:
        # Refuse before reading: a peer must not choose our memory use.
        if self._rows_between(from_s, to_s) > ROWS_MAX:
            return DataAccessResult.OTHER_REASON
        return self._model.buffer(from_s, to_s, self._meters)

    def _rows_between(self, from_s: int, to_s: int) -> int:
        intervals = (to_s - from_s) // self._model.capture_period_s + 1
        return max(0, intervals) * len(self._meters)

    def _entries(self, first: int, last: int) -> ReadingBatch | DataAccessResult:
        chosen = [_part(self._model.buffer(0, -1, self._meters), slice(0))]
        passed = found = 0
        for readings in self._chunks():
            end = last - passed if last else len(readings)
            part = _part(readings, slice(max(0, first - 1 - passed), max(0, end)))
            chosen.append(part)
            passed += len(readings)
            found += len(part)
            if found > ROWS_MAX:
                return DataAccessResult.OTHER_REASON
            if last and passed >= last:
                break
        return _joined(chosen)

    def _chunks(self) -> Iterator[ReadingBatch]:
        oldest_s, newest_s = self._model.buffer_span()
        period_s = self._model.capture_period_s
        width_s = max(1, CHUNK_ROWS // max(1, len(self._meters))) * period_s
        for from_s in range(oldest_s, newest_s + 1, width_s):
            yield self._model.buffer(from_s, min(newest_s, from_s + width_s - 1), self._meters)

    def _encode(self, readings: ReadingBatch, columns: tuple[int, ...]) -> bytes:
        if not len(readings):
            return encode_buffer(b"", 0)
        if columns == self._all:
            return encode_buffer(encode_readings(readings), len(readings))
        rows = encode_rows(
            readings.meter_ids, readings.captured_at_s, readings.status, readings.values
        )
        sizes = (HEADER_SIZE, *LEADING_SIZES, *(REGISTER_SIZE,) * readings.registers)
        ends = np.cumsum(sizes)
        header = np.tile(np.array([DataType.STRUCTURE, len(columns)], np.uint8), (len(rows), 1))
        parts = [rows[:, ends[column] : ends[column + 1]] for column in columns]
        return encode_buffer(np.concatenate([header, *parts], axis=1).tobytes(), len(rows))


def load_profile(
    model: ConcentratorModel, meters: range, columns: tuple[CaptureObject, ...]
) -> CosemObject:
    """Return the profile (class 7) of ``meters`` that shows ``columns``."""
    buffer = IntervalBuffer(model, meters, columns)
    return profile_generic(
        LOAD_PROFILE,
        capture_objects=columns,
        rows=buffer,
        entries_in_use=buffer.entries_in_use,
        profile_entries=buffer.capacity(),
        capture_period_s=model.capture_period_s,
        sort_object=CLOCK_COLUMN,
    )


def _part(readings: ReadingBatch, rows: slice) -> ReadingBatch:
    return ReadingBatch(
        readings.concentrator,
        readings.meter_ids[rows],
        readings.captured_at_s[rows],
        readings.status[rows],
        readings.values[rows],
    )


def _joined(parts: Sequence[ReadingBatch]) -> ReadingBatch:
    return ReadingBatch(
        parts[0].concentrator,
        np.concatenate([part.meter_ids for part in parts]),
        np.concatenate([part.captured_at_s for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
