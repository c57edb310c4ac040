"""What every bill must be, from the plan alone: neither a store nor a billing system is asked.

The rules, in the words of the check:

* A month lasts from midnight to midnight by the customers' clock, so one in which the clock is
  changed is an hour shorter or longer: a day has 92, 96 or 100 quarter-hours.
* A quarter-hour is peak where the customers' clock, as it begins, shows a time within the peak
  hours. What a meter registered between two captures flowed between them.
* amount = base bill + peak energy at the peak price + other energy at the off-peak price - energy
  that went out at the off-peak price; rounded once, to the cent, halves away from zero. A customer
  who was there for a part of the month pays that part of the base bill.
* An amount below zero becomes 0 and the base bill falls by 25 %; one above zero raises it by 25 %,
  to its initial value at most; exactly 0 leaves it. A base bill is a sum of money: a changed one is
  rounded to the cent like a bill.

Source: ACES, "create_bills"; rounding, clock and zero are settled beside it. Money is integers
here, in units of which every price and every watt-hour is a whole number: exact, and bounded. With
energy below 2**32 Wh and prices of at most 100 with six places, no sum reaches 2**61.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from emulator.plan import Plan
from emulator.readings import Truth

Int64Array = NDArray[np.int64]
Span = tuple[int, int]
"""From and to, POSIX seconds."""

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
        datetime(self.year, self.month, 1, tzinfo=UTC)
        for price in (self.peak, self.off_peak):
            if not 0 <= price <= PRICE_MAX or price.scaleb(PLACES) % 1:
                raise ValueError(f"{self.number}: {price} is no price of 0 to {PRICE_MAX}")

    @property
    def number(self) -> int:
        """The month as a number such as 202603."""
        return self.year * 100 + self.month

    def span(self, zone: ZoneInfo) -> Span:
        """Return when the month begins and ends."""
        later, month = divmod(self.month, 12)
        ends = datetime(self.year + later, month + 1, 1, tzinfo=zone)
        return int(datetime(self.year, self.month, 1, tzinfo=zone).timestamp()), int(
            ends.timestamp()
        )

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


def _clock_s(at_s: int, zone: ZoneInfo) -> int:
    """Return what the clock shows, in seconds since its midnight."""
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return (at_s + (int(offset.total_seconds()) if offset is not None else 0)) % DAY_S


@dataclass(frozen=True, slots=True, eq=False)
class TrueBills:
    """The bills of one month; every array has one element a meter, int64 (meters,).

    Attributes:
        month: as a number such as 202603.
        span: what it covers: from the month's begin, or when the customer came, to its end.
        peak_wh: what came in within the peak hours.
        off_peak_wh: what came in besides.
        export_wh: what went out.
        base_cents: the base bill of this month.
        amount_cents: what is to be paid.
        next_base_cents: the base bill of the month after it.
    """

    month: int
    span: Span
    peak_wh: Int64Array
    off_peak_wh: Int64Array
    export_wh: Int64Array
    base_cents: Int64Array
    amount_cents: Int64Array
    next_base_cents: Int64Array


@dataclass(frozen=True, slots=True)
class Account:
    """What a customer pays before any energy.

    Attributes:
        base_bill: at first, 0 or more, whole cents.
        since_s: when the customer came, POSIX seconds; ``None``: before the first bill.
    """

    base_bill: Decimal
    since_s: int | None = None

    @property
    def base_cents(self) -> int:
        """The base bill in cents."""
        return int(self.base_bill.scaleb(2))


class BillingTruth:
    """The bills of all meters of a run, one account for all, month after month.

    Args:
        plan: tells when what is captured.
        truth: what meters register.
        zone: name of the customers' time zone in the IANA database.
        rates: of months that follow one another without a gap.
        account: of every customer.

    Raises:
        ValueError: months out of order, or a month that the plan does not cover.
    """

    def __init__(
        self, plan: Plan, truth: Truth, zone: str, rates: Sequence[MonthRates], account: Account
    ) -> None:
        self.plan = plan
        self.truth = truth
        self.zone = ZoneInfo(zone)
        self.rates = tuple(rates)
        self.account = account
        self._import = truth.profile.names.index("import_wh")
        self._export = truth.profile.names.index("export_wh")
        for earlier, later in zip(self.rates, self.rates[1:], strict=False):
            if earlier.span(self.zone)[1] != later.span(self.zone)[0]:
                raise ValueError(f"{later.number} does not follow {earlier.number}")
        for month in self.rates:
            for at_s in month.span(self.zone):
                self.interval_of(at_s)

    def bills(self) -> Iterator[TrueBills]:
        """Yield the bills of every month, in order.

        Raises `ValueError` where a peak hour begins or ends between two captures.
        """
        base = np.full(self.plan.grid.meters, self.account.base_cents, np.int64)
        for rates in self.rates:
            begins_s, ends_s = rates.span(self.zone)
            since_s = max(begins_s, self.account.since_s or begins_s)
            if since_s < ends_s:
                part = Fraction(ends_s - since_s, ends_s - begins_s)
                bills = self._of_month(rates, (since_s, ends_s), part, base)
                yield bills
                base = bills.next_base_cents

    def interval_of(self, at_s: int) -> int:
        """Return the interval captured at ``at_s``, negative before the run. Raises ValueError."""
        interval, off = divmod(at_s - self.plan.first_s, self.plan.step_s)
        if off or interval not in self.truth.intervals:
            moment = datetime.fromtimestamp(at_s, self.zone).isoformat()
            raise ValueError(
                f"nothing is captured at {moment}, where a month or its peak hours begin or end: "
                "let the steps of the plan, those preloaded included, go from the beginning of "
                "the first month to the end of the last, that moment included"
            )
        return interval

    def times(self, rates: MonthRates) -> list[int]:
        """Return the moments of a month whose readings its bills follow from, ascending."""
        begins_s, ends_s = rates.span(self.zone)
        edges = {at_s for span in rates.peak_spans(self.zone) for at_s in span}
        return sorted({begins_s, ends_s} | edges)

    def _of_month(
        self, rates: MonthRates, span: Span, part: Fraction, base_cents: Int64Array
    ) -> TrueBills:
        begin, end = (self._registers(at_s) for at_s in span)
        came_in, went_out = (end - begin).T
        peak = np.zeros_like(came_in)
        for first_s, last_s in rates.peak_spans(self.zone):
            if last_s > span[0]:
                peak += (self._registers(last_s) - self._registers(max(first_s, span[0])))[:, 0]
        amount = amounts(base_cents, peak, came_in - peak, went_out, rates, part)
        next_base = next_bases(base_cents, self.account.base_cents, amount)
        payable = np.maximum(amount, 0)
        return TrueBills(
            rates.number, span, peak, came_in - peak, went_out, base_cents, payable, next_base
        )

    def _registers(self, at_s: int) -> Int64Array:
        """Return (meters, 2) what had come in and gone out by then, Wh."""
        values, _ = self.truth.block(0, self.plan.grid.meters, self.interval_of(at_s))
        return values[:, [self._import, self._export]].astype(np.int64)


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
    # The part's denominator is a month in seconds: too much for 64 bits, so one by one.
    return np.array(
        [
            int(_rounded_one(base * part * _PER_CENT + flowed, _PER_CENT))
            for base, flowed in zip(base_cents.tolist(), energy.tolist(), strict=True)
        ],
        np.int64,
    )


def next_bases(base_cents: Int64Array, initial_cents: int, amount_cents: Int64Array) -> Int64Array:
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
