"""TM_FORMAT: the layouts of dates and times (facts, 2.6), as POSIX seconds in UTC.

``ltime`` (LTIME_DATE) carries seconds in every format; ``stime`` (STIME_DATE) carries minutes in
formats 1 to 3, and building refuses a time with seconds there rather than rounding it. Format 0,
no clock, has no octets. Years of two digits are 1990 to 2089, as termineter reads them. A date of
all zeros, which meters send for «never», is ``None`` (-1 in columns).

Not seen in the facts, hence a choice: TIME in formats 3 and 4 is a UINT32 of seconds since
midnight, DATE a UINT16 of days since 1970-01-01.
"""

from __future__ import annotations

import datetime
from enum import IntEnum
from typing import Any, Final

import numpy as np
from construct import Bytes, FormatField, Struct

from protocols.c12.tables.formats.field import (
    ByteOrder,
    Column,
    Declaration,
    ExactAdapter,
    Field,
    Values,
    misfit,
    plain_field,
    refuse,
)


class TimeFormat(IntEnum):
    """TM_FORMAT of ST0."""

    NONE = 0
    BCD_FIELDS = 1
    UINT8_FIELDS = 2
    MINUTES_SINCE_1970 = 3
    SECONDS_SINCE_1970 = 4

    @property
    def has_fields(self) -> bool:
        """Whether dates are written as year, month, day."""
        return self in (TimeFormat.BCD_FIELDS, TimeFormat.UINT8_FIELDS)


NEVER: Final = -1
"""What a column holds where the meter has no date."""
DAY_S: Final = 86_400
PIVOT_YEAR: Final = 1990
"""The first year of the century that two digits can name."""
EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def ltime(tm: TimeFormat, order: ByteOrder) -> Field | None:
    """Return LTIME_DATE, or ``None`` in a device without a clock. Values: POSIX seconds."""
    match tm:
        case TimeFormat.NONE:
            return None
        case TimeFormat.MINUTES_SINCE_1970:
            return _minutes_and_seconds(order)
        case TimeFormat.SECONDS_SINCE_1970:
            return plain_field(FormatField(order.value, "L"), "i8")
    return _calendar(6, packed=tm is TimeFormat.BCD_FIELDS)


def stime(tm: TimeFormat, order: ByteOrder) -> Field | None:
    """Return STIME_DATE, or ``None`` in a device without a clock. Values: POSIX seconds."""
    match tm:
        case TimeFormat.NONE:
            return None
        case TimeFormat.MINUTES_SINCE_1970:
            return _minutes(order)
        case TimeFormat.SECONDS_SINCE_1970:
            return plain_field(FormatField(order.value, "L"), "i8")
    return _calendar(5, packed=tm is TimeFormat.BCD_FIELDS)


def date(tm: TimeFormat, order: ByteOrder) -> Declaration | None:
    """Return DATE, or ``None`` in a device without a clock. Values: `datetime.date` or ``None``."""
    if tm is TimeFormat.NONE:
        return None
    if tm.has_fields:
        return _Date(_Calendar(3, packed=tm is TimeFormat.BCD_FIELDS), DAY_S)
    return _Date(FormatField(order.value, "H"), 1)


def time_of_day(tm: TimeFormat, order: ByteOrder) -> Declaration | None:
    """Return TIME, or ``None`` in a device without a clock. Values: seconds since midnight."""
    if tm is TimeFormat.NONE:
        return None
    if tm.has_fields:
        return _Clock(packed=tm is TimeFormat.BCD_FIELDS)
    return FormatField(order.value, "L")


def _minutes(order: ByteOrder) -> Field:
    wire = FormatField(order.value, "L")

    def to_values(column: Column) -> Values:
        return np.asarray(column).astype(np.int64) * 60

    def to_wire(values: Values) -> Column:
        return _whole_minutes(values)

    return Field(_Minutes(wire), wire, to_values, to_wire)


def _minutes_and_seconds(order: ByteOrder) -> Field:
    wire = Struct("minutes" / FormatField(order.value, "L"), "second" / FormatField(">", "B"))

    def to_values(column: Column) -> Values:
        return np.asarray(column["minutes"].astype(np.int64) * 60 + column["second"])

    def to_wire(values: Values) -> Column:
        minutes, second = np.divmod(np.asarray(values), 60)
        return {"minutes": minutes, "second": second}

    return Field(_MinutesAndSeconds(wire), wire, to_values, to_wire)


def _whole_minutes(values: Values) -> Values:
    minutes, rest = np.divmod(np.asarray(values), 60)
    if rest.any():
        raise misfit("a time with seconds in a format of whole minutes")
    return np.asarray(minutes)


class _Minutes(ExactAdapter):
    def _decode(self, obj: int, _context: object, _path: object) -> int:
        return obj * 60

    def _encode(self, obj: int, _context: object, path: str) -> int:
        if obj % 60:
            raise refuse(f"{obj} is not a whole minute", path)
        return obj // 60


class _MinutesAndSeconds(ExactAdapter):
    def _decode(self, obj: Any, _context: object, _path: object) -> int:  # noqa: ANN401
        return int(obj["minutes"] * 60 + obj["second"])

    def _encode(self, obj: int, _context: object, _path: object) -> dict[str, int]:
        return {"minutes": obj // 60, "second": obj % 60}


class _Date(ExactAdapter):
    """Days, or seconds, since 1970 as a date."""

    def __init__(self, subcon: Declaration, unit: int) -> None:
        super().__init__(subcon)
        self._unit = unit

    def _decode(self, obj: int | None, _context: object, _path: object) -> datetime.date | None:
        if obj is None:
            return None
        return EPOCH.date() + datetime.timedelta(days=obj // self._unit)

    def _encode(self, obj: datetime.date | None, _context: object, _path: object) -> int | None:
        return None if obj is None else (obj - EPOCH.date()).days * self._unit


class _Clock(ExactAdapter):
    """Hour, minute and second, each an octet, as seconds since midnight."""

    def __init__(self, *, packed: bool) -> None:
        octets: Any = Bytes(3)
        super().__init__(octets)
        self._packed = packed

    def _decode(self, obj: bytes, _context: object, path: str) -> int:
        hour, minute, second = _numbers(obj, path, packed=self._packed)
        return (hour * 60 + minute) * 60 + second

    def _encode(self, obj: int, _context: object, path: str) -> bytes:
        if not 0 <= obj < DAY_S:
            raise refuse(f"{obj} is outside of a day", path)
        return _octets((obj // 3600, obj // 60 % 60, obj % 60), packed=self._packed)


class _Calendar(ExactAdapter):
    """Year, month, day and as much of the time as there are octets, as POSIX seconds."""

    def __init__(self, size: int, *, packed: bool) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        self._size, self._packed = size, packed

    def _decode(self, obj: bytes, _context: object, path: str) -> int | None:
        if not any(obj):
            return None
        year, *rest = _numbers(obj, path, packed=self._packed)
        if year > 99:
            raise refuse(f"year {year}", path)
        full = PIVOT_YEAR + (year - PIVOT_YEAR) % 100
        try:
            moment = datetime.datetime(full, *rest, tzinfo=datetime.UTC)  # type: ignore[misc, arg-type]
        except ValueError as exc:
            raise refuse(f"{obj.hex(' ')}: {exc}", path) from exc
        return (moment - EPOCH) // datetime.timedelta(seconds=1)

    def _encode(self, obj: int | None, _context: object, path: str) -> bytes:
        if obj is None:
            return bytes(self._size)
        moment = EPOCH + datetime.timedelta(seconds=obj)
        if not 0 <= moment.year - PIVOT_YEAR < 100:
            raise refuse(f"{moment.year} is outside of {PIVOT_YEAR}..{PIVOT_YEAR + 99}", path)
        fields = (moment.year % 100, *moment.timetuple()[1:6])
        if any(fields[self._size :]):
            raise refuse(f"{moment} does not fit {self._size} octets", path)
        return _octets(fields[: self._size], packed=self._packed)


def _numbers(octets: bytes, path: str, *, packed: bool) -> list[int]:
    if not packed:
        return list(octets)
    if not octets.hex().isdecimal():
        raise refuse(f"{octets.hex(' ')} is not packed decimal", path)
    return [octet // 16 * 10 + octet % 16 for octet in octets]


def _octets(numbers: tuple[int, ...], *, packed: bool) -> bytes:
    return bytes(n // 10 * 16 + n % 10 if packed else n for n in numbers)


def _calendar(size: int, *, packed: bool) -> Field:
    """The same rules by the column; `_Calendar` is the judge in the tests."""

    def to_values(column: Column) -> Values:
        blobs = np.ascontiguousarray(column)
        octets = blobs.view(np.uint8).reshape(*blobs.shape, size).astype(np.int64)
        return _decode_calendar(_unpacked(octets) if packed else octets)

    def to_wire(values: Values) -> Column:
        numbers = _encode_calendar(np.asarray(values).astype(np.int64, casting="safe"))
        if numbers[..., size:].any():
            raise misfit("a time with seconds in a format of whole minutes")
        numbers = numbers[..., :size]
        octets = numbers // 10 * 16 + numbers % 10 if packed else numbers
        return np.ascontiguousarray(octets.astype(np.uint8)).view(f"V{size}")[..., 0]

    return Field(_Calendar(size, packed=packed), Bytes(size), to_values, to_wire)


def _unpacked(octets: Values) -> Values:
    if ((octets >> 4) > 9).any() or ((octets & 15) > 9).any():
        raise misfit("a nibble that is no decimal digit")
    return (octets >> 4) * 10 + (octets & 15)


def _decode_calendar(numbers: Values) -> Values:
    year, month, day = (numbers[..., i] for i in range(3))
    clock = np.zeros((*numbers.shape[:-1], 3), np.int64)
    clock[..., : numbers.shape[-1] - 3] = numbers[..., 3:]
    months = ((PIVOT_YEAR + (year - PIVOT_YEAR) % 100 - 1970) * 12 + month - 1).astype("M8[M]")
    first = months.astype("M8[D]").astype(np.int64)
    length = (months + np.timedelta64(1, "M")).astype("M8[D]").astype(np.int64) - first
    never = ~numbers.any(-1)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length) & (year < 100)
    exists &= (clock < (24, 60, 60)).all(-1)
    if not (exists | never).all():
        raise misfit("a date that does not exist")
    seconds = (first + day - 1) * DAY_S + clock @ np.array([3600, 60, 1])
    return np.where(never, NEVER, seconds)


def _encode_calendar(seconds: Values) -> Values:
    days, of_day = np.divmod(seconds, DAY_S)
    dates = days.astype("M8[D]")
    months, years = dates.astype("M8[M]"), dates.astype("M8[Y]")
    year = years.astype(np.int64) + 1970
    never = seconds == NEVER
    if not (never | ((year >= PIVOT_YEAR) & (year < PIVOT_YEAR + 100))).all():
        raise misfit(f"a year outside of {PIVOT_YEAR}..{PIVOT_YEAR + 99}")
    month = (months - years).astype(np.int64) + 1
    day = (dates - months).astype(np.int64) + 1
    fields = (year % 100, month, day, of_day // 3600, of_day // 60 % 60, of_day % 60)
    return np.asarray(np.where(never[..., None], 0, np.stack(fields, -1)))
