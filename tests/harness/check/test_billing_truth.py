"""Bills as the plan has them, held against sums over every quarter-hour."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from harness.check.billing_rules import MonthRates
from harness.check.billing_truth import Accounts, BillingTruth, TrueBills
from tests.support.bills import HOUR_S, TEN, billing, rates

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = date(1970, 1, 1)


def by_hand(truth: BillingTruth, month: MonthRates, meter: int, base: Decimal) -> Decimal:
    """Return the unrounded amount of one bill, quarter-hour by quarter-hour."""
    first = date(month.year, month.month, 1)
    end = (first + timedelta(days=31)).replace(day=1)
    since = max(first, EPOCH + timedelta(days=max(0, int(truth.accounts.since_day[meter]))))
    until = min(end, EPOCH + timedelta(days=min(10**6, int(truth.accounts.until_day[meter]))))
    begins_s, ends_s = (
        int(datetime(day.year, day.month, day.day, tzinfo=truth.zone).timestamp())
        for day in (since, until)
    )
    intervals = np.arange(truth.interval_of(begins_s), truth.interval_of(ends_s) + 1)
    values, _ = truth.truth.registers(np.full(len(intervals), meter), intervals)
    total = base * (until - since).days / (end - first).days
    for place, interval in enumerate(intervals[:-1].tolist()):
        at_s = truth.plan.first_s + interval * truth.plan.step_s
        clock = datetime.fromtimestamp(at_s, truth.zone)
        is_peak = month.peak_from_s <= clock.hour * 3600 + clock.minute * 60 < month.peak_until_s
        came_in = int(values[place + 1, 0]) - int(values[place, 0])
        went_out = int(values[place + 1, 3]) - int(values[place, 3])
        total += (month.peak if is_peak else month.off_peak) * came_in / 1000
        total -= month.off_peak * went_out / 1000
    return total


def money(amount_cents: int) -> Decimal:
    return Decimal(amount_cents) / 100


@pytest.mark.parametrize("month", [rates(2026, 3), rates(2026, 10)])
def test_bills_of_a_month_with_a_clock_change_are_the_sum_of_its_quarter_hours(
    month: MonthRates,
) -> None:
    truth = billing([month])
    (bills,) = truth.bills()
    assert bills.export_wh.any()
    assert (bills.peak_wh > 0).all()
    for meter in range(truth.plan.grid.meters):
        exact = by_hand(truth, month, meter, Decimal(10))
        rounded = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert money(int(bills.amount_cents[meter])) == max(rounded, Decimal(0))


def test_base_bills_go_on_from_month_to_month() -> None:
    months = [rates(2026, 6), rates(2026, 7, peak=Decimal("0.5")), rates(2026, 8)]
    truth = billing(months, step="3600 s")
    found: list[TrueBills] = list(truth.bills())
    assert [bills.month for bills in found] == [202606, 202607, 202608]
    fell = stayed = 0
    for meter in range(truth.plan.grid.meters):
        base = Decimal("10.00")
        for month, bills in zip(months, found, strict=True):
            exact = by_hand(truth, month, meter, base).quantize(Decimal("0.01"), ROUND_HALF_UP)
            assert money(int(bills.base_cents[meter])) == base
            assert money(int(bills.amount_cents[meter])) == max(exact, Decimal(0))
            fell, stayed = fell + (exact < 0), stayed + (exact > 0)
            factor = Decimal("0.75") if exact < 0 else Decimal("1.25") if exact > 0 else Decimal(1)
            risen = (base * factor).quantize(Decimal("0.01"), ROUND_HALF_UP)
            base = min(risen, Decimal("10.00"))
    assert fell
    assert stayed


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def test_who_came_or_went_within_a_month_pays_for_those_days() -> None:
    months = [rates(2026, 3), rates(2026, 4)]
    meters = billing(months, step="3600 s").plan.grid.meters
    accounts = Accounts.alike(meters, TEN)
    accounts.base_cents[1] = 1234
    accounts.since_day[1] = day("2026-04-16")
    accounts.since_day[2], accounts.until_day[2] = day("2026-03-29"), day("2026-03-30")
    accounts.until_day[3] = day("2026-03-01")
    accounts.since_day[4] = day("2026-05-01")
    truth = billing(months, accounts=accounts, step="3600 s")
    base = accounts.base_cents.copy()
    for month, bills in zip(months, truth.bills(), strict=True):
        absent = {3, 4} | ({1} if month.month == 3 else {2})
        assert set(np.flatnonzero(~bills.is_due).tolist()) == absent
        assert bills.base_cents.tolist() == base.tolist()
        for meter in range(meters):
            if meter in absent:
                assert bills.amount_cents[meter] == 0
                assert bills.next_base_cents[meter] == base[meter]
                continue
            exact = by_hand(truth, month, meter, money(int(base[meter])))
            rounded = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
            assert money(int(bills.amount_cents[meter])) == max(rounded, Decimal(0))
        base = bills.next_base_cents
    # A day of 23 hours: its part of the base bill is still that of a day.
    (march, _) = truth.bills()
    assert march.to_s[2] - march.from_s[2] == 23 * HOUR_S


def test_a_month_beyond_the_plan_is_refused() -> None:
    truth = billing([rates(2026, 3)])
    with pytest.raises(ValueError, match=r"nothing is captured at 2026-05-01T00:00:00\+02:00"):
        BillingTruth(truth.plan, truth.truth, "Europe/Berlin", [rates(2026, 4)], truth.accounts)


def test_peak_hours_between_two_captures_are_refused() -> None:
    month = rates(2026, 3, peak_from_s=7 * HOUR_S + 1800)
    truth = billing([month], step="3600 s")
    with pytest.raises(ValueError, match=r"nothing is captured at 2026-03-01T07:30:00\+01:00"):
        list(truth.bills())


def test_a_month_without_rates_has_no_bill_and_base_bills_stay_over_it() -> None:
    months = [rates(2026, 6), rates(2026, 8)]
    june, august = billing(months, step="3600 s").bills()
    assert (june.month, august.month) == (202606, 202608)
    assert (june.next_base_cents < 1000).any()
    assert august.base_cents.tolist() == june.next_base_cents.tolist()


@pytest.mark.parametrize("months", [(5, 3), (3, 3)])
def test_months_out_of_order_are_refused(months: tuple[int, int]) -> None:
    truth = billing([rates(2026, 3), rates(2026, 5)], step="3600 s")
    asked = [rates(2026, month) for month in months]
    with pytest.raises(ValueError, match="202603 is not later than 20260"):
        BillingTruth(truth.plan, truth.truth, "Europe/Berlin", asked, truth.accounts)
