"""Kinds of day as the German standard load profiles know them.

Sundays are Sundays and the nine holidays all of Germany keeps; 24 and 31 December count as
Saturdays unless they fall on a Sunday (the BDEW's convention).
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import IntEnum
from functools import cache
from typing import Final

_FIXED_HOLIDAYS: Final = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
_FROM_EASTER_DAYS: Final = (-2, 1, 39, 50)  # Good Friday, Easter Monday, Ascension, Whit Monday
_LIKE_SATURDAY: Final = ((12, 24), (12, 31))


class DayKind(IntEnum):
    """The three kinds of day a load profile tells apart."""

    WORKDAY = 0
    SATURDAY = 1
    SUNDAY = 2


def day_kind(day: date) -> DayKind:
    """Return what kind of day ``day`` is."""
    if day.weekday() == 6 or day in holidays(day.year):
        return DayKind.SUNDAY
    if day.weekday() == 5 or (day.month, day.day) in _LIKE_SATURDAY:
        return DayKind.SATURDAY
    return DayKind.WORKDAY


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the nationwide German holidays of a year."""
    easter = easter_sunday(year)
    fixed = {date(year, month, day) for month, day in _FIXED_HOLIDAYS}
    return frozenset(fixed | {easter + timedelta(days) for days in _FROM_EASTER_DAYS})


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (the Meeus/Jones/Butcher algorithm)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - century // 4 - correction + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
