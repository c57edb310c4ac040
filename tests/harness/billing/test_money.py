"""What a month costs: numbers worked out by hand, and Decimal as another calculator."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.billing.money import due
from harness.billing.tariffs import Rates

RATES = Rates(month="2026-03", peak=Decimal("0.32"), off_peak="0.21", peak_hours="07:00-22:00")


def bill(
    base: int, peak: int, off_peak: int, export: int, *, initial: int = 2000, rates: Rates = RATES,
    share: Fraction = Fraction(1),
) -> tuple[int, int]:  # fmt: skip
    """Return the amount and the next base bill of one meter."""
    columns = [np.array([value], np.int64) for value in (base, initial, peak, off_peak, export)]
    told = due(columns[0], columns[1], columns[2], columns[3], columns[4], rates, share)
    assert told.amount_cents.dtype == told.next_base_cents.dtype == np.int64
    return int(told.amount_cents[0]), int(told.next_base_cents[0])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        # 20.00 + 100 kWh x 0.32 + 50 kWh x 0.21 - 10 kWh x 0.21 = 60.40; the base stays capped.
        ((2000, 100_000, 50_000, 10_000), (6040, 2000)),
        # 10.00 raised by a quarter.
        ((1000, 0, 0, 0), (1000, 1250)),
        # 18.00 x 1.25 = 22.50, capped at 20.00.
        ((1800, 0, 0, 0), (1800, 2000)),
        # 20.00 - 200 kWh x 0.21 = -22.00: nothing to pay, base 15.00.
        ((2000, 0, 0, 200_000), (0, 1500)),
        # 21.00 - 100 kWh x 0.21 = 0: the base stays.
        ((2100, 0, 0, 100_000), (0, 2100)),
        # 15 Wh x 0.32 = 0.0048 and 16 Wh x 0.32 = 0.00512 around half a cent.
        ((0, 15, 0, 0), (0, 0)),
        ((0, 16, 0, 0), (1, 0)),
        # 0.05 x 0.75 = 0.0375, half-up 0.04; 0.02 x 1.25 = 0.025, half-up 0.03.
        ((5, 0, 0, 1000), (0, 4)),
        ((2, 0, 0, 0), (2, 3)),
    ],
)
def test_a_bill_by_hand(asked: tuple[int, int, int, int], told: tuple[int, int]) -> None:
    initial = max(2000, asked[0])
    assert bill(*asked, initial=initial) == told


def test_exactly_half_a_cent_goes_up_and_below_zero_away_from_it() -> None:
    rates = RATES.model_copy(update={"off_peak": Decimal("0.005")})
    assert bill(100, 0, 1000, 0, rates=rates)[0] == 101
    assert bill(0, 0, 0, 1000, rates=rates) == (0, 0)
    # -0.005 rounds to -0.01, which is negative: the base of 4 cents falls to 3.
    assert bill(4, 0, 0, 9000, rates=rates) == (0, 3)
    # -0.004 rounds to 0.00, which leaves it.
    rates = RATES.model_copy(update={"off_peak": Decimal("0.004")})
    assert bill(4, 0, 0, 11_000, rates=rates) == (0, 4)


def test_the_base_bill_of_part_of_a_month_is_prorated_within_the_one_rounding() -> None:
    # 20.00 x 10/31 = 6.4516...; with 1 kWh x 0.32 6.7716...: 6.77.
    assert bill(2000, 1000, 0, 0, share=Fraction(10, 31))[0] == 677
    # 10.01 x 1/2 = 5.005: 5.01, and with 4 Wh x 0.21 more still once: 5.00584.
    assert bill(1001, 0, 0, 0, share=Fraction(1, 2))[0] == 501
    assert bill(1001, 0, 4, 0, share=Fraction(1, 2))[0] == 501


def test_a_bill_at_the_end_of_every_range_does_not_overflow() -> None:
    rates = RATES.model_copy(update={"peak": Decimal(100), "off_peak": Decimal(100)})
    highest = 2**32 - 1
    told = bill(100_000_000, highest, 0, 0, initial=100_000_000, rates=rates)
    exact = Decimal(1_000_000) + Decimal(highest) / 1000 * 100
    assert told[0] == int(exact.quantize(Decimal("0.01"), ROUND_HALF_UP) * 100)


WH = st.integers(0, 2_000_000)
PRICE = st.decimals(0, 100, places=6)


@given(
    base=st.integers(0, 5000), peak=WH, off_peak=WH, export=WH, price=PRICE, low=PRICE,
    days=st.integers(1, 31),
)  # fmt: skip
def test_decimal_says_the_same(
    base: int, peak: int, off_peak: int, export: int, price: Decimal, low: Decimal, days: int
) -> None:
    rates = RATES.model_copy(update={"peak": price, "off_peak": low})
    # Of 32nds, so that Decimal's division is exact.
    amount = Decimal(base) / 100 * days / 32 + (
        Decimal(peak) / 1000 * price + (Decimal(off_peak) - Decimal(export)) / 1000 * low
    )
    amount = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    factor = Decimal("0.75") if amount < 0 else Decimal("1.25") if amount > 0 else Decimal(1)
    next_base = (Decimal(base) / 100 * factor).quantize(Decimal("0.01"), ROUND_HALF_UP)
    expected = (int(max(amount, Decimal(0)) * 100), min(int(next_base * 100), 5000))
    assert (
        bill(base, peak, off_peak, export, initial=5000, rates=rates, share=Fraction(days, 32))
        == expected
    )
