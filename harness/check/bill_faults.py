"""Which reading explains that a bill is not what it must be.

A bill follows from few readings, the decisive ones: at the begin and the end of what it covers, and
where peak hours begin and end. These are looked at for every doubtful bill; all others of a month,
which may have led a billing system to withhold a bill, only for the few that are told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.check.billing_truth import BillingTruth, Int64Array, TrueBills
from harness.store.interface import StoredReader
from harness.store.rows import StoredRows


@dataclass(frozen=True, slots=True)
class ReadingFault:
    """A reading that is not in a store as its meter registered it.

    Attributes:
        meter: its number.
        interval: of the plan; negative before the run.
        captured_at_s: when it was captured, POSIX seconds.
        expected: status and registers.
        found: what the store has; empty where it has nothing.
    """

    meter: int
    interval: int
    captured_at_s: int
    expected: tuple[int, ...]
    found: tuple[int, ...]


def decisive_faults(
    doubtful: NDArray[np.bool_], bills: TrueBills, truth: BillingTruth, reader: StoredReader
) -> Int64Array:
    """Return when the first decisive reading of each doubtful bill that is not right was captured.

    POSIX seconds, int64 (meters,); 0 where all of them are right, and where nothing is doubtful.
    """
    first = np.zeros(len(doubtful), np.int64)
    for at_s in _decisive(doubtful, bills, truth):
        wanted = doubtful & (first == 0) & (bills.from_s <= at_s) & (at_s <= bills.to_s)
        if wanted.any():
            first[wanted & ~_right(reader.rows(at_s), at_s, truth)] = at_s
    return first


def faults_at(
    moments: Mapping[int, int], truth: BillingTruth, reader: StoredReader
) -> dict[int, ReadingFault]:
    """Return what is wrong with one reading of each meter, captured at a moment of its own.

    Args:
        moments: by meter, POSIX seconds; meters with 0 are left out.
        truth: tells what the reading must be.
        reader: the store.
    """
    found = {}
    for at_s in sorted(set(moments.values()) - {0}):
        stored = reader.rows(at_s)
        for meter in (meter for meter, moment_s in moments.items() if moment_s == at_s):
            fault = _fault(meter, at_s, stored, truth)
            if fault is not None:
                found[meter] = fault
    return found


def first_faults(
    meters: Iterable[int], bills: TrueBills, truth: BillingTruth, reader: StoredReader
) -> dict[int, ReadingFault]:
    """Return the first reading of each meter that is not right, of all that its bill covers."""
    spans = {meter: (int(bills.from_s[meter]), int(bills.to_s[meter])) for meter in meters}
    found: dict[int, ReadingFault] = {}
    begins_s = min((begins_s for begins_s, _ in spans.values()), default=0)
    ends_s = max((ends_s for _, ends_s in spans.values()), default=-1)
    for at_s in range(begins_s, ends_s + 1, truth.plan.step_s):
        concerned = {
            meter: at_s
            for meter, (from_s, to_s) in spans.items()
            if meter not in found and from_s <= at_s <= to_s
        }
        found |= faults_at(concerned, truth, reader)
    return found


def _decisive(doubtful: NDArray[np.bool_], bills: TrueBills, truth: BillingTruth) -> list[int]:
    """Return the moments from which doubtful bills of a month follow, ascending."""
    (rates,) = (rates for rates in truth.rates if rates.number == bills.month)
    ends = np.union1d(bills.from_s[doubtful], bills.to_s[doubtful])
    return sorted({*truth.times(rates), *ends.tolist()})


def _right(stored: StoredRows, at_s: int, truth: BillingTruth) -> NDArray[np.bool_]:
    """Return which meters have a reading in a slot, and none that is not what it must be."""
    meters = truth.plan.grid.meters
    mine = (stored.rows.profile == truth.truth.profile.number) & (stored.rows.meter < meters)
    rows = stored.rows.take(mine)
    values, status = truth.truth.block(0, meters, truth.interval_of(at_s))
    equal = (rows.values == values[rows.meter]).all(axis=1) & (rows.status == status[rows.meter])
    right = np.zeros(meters, np.bool_)
    right[rows.meter] = True
    right[rows.meter[~equal]] = False
    return right


def _fault(meter: int, at_s: int, stored: StoredRows, truth: BillingTruth) -> ReadingFault | None:
    interval = truth.interval_of(at_s)
    values, status = truth.truth.registers(np.array([meter]), interval)
    expected = (int(status[0]), *values[0].tolist())
    mine = (stored.rows.meter == meter) & (stored.rows.profile == truth.truth.profile.number)
    rows = stored.rows.take(mine)
    if not len(rows):
        return ReadingFault(meter, interval, at_s, expected, ())
    for row in range(len(rows)):
        seen = (int(rows.status[row]), *rows.values[row].tolist())
        if seen != expected:
            return ReadingFault(meter, interval, at_s, expected, seen)
    return None
