"""COSEM date-times by the thousand: columns of twelve octets to POSIX seconds and back.

The same rules as `protocols.dlms.clock`, which is the judge in the tests; integers throughout.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from construct import Int8ub, Int16sb, Int16ub, Struct
from numpy.typing import NDArray

from protocols.dlms.clock import DEVIATION_NOT_SPECIFIED, MAX_DEVIATION_MIN, NOT_SPECIFIED
from protocols.errors import CodecError
from protocols.lowering import lower_to_dtype

DATE_TIME: Final = Struct(
    "year" / Int16ub,
    "month" / Int8ub,
    "day" / Int8ub,
    "weekday" / Int8ub * "1 is Monday",
    "hour" / Int8ub,
    "minute" / Int8ub,
    "second" / Int8ub,
    "hundredths" / Int8ub,
    "deviation" / Int16sb * "minutes from local time to UTC",
    "status" / Int8ub,
)
LAYOUT: Final = lower_to_dtype(DATE_TIME, "date-time")
DAY_S: Final = 86_400
EARLIEST_S: Final = -62_135_596_800
LATEST_S: Final = 253_402_300_799
"""POSIX seconds of the first second of year 1 and the last of year 9999."""

Integers = NDArray[np.int64]


def encode_date_times(posix_s: NDArray[Any] | int) -> NDArray[np.void]:
    """Return POSIX seconds (integers) as date-times in UTC: deviation 0, status 0; dtype V12.

    Raises `CodecError` outside of the years 1 to 9999.
    """
    seconds = np.atleast_1d(np.asarray(posix_s)).astype(np.int64, casting="safe")
    if seconds.size and not EARLIEST_S <= seconds.min() <= seconds.max() <= LATEST_S:
        raise CodecError("outside of the years 1 to 9999", codec="date-time", path="posix_s")
    days, of_day = np.divmod(seconds, DAY_S)
    dates = days.astype("M8[D]")
    months, years = dates.astype("M8[M]"), dates.astype("M8[Y]")
    columns = {
        "year": years.astype(np.int64) + 1970,
        "month": (months - years).astype(np.int64) + 1,
        "day": (dates - months).astype(np.int64) + 1,
        # 1 January 1970 was a Thursday.
        "weekday": (days + 3) % 7 + 1,
        "hour": of_day // 3600,
        "minute": of_day // 60 % 60,
        "second": of_day % 60,
        "hundredths": 0,
        "deviation": 0,
        "status": 0,
    }
    return LAYOUT.encode(columns, len(seconds)).view("V12")[:, 0]


def decode_date_times(octets: bytes) -> Integers | None:
    """Return date-times, one after the other, as POSIX seconds (hundredths are dropped).

    ``None`` when one of them has a wildcard or does not exist: let `clock` say which and why.
    """
    fields = LAYOUT.view(octets, len(octets) // LAYOUT.size)
    year, month = fields["year"].astype(np.int64), fields["month"].astype(np.int64)
    deviation = fields["deviation"].astype(np.int64)
    deviation[deviation == DEVIATION_NOT_SPECIFIED] = 0
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    first = months.astype("M8[D]").astype(np.int64)
    length = (months + np.timedelta64(1, "M")).astype("M8[D]").astype(np.int64) - first
    plausible = (
        ((year - 1).view(np.uint64) < 9999)
        & ((month - 1).view(np.uint64) < 12)
        & ((fields["day"].astype(np.int64) - 1).view(np.uint64) < length.view(np.uint64))
        & (fields["hour"] < 24)
        & (fields["minute"] < 60)
        & (fields["second"] < 60)
        & ((fields["hundredths"] < 100) | (fields["hundredths"] == NOT_SPECIFIED))
        & (np.abs(deviation) <= MAX_DEVIATION_MIN)
    )
    if not plausible.all():
        return None
    days = first + fields["day"] - 1
    clock = (days * 24 + fields["hour"]) * 60 + fields["minute"] + deviation
    return np.asarray(clock * 60 + fields["second"], np.int64)
