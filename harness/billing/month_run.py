"""The making of one month's bills: who is billed what, and whose bill is withheld for which reason.

Bills go into the book as each store answers, so a run that was broken off left whole bills only.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from harness.billing.accounts import Accounts, Stay
from harness.billing.book import Book
from harness.billing.calendar import Band, Month
from harness.billing.errors import Reason
from harness.billing.money import due
from harness.billing.tables import BILLS, WITHHELD
from harness.billing.tariffs import Rates
from harness.store.schema import Columns
from harness.store.usage import NEVER, Standing, Usage, UsageQuestion

Int64Array = NDArray[np.int64]


class MonthRun:
    """The making of one month's bills."""

    def __init__(
        self, book: Book, accounts: Accounts, month: Month, rates: Rates, wait_since: Month
    ) -> None:
        self.rates = rates
        self.issued = self.withheld = self.waiting = 0
        self.created_at_us = 0
        self._began_s = time.monotonic()
        self.estimates = True
        self._book = book
        self._accounts = accounts
        self._month = month
        self._billed = np.zeros(len(accounts), np.bool_)
        self._billed[_known(book.billed(month), accounts)] = True
        self.already = int(np.count_nonzero(self._billed))
        self._waiting = np.zeros(len(accounts), np.bool_)
        self._waiting[_known(book.waiting(month, wait_since), accounts)] = True
        self._served = np.zeros(len(accounts), np.bool_)
        self._base_cents = accounts.initial_cents.copy()
        last = book.base_bills(month)
        known = last["meter"] < len(accounts)
        self._base_cents[last["meter"][known]] = last["base_cents"][known]

    def unbilled(self, meters: Int64Array) -> Int64Array:
        """Return those of ``meters`` that have no bill yet."""
        self._served[meters] = True
        return meters[~self._billed[meters]]

    def bill(
        self,
        stay: Stay,
        wanted: Int64Array,
        question: UsageQuestion,
        usage: Usage,
        captures: int,
    ) -> Int64Array:
        """Bill whom ``usage`` tells of, or withhold the bill; return their meters."""
        standing = usage.standing.take(np.isin(usage.standing.meter, wanted))
        meters = standing.meter.astype(np.int64)
        gaps = (standing.estimated > 0) & (standing.readings < captures) & (not self.estimates)
        reason, at_s = _faults(standing, question, gaps, self._waiting[meters])
        sound = reason < 0
        columns = self._bills(stay, usage, standing.take(sound), captures)
        self._write(columns, self._withheld(meters[~sound], reason[~sound], at_s[~sound]))
        return meters

    def withhold_silent(self, meters: Int64Array) -> None:
        """Withhold the bills of meters without readings."""
        reason = np.full(len(meters), Reason.NO_READINGS, np.int64)
        at_s = np.full(len(meters), NEVER, np.int64)
        self._write(self._no_bills(), self._withheld(meters, reason, at_s))

    def release_strangers(self) -> None:
        """Forget that bills were withheld of whom the month is none of any more."""
        held = _known(self._book.withheld_meters(self._month), self._accounts)
        self._book.release(self._month, held[~self._served[held]])

    def _bills(self, stay: Stay, usage: Usage, standing: Standing, captures: int) -> Columns:
        meters = standing.meter.astype(np.int64)
        peak_wh, off_peak_wh, export_wh = _by_band(usage, len(self._accounts), meters)
        base_cents = self._base_cents[meters]
        initial_cents = self._accounts.initial_cents[meters]
        told = due(
            base_cents, initial_cents, peak_wh, off_peak_wh, export_wh, self.rates, stay.share
        )
        count = len(meters)
        return {
            "meter": standing.meter,
            "month": np.full(count, self._month.number, np.int64),
            "amount_cents": told.amount_cents,
            "base_cents": base_cents,
            "next_base_cents": told.next_base_cents,
            "days": np.full(count, stay.days, np.uint8),
            "month_days": np.full(count, stay.month_days, np.uint8),
            "peak_wh": peak_wh,
            "off_peak_wh": off_peak_wh,
            "export_wh": export_wh,
            "readings": standing.readings,
            "missing": np.maximum(captures - standing.readings, 0),
            "created_at": np.full(count, self.created_at_us, np.int64),
        }

    def _no_bills(self) -> Columns:
        return {name: np.zeros(0, dtype) for name, dtype in BILLS.types.items()}

    def _withheld(self, meters: Int64Array, reason: Int64Array, at_s: Int64Array) -> Columns:
        month = np.full(len(meters), self._month.number, np.int64)
        cells = (meters.astype(np.uint32), month, reason.astype(np.uint8), at_s)
        return dict(zip(WITHHELD.types, cells, strict=True))

    def _write(self, bills: Columns, withheld: Columns) -> None:
        took_us = round((time.monotonic() - self._began_s) * 1_000_000)
        self.issued += self._book.add_bills(bills, withheld, took_us=took_us)
        self.withheld += len(withheld["meter"])
        self.waiting += int(np.count_nonzero(withheld["reason"] != Reason.REGISTER_FELL))


def _known(meters: Int64Array, accounts: Accounts) -> Int64Array:
    return meters[meters < len(accounts)]


def _faults(
    standing: Standing,
    question: UsageQuestion,
    gaps: NDArray[np.bool_],
    waiting: NDArray[np.bool_],
) -> tuple[Int64Array, Int64Array]:
    """Return why each bill must be withheld (`Reason`, or -1) and the capture at fault."""
    conditions = [
        standing.fell_at_s != NEVER,
        standing.from_s > question.from_s,
        standing.to_s < question.to_s,
        gaps,
        waiting,
    ]
    reasons = [
        Reason.REGISTER_FELL,
        Reason.NO_OPENING,
        Reason.NO_CLOSING,
        Reason.GAPS,
        Reason.NO_EARLIER_BILL,
    ]
    never = np.full_like(standing.to_s, NEVER)
    at_s = [standing.fell_at_s, standing.from_s, standing.to_s, never, never]
    return (
        np.select(conditions, [np.int64(reason) for reason in reasons], np.int64(-1)),
        np.select(conditions, at_s, np.int64(NEVER)),
    )


def _by_band(
    usage: Usage, accounts: int, meters: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return peak and off-peak energy in, and all energy out, of ``meters``."""
    energy = usage.energy.take(usage.energy.meter < accounts)
    sums = []
    for band in Band:
        wh = np.zeros(accounts, np.int64)
        chosen = energy.band == band
        wh[energy.meter[chosen]] = energy.import_wh[chosen]
        sums.append(wh[meters])
    export_wh = np.zeros(accounts, np.int64)
    np.add.at(export_wh, energy.meter, energy.export_wh)
    return sums[Band.PEAK], sums[Band.OFF_PEAK], export_wh[meters]
