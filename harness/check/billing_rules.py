"""The rules of bills, in the words of the check, which shares nothing with a billing system.

* A month lasts from midnight to midnight by the customers' clock, so one in which the clock is
  changed is an hour shorter or longer: a day has 92, 96 or 100 quarter-hours.
* A quarter-hour is peak where the customers' clock, as it begins, shows a time within the peak
  hours. What a meter registered between two captures flowed between them.
* amount = base bill + peak energy at the peak price + other energy at the off-peak price - energy
  that went out at the off-peak price; rounded once, to the cent, halves away from zero. A customer
  of some of the month's days pays for the energy of those, and as many days' part of the base bill.
* An amount below zero becomes 0 and the base bill falls by 25 %; one above zero raises it by 25 %,
  to its initial value at most; exactly 0 leaves it. A base bill is a sum of money: a changed one is
  rounded to the cent like a bill.

Source: ACES, "create_bills"; rounding, clock and zero are settled beside it. Money is integers
here, in units of which every price and every watt-hour is a whole number: exact, and bounded. With
energy below 2**32 Wh and prices of at most 100 with six places, no sum reaches 2**61.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
Span = tuple[int, int]
"""From and to, POSIX seconds."""

_EPOCH: Final = date(1970, 1, 1)
QUARTER_S: Final = 900
DAY_S: Final = 86_400
PLACES: Final = 6
"""Decimal places that a price may have."""
PRICE_MAX: Final = 100
_PER_UNIT: Final = 10 ** (PLACES + 3)
"""Parts of the currency's unit that amounts are counted in: a price's last place times a Wh."""
_PER_CENT: Final = _PER_UNIT // 100


@dataclass(frozen=True, slots=True)
class MonthRates:
    """What energy costs in one month.

    Attributes:
        year: of the month.
        month: of the year, 1..12.
        peak: price of a kWh that comes in within the peak hours, 0..100, at most six places.
        off_peak: price of any other, and of one that goes out.
        peak_from_s: when the peak hours begin, seconds of the customers' clock, 0..86,400.
        peak_until_s: when they end; before ``peak_from_s``: on the next day.

    Raises:
        ValueError: no such month or price.
    """

    year: int
    month: int
    peak: Decimal
    off_peak: Decimal
    peak_from_s: int
    peak_until_s: int

    def __post_init__(self) -> None:
        date(self.year, self.month, 1)
        for price in (self.peak, self.off_peak):
            if not 0 <= price <= PRICE_MAX or price.scaleb(PLACES) % 1:
                raise ValueError(f"{self.number}: {price} is no price of 0 to {PRICE_MAX}")

    @property
    def number(self) -> int:
        """The month as a number such as 202603."""
        return self.year * 100 + self.month

    @property
    def days(self) -> tuple[int, int]:
        """The first day and the one after the last, in days since 1970-01-01."""
        later, month = divmod(self.month, 12)
        following = date(self.year + later, month + 1, 1)
        return (date(self.year, self.month, 1) - _EPOCH).days, (following - _EPOCH).days

    def span(self, zone: ZoneInfo) -> Span:
        """Return when the month begins and ends."""
        first, last = self.days
        return midnight_s(first, zone), midnight_s(last, zone)

    def peak_spans(self, zone: ZoneInfo) -> list[Span]:
        """Return the times of the month that are peak, in order, none touching the next."""
        begins_s, ends_s = self.span(zone)
        quarters = range(begins_s, ends_s, QUARTER_S)
        clock = np.array([_clock_s(at_s, zone) for at_s in quarters])
        after, before = clock >= self.peak_from_s, clock < self.peak_until_s
        peak = after & before if self.peak_from_s < self.peak_until_s else after | before
        edges = np.flatnonzero(np.diff(peak.astype(np.int8), prepend=0, append=0))
        times = begins_s + edges * QUARTER_S
        return [(int(first), int(last)) for first, last in times.reshape(-1, 2)]


def midnight_s(day: int, zone: ZoneInfo) -> int:
    """Return when a day, counted from 1970-01-01, begins by the customers' clock."""
    begins = datetime.combine(_EPOCH + timedelta(days=day), time(), zone)
    return int(begins.timestamp())


def amounts(
    base_cents: Int64Array,
    peak_wh: Int64Array,
    off_peak_wh: Int64Array,
    export_wh: Int64Array,
    rates: MonthRates,
    part: Fraction = Fraction(1),
) -> Int64Array:
    """Return the rounded amounts in cents, below zero where more went out than came in."""
    peak, off_peak = (int(price.scaleb(PLACES)) for price in (rates.peak, rates.off_peak))
    energy = peak * peak_wh + off_peak * (off_peak_wh - export_wh)
    if part == 1:
        return _rounded(base_cents * _PER_CENT + energy, _PER_CENT)
    # Times the days of a month this is too much for 64 bits, so bill by bill.
    return np.array(
        [
            _rounded_one(base * part * _PER_CENT + flowed, _PER_CENT)
            for base, flowed in zip(base_cents.tolist(), energy.tolist(), strict=True)
        ],
        np.int64,
    )


def next_bases(
    base_cents: Int64Array, initial_cents: Int64Array, amount_cents: Int64Array
) -> Int64Array:
    """Return the base bills of the month after, in cents; ``amount_cents`` may be negative."""
    fallen = _rounded(base_cents * 75, 100)
    risen = np.minimum(_rounded(base_cents * 125, 100), initial_cents)
    return np.select([amount_cents < 0, amount_cents > 0], [fallen, risen], base_cents)


def _rounded(parts: Int64Array, whole: int) -> Int64Array:
    """Return ``parts / whole`` rounded, halves away from zero."""
    quotient, rest = np.divmod(np.abs(parts), whole)
    rounded: Int64Array = np.sign(parts) * (quotient + (2 * rest >= whole))
    return rounded


def _rounded_one(parts: Fraction, whole: int) -> int:
    quotient, rest = divmod(abs(parts), whole)
    return (1 if parts > 0 else -1) * (int(quotient) + (2 * rest >= whole))


def _clock_s(at_s: int, zone: ZoneInfo) -> int:
    """Return what the clock shows, in seconds since its midnight."""
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return (at_s + (int(offset.total_seconds()) if offset is not None else 0)) % DAY_S
