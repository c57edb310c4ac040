"""What a month costs. Energy and money are integers; a bill is rounded once, half-up, to the cent.

Watt-hours times millionths a kilowatt-hour are thousand-millionths of the currency's unit, of which
a cent has ten million. Energy is below 2**32 Wh (a register's range) and a price at most 100, so
sums stay below 2**63.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.billing.tariffs import Rates

Int64Array = NDArray[np.int64]
NANO_PER_CENT: Final = 10**7


@dataclass(frozen=True, slots=True)
class Due:
    """What a bill says, and the base bill of the month after it; cents, shape (n,) each."""

    amount_cents: Int64Array
    next_base_cents: Int64Array


def due(
    base_cents: Int64Array,
    initial_cents: Int64Array,
    peak_wh: Int64Array,
    off_peak_wh: Int64Array,
    export_wh: Int64Array,
    rates: Rates,
    share: Fraction = Fraction(1),
) -> Due:
    """Return what is to be paid.

    A negative bill becomes 0 and the base bill falls by a quarter; a positive one raises it by a
    quarter, up to its initial value; one of exactly 0 leaves it. The rounded amount decides. A
    changed base bill is rounded to the cent, half-up, because it is a sum that bills tell.

    Args:
        base_cents: base bill of the month, 0 or more.
        initial_cents: base bill at first.
        peak_wh: energy that came in within peak hours.
        off_peak_wh: energy that came in at other times.
        export_wh: energy that went out.
        rates: the month's prices.
        share: the part of the month the customer was there: it prorates the base bill.
    """
    energy = peak_wh * rates.peak_micro + (off_peak_wh - export_wh) * rates.off_peak_micro
    amount = _cents(base_cents, energy, share)
    lower, higher = _quarters(base_cents, 3), np.minimum(_quarters(base_cents, 5), initial_cents)
    next_base = np.where(amount < 0, lower, np.where(amount > 0, higher, base_cents))
    return Due(np.maximum(amount, 0), next_base)


def _cents(base_cents: Int64Array, energy: Int64Array, share: Fraction) -> Int64Array:
    if share == 1:
        return _half_up(base_cents * NANO_PER_CENT + energy, NANO_PER_CENT)
    # Fractions of months are few; Python's integers have room for them.
    numerator = base_cents.astype(object) * (NANO_PER_CENT * share.numerator)
    numerator += energy.astype(object) * share.denominator
    rounded = _half_up(numerator, NANO_PER_CENT * share.denominator)
    return rounded.astype(np.int64)


def _half_up(numerator: Int64Array, denominator: int) -> Int64Array:
    """Return the quotient rounded half-up: a half goes away from zero."""
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    rounded: Int64Array = np.where(numerator < 0, -whole, whole)
    return rounded


def _quarters(cents: Int64Array, quarters: int) -> Int64Array:
    return _half_up(cents * quarters, 4)
