"""An auditor's own arithmetic: bills and statistics from the rules, with nothing of ours.

Time is walked forward a quarter-hour at a time, and a local clock is looked at each time; money is
`Fraction` until it is rounded. Slow, short, and the third opinion beside billing and its check.

Source: ACES 2.2.5, "Create_bills", with what facts settle beside it (half-up to the cent once per
bill, peak hours by the customers' clock, a bill of exactly 0 leaves the base bill).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

QUARTER_S = 900


@dataclass(frozen=True, slots=True)
class Price:
    """What a month costs; hours are ``"07:00-22:00"`` by the customers' clock."""

    peak: Decimal
    off_peak: Decimal
    hours: str

    def is_peak(self, local: datetime) -> bool:
        """Return whether the clock shows a peak hour."""
        begins, ends = self.hours.split("-")
        shown = f"{local:%H:%M}"
        if begins < ends:
            return begins <= shown < ends
        return shown >= begins or shown < ends


@dataclass(frozen=True, slots=True)
class Readings:
    """One meter's registers in Wh, by POSIX second."""

    imported: Mapping[int, int]
    exported: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class AuditedBill:
    """A bill, and the base bill after it, in units of the currency."""

    amount: Decimal
    next_base: Decimal
    peak_wh: int
    off_peak_wh: int
    export_wh: int


def begins_s(day: date, zone: ZoneInfo) -> int:
    """Return the first second whose local date is ``day`` or later, found by looking."""
    at_s = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - 16 * 3600
    at_s -= at_s % 60
    while datetime.fromtimestamp(at_s, UTC).astimezone(zone).date() < day:
        at_s += 60
    return at_s


def register_at(readings: Mapping[int, int], times: Sequence[int], at_s: int) -> int:
    """Return a register between two of its ``times``: it rises evenly, in whole watt-hours."""
    place = bisect_right(times, at_s) - 1
    before = times[place]
    if before == at_s:
        return readings[before]
    after = times[place + 1]
    rise = readings[after] - readings[before]
    return readings[before] + int(Fraction(rise * (at_s - before), after - before))


def month_after(year: int, month: int) -> date:
    """Return the first day of the next month."""
    return (date(year, month, 1) + timedelta(days=32)).replace(day=1)


def audited(
    readings: Readings,
    month: tuple[int, int],
    zone: ZoneInfo,
    price: Price,
    base: Decimal,
    initial: Decimal,
    stay: tuple[date, date] | None = None,
) -> AuditedBill:
    """Return the bill of one month; ``stay`` is [first day, day after the last) of a customer."""
    first, after = date(*month, 1), month_after(*month)
    since, until = stay or (first, after)
    peak_wh = off_peak_wh = 0
    edges = list(_quarters(begins_s(since, zone), begins_s(until, zone)))
    came = _walked(readings.imported, edges)
    for at_s, wh in zip(edges, came, strict=False):
        if price.is_peak(datetime.fromtimestamp(at_s, UTC).astimezone(zone)):
            peak_wh += wh
        else:
            off_peak_wh += wh
    export_wh = sum(_walked(readings.exported, edges))
    amount = Fraction(base) * (until - since).days / (after - first).days
    amount += Fraction(price.peak) * peak_wh / 1000
    amount += Fraction(price.off_peak) * (off_peak_wh - export_wh) / 1000
    rounded = cents(amount)
    if rounded < 0:
        next_base = cents(Fraction(base) * 3 / 4)
    elif rounded > 0:
        next_base = min(initial, cents(Fraction(base) * 5 / 4))
    else:
        next_base = base
    return AuditedBill(max(rounded, Decimal("0.00")), next_base, peak_wh, off_peak_wh, export_wh)


def cents(amount: Fraction) -> Decimal:
    """Return money rounded to the cent, halves away from nothing."""
    exact = amount * 1000
    # A remainder below the tenth of a cent only matters by being there.
    tenths = Decimal(int(exact)) + (Decimal("0.1") if exact > 0 else Decimal("-0.1")) * (
        exact.denominator != 1
    )
    return (tenths / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _quarters(from_s: int, to_s: int) -> Iterator[int]:
    yield from range(from_s, to_s, QUARTER_S)
    yield to_s


def _walked(register: Mapping[int, int], edges: Sequence[int]) -> list[int]:
    times = sorted(register)
    values = [register_at(register, times, at_s) for at_s in edges]
    return [later - earlier for earlier, later in pairwise(values)]
