"""Bills as the plan has them: hand-computed amounts, months in which the clock changes, caps."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check.billing_truth import (
    Account,
    BillingTruth,
    Int64Array,
    MonthRates,
    TrueBills,
    amounts,
    next_bases,
)
from tests.support.billing import HOUR_S, billing, rates

BERLIN = ZoneInfo("Europe/Berlin")


def cents(*values: int) -> Int64Array:
    return np.array(values, np.int64)


def amount(base: int, peak: int, off_peak: int, out: int, prices: MonthRates) -> int:
    return int(amounts(cents(base), cents(peak), cents(off_peak), cents(out), prices)[0])


# ---- months and clocks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "zone", "quarters"),
    [
        (rates(2026, 3), "Europe/Berlin", 31 * 96 - 4),
        (rates(2026, 4), "Europe/Berlin", 30 * 96),
        (rates(2026, 10), "Europe/Berlin", 31 * 96 + 4),
        (rates(2026, 12), "Europe/Berlin", 31 * 96),
        (rates(2028, 2), "Europe/Berlin", 29 * 96),
        (rates(2026, 3), "UTC", 31 * 96),
        (rates(2026, 4), "Australia/Sydney", 30 * 96 + 4),
        (rates(2026, 10), "Australia/Sydney", 31 * 96 - 4),
        # Half an hour is changed there.
        (rates(2026, 4), "Australia/Lord_Howe", 30 * 96 + 2),
    ],
)
def test_a_month_has_an_hour_less_or_more_where_the_clock_changes(
    month: MonthRates, zone: str, quarters: int
) -> None:
    begins_s, ends_s = month.span(ZoneInfo(zone))
    assert ends_s - begins_s == quarters * 900


def test_months_begin_at_midnight_by_the_customers_clock() -> None:
    # date -u -d "2026-03-01 00:00 +0100" +%s; the end is 00:00 +0200.
    assert rates(2026, 3).span(BERLIN) == (1_772_319_600, 1_774_994_400)
    assert rates(2026, 12).span(BERLIN)[1] == rates(2027, 1).span(BERLIN)[0]


def peak_quarters(month: MonthRates, day: int, zone: ZoneInfo = BERLIN) -> int:
    """Return how many quarter-hours of one local day are peak."""
    begins_s = int(datetime(month.year, month.month, day, tzinfo=zone).timestamp())
    following = datetime(month.year, month.month, day, tzinfo=zone) + timedelta(days=1)
    ends_s = int(following.timestamp())
    return (
        sum(
            max(0, min(last_s, ends_s) - max(first_s, begins_s))
            for first_s, last_s in month.peak_spans(zone)
        )
        // 900
    )


@pytest.mark.parametrize(
    ("hours", "ordinary", "short", "long"),
    [
        # From, until; quarter-hours of an ordinary day, of 29 March and of 25 October 2026.
        ((7, 20), 52, 52, 52),
        ((0, 24), 96, 92, 100),
        # The hour from 2 to 3 is skipped in spring and happens twice in autumn.
        ((2, 3), 4, 0, 8),
        ((1, 3), 8, 4, 12),
        ((3, 5), 8, 8, 8),
        # Over midnight: 22 to 24 and 0 to 6.
        ((22, 6), 32, 28, 36),
    ],
)
def test_peak_hours_follow_the_customers_clock(
    hours: tuple[int, int], ordinary: int, short: int, long: int
) -> None:
    told = {"peak_from_s": hours[0] * HOUR_S, "peak_until_s": hours[1] * HOUR_S}
    march, october = rates(2026, 3, **told), rates(2026, 10, **told)
    assert peak_quarters(march, 28) == ordinary
    assert peak_quarters(march, 29) == short
    assert peak_quarters(march, 30) == ordinary
    assert peak_quarters(october, 25) == long
    assert peak_quarters(october, 26) == ordinary


def test_peak_hours_of_a_day_in_summer_begin_an_hour_earlier_in_utc() -> None:
    spans = rates(2026, 3).peak_spans(BERLIN)
    assert len(spans) == 31
    # 28 March 07:00 +01:00 is 06:00 UTC, 30 March 07:00 +02:00 is 05:00 UTC.
    assert spans[27] == (1_774_677_600, 1_774_724_400)
    assert spans[29] == (1_774_846_800, 1_774_893_600)


def test_a_whole_day_of_peak_hours_is_one_span() -> None:
    whole = rates(2026, 3, peak_from_s=0, peak_until_s=24 * HOUR_S)
    assert whole.peak_spans(BERLIN) == [whole.span(BERLIN)]


# ---- money -------------------------------------------------------------------------------------


def test_a_bill_is_base_and_peak_and_off_peak_less_what_went_out_at_off_peak() -> None:
    # 10.00 + 120.5 * 0.3210 + 80.25 * 0.2105 - 30.125 * 0.2105 = 59.2318125
    assert amount(1000, 120_500, 80_250, 30_125, rates(2026, 3)) == 5923


@pytest.mark.parametrize(
    ("peak_wh", "out_wh", "expected"),
    [
        # At 1.00 a kilowatt-hour ten watt-hours are a cent.
        (4, 0, 0),
        (5, 0, 1),
        (14, 0, 1),
        (15, 0, 2),
        (25, 0, 3),
        (2675, 0, 268),
        (0, 4, 0),
        (0, 5, -1),
        (0, 14, -1),
        (0, 15, -2),
    ],
)
def test_halves_are_rounded_away_from_zero(peak_wh: int, out_wh: int, expected: int) -> None:
    prices = rates(2026, 3, peak=Decimal(1), off_peak=Decimal(1))
    assert amount(0, peak_wh, 0, out_wh, prices) == expected


def test_the_sum_is_rounded_and_not_its_parts() -> None:
    # 0.004 + 0.004 + 0.002 = 0.010; rounded one by one they were nothing.
    prices = rates(2026, 3, peak=Decimal("0.004"), off_peak=Decimal("0.003"))
    assert amount(0, 1000, 2000, 0, prices) == 1


def test_a_price_may_have_six_places_and_energy_fill_a_register() -> None:
    prices = rates(2026, 3, peak=Decimal("99.999999"), off_peak=Decimal("0.000001"))
    most = 2**32 - 1
    exact = Decimal(most) * Decimal("99.999999") / 1000 + Decimal(most) * Decimal("0.000001") / 1000
    expected = (exact + 10).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert amount(1000, most, most, 0, prices) == int(expected * 100)


@given(
    base=st.integers(0, 10**8),
    energy=st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
    prices=st.tuples(*[st.decimals(0, 100, places=6)] * 2),
    part=st.one_of(st.just(Fraction(1)), st.fractions(0, 1, max_denominator=2_678_400)),
)
def test_amounts_are_those_of_decimal_arithmetic(
    base: int, energy: tuple[int, int, int], prices: tuple[Decimal, Decimal], part: Fraction
) -> None:
    month = rates(2026, 3, peak=prices[0], off_peak=prices[1])
    peak, off_peak, out = energy
    found = int(amounts(cents(base), cents(peak), cents(off_peak), cents(out), month, part)[0])
    exact = Fraction(base, 100) * part
    exact += Fraction(prices[0]) * peak / 1000 + Fraction(prices[1]) * (off_peak - out) / 1000
    # Nearest cent, and of two as near the one farther from zero.
    assert abs(exact * 100 - found) <= Fraction(1, 2)
    if abs(exact * 100 - found) == Fraction(1, 2):
        assert abs(found) > abs(exact * 100)


@pytest.mark.parametrize(
    ("base", "billed", "following"),
    [
        (1000, -1, 750),
        (750, -1, 563),  # 562.5
        (563, -1, 422),  # 422.25
        (422, 1, 528),  # 527.5
        (528, 1, 660),
        (660, 1, 825),
        (825, 1, 1000),  # 1031.25, and never above the initial one
        (1000, 1, 1000),
        (800, 1, 1000),
        (799, 1, 999),  # 998.75
        (750, 0, 750),
        (0, 5, 0),
        (1, -5, 1),  # 0.75
        (2, -5, 2),  # 1.5
    ],
)
def test_a_base_bill_falls_rises_or_stays(base: int, billed: int, following: int) -> None:
    assert next_bases(cents(base), 1000, cents(billed)).tolist() == [following]


@pytest.mark.parametrize("price", ["-0.01", "100.01", "0.0000001"])
def test_a_price_out_of_bounds_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match="no price of 0 to 100"):
        rates(2026, 3, peak=Decimal(price))


# ---- bills of a plan ---------------------------------------------------------------------------


def by_hand(truth: BillingTruth, month: MonthRates, meter: int, base: Decimal) -> Decimal:
    """Return the unrounded amount of one bill, quarter-hour by quarter-hour."""
    begins_s, ends_s = month.span(truth.zone)
    since_s = max(begins_s, truth.account.since_s or begins_s)
    intervals = np.arange(truth.interval_of(since_s), truth.interval_of(ends_s) + 1)
    values, _ = truth.truth.registers(np.full(len(intervals), meter), intervals)
    total = base * (ends_s - since_s) / (ends_s - begins_s)
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


def test_who_came_within_a_month_pays_its_part_and_nothing_before() -> None:
    months = [rates(2026, 3), rates(2026, 4)]
    came = int(datetime(2026, 4, 16, tzinfo=BERLIN).timestamp())
    truth = billing(months, account=Account(Decimal("10.00"), came), step="3600 s")
    (bills,) = truth.bills()
    assert bills.month == 202604
    assert bills.span[0] == came
    for meter in range(truth.plan.grid.meters):
        exact = by_hand(truth, months[1], meter, Decimal("10.00"))
        rounded = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert money(int(bills.amount_cents[meter])) == max(rounded, Decimal(0))


def test_a_month_beyond_the_plan_is_refused() -> None:
    truth = billing([rates(2026, 3)])
    with pytest.raises(ValueError, match=r"nothing is captured at 2026-05-01T00:00:00\+02:00"):
        BillingTruth(truth.plan, truth.truth, "Europe/Berlin", [rates(2026, 4)], truth.account)


def test_peak_hours_between_two_captures_are_refused() -> None:
    month = rates(2026, 3, peak_from_s=7 * HOUR_S + 1800)
    truth = billing([month], step="3600 s")
    with pytest.raises(ValueError, match=r"nothing is captured at 2026-03-01T07:30:00\+01:00"):
        list(truth.bills())


def test_months_with_a_gap_between_them_are_refused() -> None:
    truth = billing([rates(2026, 3)])
    months = [rates(2026, 3), rates(2026, 5)]
    with pytest.raises(ValueError, match="202605 does not follow 202603"):
        BillingTruth(truth.plan, truth.truth, "Europe/Berlin", months, truth.account)
