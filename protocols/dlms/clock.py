"""COSEM date-time: twelve octets to POSIX seconds and back.

IEC 62056-6-2 (Blue Book 4.1.6.1)::

    year u16 | month u8 | day u8 | day of week u8 | hour u8 | minute u8 | second u8
    | hundredths u8 | deviation i16 (minutes from local time to UTC) | clock status u8

Nothing here reads a clock: times come in and go out as arguments.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from enum import IntFlag
from typing import Final

from protocols.errors import CodecError

SIZE: Final = 12
DATE_TIME: Final = struct.Struct(">HBBBBBBBhB")
NOT_SPECIFIED: Final = 0xFF
YEAR_NOT_SPECIFIED: Final = 0xFFFF
DEVIATION_NOT_SPECIFIED: Final = -0x8000
MAX_DEVIATION_MIN: Final = 840


class ClockStatus(IntFlag):
    """The clock status octet (Blue Book 4.1.6.1). 0xFF as a whole means "not specified"."""

    VALID = 0
    INVALID_VALUE = 0x01
    DOUBTFUL_VALUE = 0x02
    DIFFERENT_CLOCK_BASE = 0x04
    INVALID_STATUS = 0x08
    DAYLIGHT_SAVING_ACTIVE = 0x80


def encode_date_time(
    posix_s: float, *, deviation_min: int = 0, status: ClockStatus = ClockStatus.VALID
) -> bytes:
    """Return ``posix_s`` (POSIX seconds, resolution 10 ms) as a COSEM date-time of 12 octets.

    ``deviation_min`` is minutes from local time to UTC: UTC+2 is -120.
    Raises `CodecError` outside of the years 1 to 9999.
    """
    hundredths_total = round(posix_s * 100)
    seconds, hundredths = divmod(hundredths_total, 100)
    try:
        local = datetime(1970, 1, 1) + timedelta(seconds=seconds, minutes=-deviation_min)
        date = (local.year, local.month, local.day, local.isoweekday())
        time = (local.hour, local.minute, local.second, hundredths)
        return DATE_TIME.pack(*date, *time, deviation_min, status)
    except (OverflowError, struct.error) as exc:
        raise CodecError(str(exc), codec="date-time", path="posix_s") from exc


def decode_date_time(octets: bytes) -> float:
    """Return a COSEM date-time as POSIX seconds.

    An unspecified deviation is taken as UTC; unspecified hundredths as zero. Raises `CodecError`
    for the wrong size, for a date with wildcards and for one that does not exist.
    """
    if len(octets) != SIZE:
        raise CodecError(f"{len(octets)} octets, not {SIZE}", codec="date-time")
    year, month, day, _, hour, minute, second, hundredths, deviation, _ = DATE_TIME.unpack(octets)
    if hundredths == NOT_SPECIFIED:
        hundredths = 0
    if deviation == DEVIATION_NOT_SPECIFIED:
        deviation = 0
    if hundredths > 99:
        raise CodecError(f"{hundredths} hundredths", codec="date-time", path="hundredths")
    if abs(deviation) > MAX_DEVIATION_MIN:
        raise CodecError(f"{deviation} minutes", codec="date-time", path="deviation")
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as exc:
        raise CodecError(str(exc), codec="date-time", path="date") from exc
    whole_s = int(local.timestamp()) + deviation * 60
    return whole_s + hundredths / 100 if hundredths else float(whole_s)


def decode_status(octets: bytes) -> ClockStatus:
    """Return the clock status of a COSEM date-time, or raise `CodecError`."""
    if len(octets) != SIZE:
        raise CodecError(f"{len(octets)} octets, not {SIZE}", codec="date-time")
    return ClockStatus(octets[-1])
