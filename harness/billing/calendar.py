"""Months, days and peak hours as customers live them, in POSIX seconds.

A customer's day begins at midnight of the local clock, so a day on which the clock changes has 23
or 25 hours. Energy is peak if the local clock, when its quarter-hour begins, shows a peak hour: of
the hour that an autumn night has twice, both are peak or neither, and the one that a spring night
skips is never.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from typing import Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from harness.hours import Hours
from harness.store.usage import Window

QUARTER_S: Final = 900
Period = Literal["month", "quarter", "year", "five-years"]
PERIODS: Final[dict[Period, int]] = {"month": 1, "quarter": 3, "year": 12, "five-years": 60}
"""Months that each period has."""
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_YEARS: Final = range(1971, 9999)


class Band(IntEnum):
    """Which price energy has."""

    PEAK = 0
    OFF_PEAK = 1


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar; written ``2026-03``.

    Raises:
        ValueError: there is no such month, or it is before 1971 or after 9998.
    """

    year: int
    month: int

    def __post_init__(self) -> None:
        if self.year not in _YEARS or not 1 <= self.month <= 12:
            raise ValueError(f"there is no month {self.month} of {self.year}")

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the month of a text. Raises `ValueError`."""
        if isinstance(value, cls):
            return value
        found = _MONTH.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError('write a month as year and month, such as "2026-03"')
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_number(cls, number: int) -> Self:
        """Return the month that has a number, such as 202603."""
        return cls(*divmod(number, 100))

    @property
    def number(self) -> int:
        """The month as a number that sorts and reads well: 202603."""
        return self.year * 100 + self.month

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def end(self) -> date:
        """The day after the last one."""
        return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.first).days

    def plus(self, months: int) -> Month:
        """Return the month so many months later."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.year:04}-{self.month:02}"


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database. Raises `ValueError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        message = f"there is no time zone {name!r}; write one as Europe/Berlin or UTC"
        raise ValueError(message) from error


def midnight_s(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins, POSIX seconds; a midnight that is skipped is when it would be."""
    return int(datetime.combine(day, time(), zone).timestamp())


def day_of(at_s: int, zone: ZoneInfo) -> date:
    """Return the local day of a moment in POSIX seconds."""
    return datetime.fromtimestamp(at_s, zone).date()


def month_span(month: Month, zone: ZoneInfo) -> tuple[int, int]:
    """Return when a month begins and ends, POSIX seconds."""
    return midnight_s(month.first, zone), midnight_s(month.end, zone)


def peak_windows(from_s: int, to_s: int, zone: ZoneInfo, peak: Hours) -> tuple[Window, ...]:
    """Return the peak and off-peak spans of [from_s, to_s), with `Band` numbers, in order."""
    windows: list[Window] = []
    for begin_s in range(from_s, to_s, QUARTER_S):
        band = Band.PEAK if _is_peak(begin_s, zone, peak) else Band.OFF_PEAK
        end_s = min(begin_s + QUARTER_S, to_s)
        if windows and windows[-1].band == band:
            begin_s = windows.pop().from_s
        windows.append(Window(begin_s, end_s, int(band)))
    return tuple(windows)


def _is_peak(at_s: int, zone: ZoneInfo, peak: Hours) -> bool:
    local = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    second = local.hour * 3600 + local.minute * 60 + local.second
    if peak.from_s < peak.until_s:
        return peak.from_s <= second < peak.until_s
    return second >= peak.from_s or second < peak.until_s


def days(first: date, end: date) -> Iterator[date]:
    """Yield the days from ``first`` up to the one before ``end``."""
    for offset in range((end - first).days):
        yield first + timedelta(days=offset)


def day_windows(first: date, end: date, zone: ZoneInfo) -> tuple[Window, ...]:
    """Return a window for each day; its band is the day's number since 1970-01-01.

    A day that a zone left out, as Apia did on 30 December 2011, has none.
    """
    spans = (
        (midnight_s(day, zone), midnight_s(day + timedelta(days=1), zone), day_number(day))
        for day in days(first, end)
    )
    return tuple(Window(*span) for span in spans if span[0] < span[1])


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to ``day``."""
    return (day - date(1970, 1, 1)).days


def day_numbered(number: int) -> date:
    """Return the day that many days after 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=number)


def past(end: date, period: Period) -> date:
    """Return the first day of the period that ends before ``end``."""
    return past_months(end, PERIODS[period])


def past_months(end: date, months: int) -> date:
    """Return the day so many months before ``end``.

    A day that the month back then did not have is its last one: a month before 31 March is
    28 February. None is earlier than the first month there is.
    """
    if end.year * 12 + end.month - 1 - months < _YEARS.start * 12:
        return date(_YEARS.start, 1, 1)
    month = Month(end.year, end.month).plus(-months)
    return month.first + timedelta(days=min(end.day, month.days) - 1)
