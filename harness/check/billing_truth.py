"""What every bill must be, from the plan alone: neither a store nor a billing system is asked.

The rules are in `harness.check.billing_rules`; here they meet what meters register.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from emulator.plan import Plan
from emulator.readings import Truth
from harness.check.billing_rules import MonthRates, amounts, midnight_s, next_bases

Int64Array = NDArray[np.int64]

NO_DAY: Final = 10**7
"""Days since 1970-01-01 that no plan lives to see."""


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """What customers pay before any energy, and for how long; int64 (meters,) each.

    Attributes:
        base_cents: the base bill at first, 0 or more.
        since_day: first day of the customer, in days since 1970-01-01.
        until_day: the day after the last one.
    """

    base_cents: Int64Array
    since_day: Int64Array
    until_day: Int64Array

    @classmethod
    def alike(cls, meters: int, base_bill: Decimal) -> Accounts:
        """Return accounts with the same base bill (whole cents), for all time."""
        return cls(
            np.full(meters, int(base_bill.scaleb(2)), np.int64),
            np.full(meters, -NO_DAY, np.int64),
            np.full(meters, NO_DAY, np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrueBills:
    """The bills of one month; every array has one element a meter, int64 (meters,).

    Attributes:
        month: as a number such as 202603.
        is_due: whether there is a bill: not where nobody was a customer; bool.
        from_s: where what a bill covers begins, POSIX seconds; 0 where there is none.
        to_s: where it ends.
        peak_wh: what came in within the peak hours.
        off_peak_wh: what came in besides.
        export_wh: what went out.
        base_cents: the base bill of this month, of all its days.
        amount_cents: what is to be paid.
        next_base_cents: the base bill of the month after it.
    """

    month: int
    is_due: NDArray[np.bool_]
    from_s: Int64Array
    to_s: Int64Array
    peak_wh: Int64Array
    off_peak_wh: Int64Array
    export_wh: Int64Array
    base_cents: Int64Array
    amount_cents: Int64Array
    next_base_cents: Int64Array

    @classmethod
    def none(cls, month: int, base_cents: Int64Array) -> TrueBills:
        """Return a month without a bill so far, whose base bills stay."""
        meters = len(base_cents)
        from_s, to_s, peak, off_peak, export, amount = np.zeros((6, meters), np.int64)
        return cls(
            month,
            np.zeros(meters, np.bool_),
            from_s,
            to_s,
            peak,
            off_peak,
            export,
            base_cents,
            amount,
            base_cents.copy(),
        )


class BillingTruth:
    """The bills of all meters of a run, month after month.

    Args:
        plan: tells when what is captured.
        truth: what meters register.
        zone: name of the customers' time zone in the IANA database.
        rates: of months in order; one without rates has no bill, and base bills stay over it.
        accounts: of all meters.

    Raises:
        ValueError: months out of order, or a month that the plan does not cover.
    """

    def __init__(
        self, plan: Plan, truth: Truth, zone: str, rates: Sequence[MonthRates], accounts: Accounts
    ) -> None:
        self.plan = plan
        self.truth = truth
        self.zone = ZoneInfo(zone)
        self.rates = tuple(rates)
        self.accounts = accounts
        self._import = truth.profile.names.index("import_wh")
        self._export = truth.profile.names.index("export_wh")
        for earlier, later in pairwise(self.rates):
            if earlier.number >= later.number:
                raise ValueError(f"{later.number} is not later than {earlier.number}")
        for month in self.rates:
            for at_s in month.span(self.zone):
                self.interval_of(at_s)

    def bills(self) -> Iterator[TrueBills]:
        """Yield the bills of every month, in order.

        Raises `ValueError` where a peak hour begins or ends between two captures.
        """
        base_cents = self.accounts.base_cents
        for rates in self.rates:
            bills = TrueBills.none(rates.number, base_cents)
            first, last = rates.days
            since = np.maximum(self.accounts.since_day, first)
            until = np.minimum(self.accounts.until_day, last)
            for stay in np.unique(np.stack([since, until]), axis=1).T.tolist():
                if stay[0] < stay[1]:
                    meters = np.flatnonzero((since == stay[0]) & (until == stay[1]))
                    self._bill(rates, (stay[0], stay[1]), meters, bills)
            yield bills
            base_cents = bills.next_base_cents

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

    def _bill(
        self, rates: MonthRates, days: tuple[int, int], meters: Int64Array, bills: TrueBills
    ) -> None:
        """Note the bills of meters whose customers were there for the same days of a month."""
        begins_s, ends_s = (midnight_s(day, self.zone) for day in days)
        flowed = self._registers(ends_s, meters) - self._registers(begins_s, meters)
        peak = np.zeros(len(meters), np.int64)
        for first_s, last_s in rates.peak_spans(self.zone):
            from_s, to_s = max(first_s, begins_s), min(last_s, ends_s)
            if from_s < to_s:
                peak += (self._registers(to_s, meters) - self._registers(from_s, meters))[:, 0]
        first, last = rates.days
        part, base_cents = Fraction(days[1] - days[0], last - first), bills.base_cents[meters]
        amount = amounts(base_cents, peak, flowed[:, 0] - peak, flowed[:, 1], rates, part)
        bills.is_due[meters] = True
        bills.from_s[meters], bills.to_s[meters] = begins_s, ends_s
        bills.peak_wh[meters], bills.off_peak_wh[meters] = peak, flowed[:, 0] - peak
        bills.export_wh[meters] = flowed[:, 1]
        bills.amount_cents[meters] = np.maximum(amount, 0)
        initial_cents = self.accounts.base_cents[meters]
        bills.next_base_cents[meters] = next_bases(base_cents, initial_cents, amount)

    def _registers(self, at_s: int, meters: Int64Array) -> Int64Array:
        """Return (n, 2) what had come in and gone out by then, Wh."""
        interval = self.interval_of(at_s)
        if len(meters) == self.plan.grid.meters:
            values, _ = self.truth.block(0, len(meters), interval)
        else:
            values, _ = self.truth.registers(meters, interval)
        return values[:, [self._import, self._export]].astype(np.int64)
