"""The rules of bills: hand-computed amounts, months in which the clock changes, caps."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check.billing_rules import (
    Int64Array,
    MonthRates,
    amounts,
    next_bases,
)
from tests.support.bills import HOUR_S, rates

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = date(1970, 1, 1)


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
    assert next_bases(cents(base), cents(1000), cents(billed)).tolist() == [following]


@pytest.mark.parametrize("price", ["-0.01", "100.01", "0.0000001"])
def test_a_price_out_of_bounds_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match="no price of 0 to 100"):
        rates(2026, 3, peak=Decimal(price))
