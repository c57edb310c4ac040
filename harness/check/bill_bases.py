"""Whether a bill is wrong, or missing, because of a reading of a month before.

A base bill follows from the amounts of earlier months, so a reading that is not right may show only
in a later one: its month came to 0.00 as it had to, but not for the same reason. A wrong bill is
laid at such a reading's door only if there is a base bill to which earlier months could have led,
and with which it would be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.check.bill_faults import decisive_faults
from harness.check.billing_rules import amounts, next_bases
from harness.check.billing_truth import BillingTruth, Int64Array, TrueBills
from harness.store.interface import StoredReader

NO_BILL: Final = np.iinfo(np.int64).min
"""In place of an amount: there is no bill."""


def inherited_faults(
    doubtful: NDArray[np.bool_],
    found_cents: Int64Array,
    bills: TrueBills,
    earlier: Sequence[TrueBills],
    truth: BillingTruth,
    reader: StoredReader,
) -> Int64Array:
    """Return when the reading was captured, of a month before, that explains each doubtful bill.

    Args:
        doubtful: the meters whose bill no reading of its own month explains.
        found_cents: what was billed, or `NO_BILL`.
        bills: what must be.
        earlier: the months before, in order.
        truth: what meters register.
        reader: the store.

    Returns POSIX seconds, int64 (meters,); 0 where there is none.
    """
    first = np.zeros(len(doubtful), np.int64)
    for before in earlier:
        wanted = doubtful & (first == 0) & before.is_due
        if wanted.any():
            first += decisive_faults(wanted, before, truth, reader)
    for meter in np.flatnonzero((first > 0) & (found_cents != NO_BILL)).tolist():
        if not _follows(meter, int(found_cents[meter]), bills, earlier, truth):
            first[meter] = 0
    return first


def _follows(
    meter: int,
    found_cents: int,
    bills: TrueBills,
    earlier: Sequence[TrueBills],
    truth: BillingTruth,
) -> bool:
    """Return whether a bill is right but for a base bill to which earlier months may lead."""
    initial_cents = truth.accounts.base_cents[meter : meter + 1]
    bases = initial_cents
    for before in earlier:
        if before.is_due[meter]:
            steps = [next_bases(bases, initial_cents, np.array([sign])) for sign in (-1, 0, 1)]
            bases = np.unique(np.concatenate(steps))
    (rates,) = (rates for rates in truth.rates if rates.number == bills.month)
    first, last = rates.days
    since = max(first, int(truth.accounts.since_day[meter]))
    until = min(last, int(truth.accounts.until_day[meter]))
    peak_wh, off_peak_wh, export_wh = (
        np.full(len(bases), column[meter], np.int64)
        for column in (bills.peak_wh, bills.off_peak_wh, bills.export_wh)
    )
    part = Fraction(until - since, last - first)
    told = amounts(bases, peak_wh, off_peak_wh, export_wh, rates, part)
    return found_cents in np.maximum(told, 0).tolist()
