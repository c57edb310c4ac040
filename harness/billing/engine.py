"""Bills and daily statistics: from usage, rates and accounts into the book.

Whatever is made is keyed, by meter and month or day, so it can be broken off anywhere and asked for
again: what is there stays (bills) or is made anew (statistics).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
from structlog import get_logger

from harness.billing.accounts import Accounts, Stay
from harness.billing.book import Book
from harness.billing.calendar import (
    Month,
    day_of,
    day_windows,
    month_span,
    past_months,
    peak_windows,
    zone_of,
)
from harness.billing.errors import EarlierMonthError, MonthNotOverError
from harness.billing.month_run import MonthRun
from harness.billing.sources import UsageSource
from harness.billing.tables import DAILY
from harness.billing.tariffs import Tariffs
from harness.store.usage import NEVER, Usage, UsageQuestion, Window

DAYS_AT_A_TIME: Final = 31
MARGIN_S: Final = 86_400
"""How far outside a month readings may lie that tell its ends."""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How readings come: seconds between captures, capture profile, registers, a capture's time."""

    step_s: int
    profile: int = 1
    imported: str = "import_wh"
    exported: str = "export_wh"
    captured_s: int = 0
    """POSIX seconds of any capture: a month need not begin with one."""

    def captures(self, from_s: int, to_s: int) -> int:
        """Return how many captures there are from ``from_s`` to ``to_s``, both included."""
        first = -((self.captured_s - from_s) // self.step_s)
        return (to_s - self.captured_s) // self.step_s - first + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a month: bills made now, there before, and withheld.

    ``waiting`` of those withheld can be made once readings come that still may.
    """

    month: Month
    issued: int
    already: int
    withheld: int
    waiting: int = field(default=0, compare=False)


class Billing:
    """Makes bills and statistics. One at a time: calls wait for one another."""

    def __init__(
        self,
        book: Book,
        source: UsageSource,
        tariffs: Tariffs,
        accounts: Accounts,
        rhythm: Rhythm,
        wait_months: int = 6,
        estimate_after_s: float = 0.0,
    ) -> None:
        """Take what bills are made of.

        ``wait_months``: for how long a bill waits for those before it, which its base bill follows
        from: as long as their readings may still come. ``estimate_after_s``: how long after a
        month's end, scenario seconds, readings that a bill follows from are waited for.
        """
        self.book = book
        self.tariffs = tariffs
        self.accounts = accounts
        self.zone = zone_of(tariffs.time_zone)
        self._source = source
        self._rhythm = rhythm
        self._wait_months = wait_months
        self._estimate_after_s = estimate_after_s
        self._lock = asyncio.Lock()

    async def create_bills(
        self, month: Month, *, now_s: float | None = None, created_at_us: int = 0
    ) -> Outcome:
        """Bill every account for a month, unless it has been.

        Args:
            month: the month.
            now_s: scenario time, POSIX seconds; None does not ask whether the month is over, and
                waits for no readings.
            created_at_us: noted with the bills, POSIX microseconds.

        Raises:
            NoRatesError: the month has no rates.
            MonthNotOverError: it is not over.
            EarlierMonthError: one before it is to be billed first.
            StoreError, ShardAwayError, RefusedError: a store or the book failed. What was billed
                stays so.

        Cancellation: as with an error.
        """
        rates = self.tariffs.of(month)
        ends_s = month_span(month, self.zone)[1]
        if now_s is not None and now_s < ends_s:
            raise MonthNotOverError(month)
        async with self._lock:
            await asyncio.to_thread(self._ask_order, month)
            since = self._wait_since(month.end if now_s is None else day_of(int(now_s), self.zone))
            run = await asyncio.to_thread(MonthRun, self.book, self.accounts, month, rates, since)
            run.created_at_us = created_at_us
            run.estimates = now_s is None or now_s >= ends_s + self._estimate_after_s
            for stay in self.accounts.stays(month, self.zone):
                await self._bill_stay(run, stay)
            await asyncio.to_thread(run.release_strangers)
            waiting = run.waiting if month >= since else 0
            outcome = Outcome(month, run.issued, run.already, run.withheld, waiting)
        log.info("month billed", month=str(month), issued=outcome.issued, withheld=outcome.withheld)
        return outcome

    def needed_since_s(self) -> int | None:
        """Return from when on readings are needed to bill what is not billed, POSIX seconds.

        Those are of months that had no turn yet, and of bills that wait for earlier ones. What
        lacks readings needs none that are there. None without such a month.

        Raises `StoreError`.
        """
        tried, waiting = self.book.tried(), self.book.waiting_months()
        months = [
            rates.month
            for rates in self.tariffs.rates
            if not tried or rates.month > tried[0]
            if rates.month in waiting or self._has_no_turn_yet(rates.month, tried)
        ]
        return month_span(min(months), self.zone)[0] - MARGIN_S if months else None

    def _ask_order(self, month: Month) -> None:
        """Ask whether each month between the first one billed and this one has had its turn."""
        tried = self.book.tried()
        for earlier in (rates.month for rates in self.tariffs.rates):
            between = tried and tried[0] < earlier < month
            if between and self._has_no_turn_yet(earlier, tried):
                raise EarlierMonthError(month, earlier)

    def _has_no_turn_yet(self, month: Month, tried: list[Month]) -> bool:
        """Return whether a month that is anybody's has not been billed."""
        return month not in tried and any(True for _ in self.accounts.stays(month, self.zone))

    def _wait_since(self, today: date) -> Month:
        """Return the first month whose readings may still come."""
        first = past_months(today, self._wait_months)
        return Month(first.year, first.month)

    async def _bill_stay(self, run: MonthRun, stay: Stay) -> None:
        wanted = run.unbilled(stay.meters)
        if not len(wanted):
            return
        windows = peak_windows(stay.from_s, stay.to_s, self.zone, run.rates.peak_hours)
        # Of few meters in between, all are asked for; the answer is sorted out here.
        question = self._question(windows, (int(wanted[0]), int(wanted[-1]) + 1))
        seen = np.zeros(len(self.accounts), np.bool_)
        async for usage in self._source.answers(question):
            captures = self._rhythm.captures(stay.from_s, stay.to_s)
            billed = asyncio.to_thread(run.bill, stay, wanted, question, usage, captures)
            seen[await billed] = True
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
        days = np.searchsorted([window.band for window in question.windows], energy.band)
        begins = np.array([window.from_s for window in question.windows], np.int64)
        ends = np.array([window.to_s for window in question.windows], np.int64)
        whole = (
            (standing.from_s[place] <= begins[days])
            & (standing.to_s[place] >= ends[days])
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
            windows,
            rhythm.step_s,
            rhythm.profile,
            rhythm.imported,
            rhythm.exported,
            meters,
            MARGIN_S,
        )
