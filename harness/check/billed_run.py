"""The bills that a recorded run owes: its plan, and the tariffs of its scenario.

The tariffs are read as what a scenario says; nothing that bills with them is used.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from emulator.plan import Plan
from emulator.readings import Truth
from harness.check.billing_rules import MonthRates
from harness.check.billing_truth import Accounts, BillingTruth
from harness.check.recorded import RecordedRun
from harness.hours import Hours


class WrittenMonth(Protocol):
    """A month of the calendar."""

    @property
    def year(self) -> int:
        """The year."""

    @property
    def month(self) -> int:
        """The month of the year, 1..12."""


class WrittenRates(Protocol):
    """What energy costs in one month, as a scenario says it."""

    @property
    def month(self) -> WrittenMonth:
        """The month."""

    @property
    def peak(self) -> Decimal:
        """Price of a kWh within the peak hours."""

    @property
    def off_peak(self) -> Decimal:
        """Price of any other."""

    @property
    def peak_hours(self) -> Hours:
        """The peak hours, by the customers' clock."""


def months_of(
    written: tuple[WrittenRates, ...], zone: ZoneInfo, plan: Plan, truth: Truth, opened: int
) -> list[MonthRates]:
    """Return the months that a plan covers from their first reading to the last, in order.

    Args:
        written: what energy costs, in any order.
        zone: the customers' time zone.
        plan: tells when what is captured.
        truth: tells how much history there is.
        opened: steps that had opened before the drain: what is captured later is not owed.
    """
    months = sorted(
        (
            MonthRates(
                rates.month.year,
                rates.month.month,
                rates.peak,
                rates.off_peak,
                rates.peak_hours.from_s,
                rates.peak_hours.until_s,
            )
            for rates in written
        ),
        key=lambda month: month.number,
    )
    first_s = plan.first_s + truth.intervals.start * plan.step_s
    last_s = plan.first_s + (opened - 1) * plan.step_s
    spans = [month.span(zone) for month in months]
    return [
        month
        for month, (begins_s, ends_s) in zip(months, spans, strict=True)
        if first_s <= begins_s and ends_s <= last_s
    ]


def billing_truth(
    run: RecordedRun,
    zone: str,
    written: tuple[WrittenRates, ...],
    base_bill: Decimal,
    accounts: Accounts | None = None,
) -> BillingTruth:
    """Return the bills that a run owes: one of every meter for each month the plan covers.

    Args:
        run: the recorded run.
        zone: name of the customers' time zone.
        written: what energy costs, a month each.
        base_bill: of every account at first, whole cents.
        accounts: of all meters, where they differ.

    Raises:
        ValueError: months the plan covers begin between captures.
    """
    plan, truth = run.schedule.plan, run.truth
    months = months_of(written, ZoneInfo(zone), plan, truth, run.steps_opened())
    if accounts is None:
        accounts = Accounts.alike(run.grid.meters, base_bill)
    return BillingTruth(plan, truth, zone, months, accounts)
