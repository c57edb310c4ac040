"""Bills and daily statistics: from usage, rates and accounts into the book.

Whatever is made is keyed, by meter and month or day, so it can be broken off anywhere and asked for
again: what is there stays (bills) or is made anew (statistics).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray
from structlog import get_logger

from harness.billing.accounts import Accounts, Stay
from harness.billing.book import Book
from harness.billing.calendar import (
    Band,
    Month,
    day_windows,
    month_span,
    peak_windows,
    zone_of,
)
from harness.billing.errors import MonthNotOverError, Reason
from harness.billing.money import due
from harness.billing.sources import UsageSource
from harness.billing.tables import BILLS, DAILY, WITHHELD
from harness.billing.tariffs import Rates, Tariffs
from harness.store.schema import Columns
from harness.store.usage import NEVER, Standing, Usage, UsageQuestion, Window

DAYS_AT_A_TIME: Final = 31
Int64Array = NDArray[np.int64]
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How readings come: seconds between captures, capture profile, registers."""

    step_s: int
    profile: int = 1
    imported: str = "import_wh"
    exported: str = "export_wh"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a month: bills made now, there before, and withheld."""

    month: Month
    issued: int
    already: int
    withheld: int


class Billing:
    """Makes bills and statistics. One at a time: calls wait for one another."""

    def __init__(
        self,
        book: Book,
        source: UsageSource,
        tariffs: Tariffs,
        accounts: Accounts,
        rhythm: Rhythm,
    ) -> None:
        self.book = book
        self.tariffs = tariffs
        self.accounts = accounts
        self.zone = zone_of(tariffs.time_zone)
        self._source = source
        self._rhythm = rhythm
        self._lock = asyncio.Lock()

    async def create_bills(
        self, month: Month, *, now_s: float | None = None, created_at_us: int = 0
    ) -> Outcome:
        """Bill every account for a month, unless it has been.

        Args:
            month: the month.
            now_s: scenario time, POSIX seconds; None does not ask whether the month is over.
            created_at_us: noted with the bills, POSIX microseconds.

        Raises:
            NoRatesError: the month has no rates.
            MonthNotOverError: it is not over.
            StoreError, ShardAwayError, RefusedError: a store or the book failed. What was billed
                stays so.

        Cancellation: as with an error.
        """
        rates = self.tariffs.of(month)
        if now_s is not None and now_s < month_span(month, self.zone)[1]:
            raise MonthNotOverError(month)
        async with self._lock:
            run = await asyncio.to_thread(_Run, self.book, self.accounts, month, rates)
            run.created_at_us = created_at_us
            for stay in self.accounts.stays(month, self.zone):
                await self._bill_stay(run, stay)
            outcome = Outcome(month, run.issued, run.already, run.withheld)
        log.info("month billed", month=str(month), issued=outcome.issued, withheld=outcome.withheld)
        return outcome

    async def _bill_stay(self, run: _Run, stay: Stay) -> None:
        wanted = run.unbilled(stay.meters)
        if not len(wanted):
            return
        windows = peak_windows(stay.from_s, stay.to_s, self.zone, run.rates.peak_hours)
        # Of few meters in between, all are asked for; the answer is sorted out here.
        question = self._question(windows, (int(wanted[0]), int(wanted[-1]) + 1))
        seen = np.zeros(len(self.accounts), np.bool_)
        async for usage in self._source.answers(question):
            seen[await asyncio.to_thread(run.bill, stay, wanted, question, usage)] = True
        await asyncio.to_thread(run.withhold_silent, wanted[~seen[wanted]])

    async def note_days(self, first: date, end: date) -> None:
        """Note the energy of each meter on the days [first, end), in place of what was noted.

        A meter's day of which the readings do not tell the whole is left out, and every day of a
        meter whose register fell.

        Raises as `create_bills` does.
        """
        async with self._lock:
            windows = day_windows(first, end, self.zone)
            for begin in range(0, len(windows), DAYS_AT_A_TIME):
                question = self._question(windows[begin : begin + DAYS_AT_A_TIME], None)
                async for usage in self._source.answers(question):
                    await asyncio.to_thread(self._note, question, usage)

    def _note(self, question: UsageQuestion, usage: Usage) -> None:
        energy, standing = usage.energy, usage.standing
        place = np.searchsorted(standing.meter, energy.meter)
        first_day = question.windows[0].band
        begins = np.array([window.from_s for window in question.windows], np.int64)
        ends = np.array([window.to_s for window in question.windows], np.int64)
        whole = (
            (standing.from_s[place] <= begins[energy.band - first_day])
            & (standing.to_s[place] >= ends[energy.band - first_day])
            & (standing.fell_at_s[place] == NEVER)
            & (energy.meter < len(self.accounts))
        )
        chosen = energy.take(whole)
        cells = (chosen.meter, chosen.band, chosen.import_wh, chosen.export_wh)
        self.book.put_daily(dict(zip(DAILY.types, cells, strict=True)))

    def _question(
        self, windows: tuple[Window, ...], meters: tuple[int, int] | None
    ) -> UsageQuestion:
        rhythm = self._rhythm
        return UsageQuestion(
            windows, rhythm.step_s, rhythm.profile, rhythm.imported, rhythm.exported, meters
        )


class _Run:
    """The making of one month's bills."""

    def __init__(self, book: Book, accounts: Accounts, month: Month, rates: Rates) -> None:
        self.rates = rates
        self.issued = self.withheld = 0
        self.created_at_us = 0
        self._book = book
        self._accounts = accounts
        self._month = month
        self._billed = np.zeros(len(accounts), np.bool_)
        self._billed[_known(book.billed(month), accounts)] = True
        self.already = int(np.count_nonzero(self._billed))
        self._base_cents = accounts.initial_cents.copy()
        last = book.base_bills(month)
        known = last["meter"] < len(accounts)
        self._base_cents[last["meter"][known]] = last["base_cents"][known]

    def unbilled(self, meters: Int64Array) -> Int64Array:
        """Return those of ``meters`` that have no bill yet."""
        return meters[~self._billed[meters]]

    def bill(
        self, stay: Stay, wanted: Int64Array, question: UsageQuestion, usage: Usage
    ) -> Int64Array:
        """Bill whom ``usage`` tells of, or withhold the bill; return their meters."""
        standing = usage.standing.take(np.isin(usage.standing.meter, wanted))
        meters = standing.meter.astype(np.int64)
        reason, at_s = _faults(standing, question)
        sound = reason < 0
        columns = self._bills(stay, question, usage, standing.take(sound))
        self._write(columns, self._withheld(meters[~sound], reason[~sound], at_s[~sound]))
        return meters

    def withhold_silent(self, meters: Int64Array) -> None:
        """Withhold the bills of meters without readings."""
        reason = np.full(len(meters), Reason.NO_READINGS, np.int64)
        at_s = np.full(len(meters), NEVER, np.int64)
        self._write(self._no_bills(), self._withheld(meters, reason, at_s))

    def _bills(
        self, stay: Stay, question: UsageQuestion, usage: Usage, standing: Standing
    ) -> Columns:
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
            "missing": np.maximum(question.captures - standing.readings, 0),
            "created_at": np.full(count, self.created_at_us, np.int64),
        }

    def _no_bills(self) -> Columns:
        return {name: np.zeros(0, dtype) for name, dtype in BILLS.types.items()}

    def _withheld(self, meters: Int64Array, reason: Int64Array, at_s: Int64Array) -> Columns:
        month = np.full(len(meters), self._month.number, np.int64)
        cells = (meters.astype(np.uint32), month, reason.astype(np.uint8), at_s)
        return dict(zip(WITHHELD.types, cells, strict=True))

    def _write(self, bills: Columns, withheld: Columns) -> None:
        self.issued += self._book.add_bills(bills, withheld)
        self.withheld += len(withheld["meter"])


def _known(meters: Int64Array, accounts: Accounts) -> Int64Array:
    return meters[meters < len(accounts)]


def _faults(standing: Standing, question: UsageQuestion) -> tuple[Int64Array, Int64Array]:
    """Return why each bill must be withheld (`Reason`, or -1) and the capture at fault."""
    conditions = [
        standing.fell_at_s != NEVER,
        standing.from_s > question.from_s,
        standing.to_s < question.to_s,
    ]
    reasons = [Reason.REGISTER_FELL, Reason.NO_OPENING, Reason.NO_CLOSING]
    at_s = [standing.fell_at_s, standing.from_s, standing.to_s]
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
