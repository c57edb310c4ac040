"""The billing back end between its HTTP API and its book: what happens by itself, and when."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import numpy as np
from structlog import get_logger

from emulator.clock import BEFORE_START_S, ScenarioClock
from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.calendar import (
    Month,
    day_number,
    day_of,
    midnight_s,
    month_span,
    past_months,
)
from harness.billing.config import BillingConfig
from harness.billing.engine import Billing, Outcome, Rhythm
from harness.billing.errors import (
    BillingError,
    OverlapError,
    RecoveringError,
    UnknownPartitionError,
)
from harness.billing.recovering import Recovering
from harness.billing.sources import ANSWER_S, ShardSource, StoreSource, UsageSource
from harness.billing.tables import VIRTUAL_METERS
from harness.headend.api.client import RefusedError, ShardAwayError, ShardClient
from harness.headend.api.directory import Directory
from harness.provisioning import HEAD_END_FILE
from harness.store.errors import StoreError

POLL_S: Final = 1.0
LATE_DAYS: Final = 5
"""Days that are noted anew: after a long outage the last readings are back that late (ACES, 3)."""
Failed: Final = (BillingError, StoreError, ShardAwayError, RefusedError)
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VirtualMeterRecord:
    """What a partition of a battery took in and gave out in [from_ms, to_ms), POSIX ms; mWh."""

    name: str
    from_ms: int
    to_ms: int
    charged_mwh: int
    discharged_mwh: int


@dataclass(slots=True)
class Standing:
    """How the service is: what was done by itself up to when, and what failed last."""

    next_try_s: dict[Month, float] = field(default_factory=dict)
    """By month that has ended, when it is billed again, CLOCK_MONOTONIC; never once it waits
    for nothing."""
    noted_until: date | None = None
    forgotten_on: date | None = None
    failure: str = ""


class BillingService:
    """Everything the API needs.

    Raises:
        StoreError: the book cannot be opened.
        RatesChangedError: it holds bills of a month at other rates.
        OSError, LookupError, ValueError: provisioning or accounts cannot be read.
    """

    def __init__(self, config: BillingConfig) -> None:
        self.config = config
        self.directory = Directory.load(config.provisioning, max(1, len(config.control_sockets)))
        self.clock = ScenarioClock()
        self.standing = Standing()
        self.exporting = asyncio.Semaphore(1)
        self._noting = asyncio.Lock()
        self.clients = tuple(
            ShardClient(shard, path) for shard, path in enumerate(config.control_sockets)
        )
        self.recovering = Recovering(self.clients)
        shared = json.loads((config.provisioning / HEAD_END_FILE).read_bytes())
        rhythm = Rhythm(
            self.directory.step_s, int(shared["profile"]), captured_s=self.directory.first_s
        )
        accounts = self._accounts()
        self.book = Book.open(config.book)
        try:
            self.book.note_rates(config.tariffs.rates)
        except BaseException:
            self.book.close()
            raise
        self.billing = Billing(
            self.book,
            self._source(),
            config.tariffs,
            accounts,
            rhythm,
            config.reading_months,
            config.estimate_after_s,
        )
        if config.clock is not None:
            self.clock.start(*config.clock)

    @property
    def now_s(self) -> float | None:
        """The scenario time in POSIX seconds; None before the clock is known."""
        return None if self.clock.scenario_s == BEFORE_START_S else self.clock.now_s()

    def today(self) -> date | None:
        """Return the day by the customers' clock; None before the clock is known."""
        now_s = self.now_s
        return None if now_s is None else day_of(int(now_s), self.billing.zone)

    def now_us(self) -> int:
        """Return the time to note with bills: POSIX microseconds that never jump."""
        return int((time.monotonic() + self.config.realtime_offset_s) * 1_000_000)

    async def create_bills(self, month: Month) -> Outcome:
        """Bill a month; see `Billing.create_bills`.

        Raises besides `RecoveringError`: with a part of what was lost back, bills would be made of
        that part.
        """
        if await self.recovering.goes_on(*self.readings_of(month)):
            raise RecoveringError(month)
        return await self.billing.create_bills(month, now_s=self.now_s, created_at_us=self.now_us())

    def readings_of(self, month: Month) -> tuple[int, int]:
        """Return the span of captures, [from, to), that the bills of a month follow from.

        Where none is at its very beginning or end, the ones around those are among them.
        """
        begins_s, ends_s = month_span(month, self.billing.zone)
        step_s = self.directory.step_s
        return begins_s - step_s + 1, ends_s + step_s

    async def recover(self, month: Month) -> None:
        """Have what the store lacks of a month read again from the concentrators.

        Raises `ShardAwayError`, or `RefusedError` where nothing of the month is to be had.
        """
        await self.recovering.ask(*self.readings_of(month))
        # Bills that were withheld have something to wait for again.
        self.standing.next_try_s.pop(month, None)

    async def note_virtual_meters(self, records: Sequence[VirtualMeterRecord]) -> int:
        """Add records that are new to the book; return how many were.

        Raises:
            UnknownPartitionError: one is of a partition that is behind no meter.
            OverlapError: one overlaps another, which would count energy twice.
            StoreError: the book failed.
        """
        rows = np.array([self._row(record) for record in records], np.int64)
        rows = rows.reshape(-1, len(VIRTUAL_METERS.types))
        # Whether they overlap is asked before they are put: nothing may come between.
        async with self._noting:
            return await asyncio.to_thread(self._note_rows, np.unique(rows, axis=0))

    async def keep(self) -> None:
        """Do what is due, until cancelled; what fails is logged and done later."""
        while True:
            if self.config.automatic and self.now_s is not None:
                try:
                    await self._do_due(self.now_s)
                    self.standing.failure = ""
                except Failed as error:
                    self.standing.failure = str(error)
                    log.warning("billing goes on later", error=str(error))
                    await asyncio.sleep(self.config.again_s)
            await asyncio.sleep(POLL_S)

    async def forget(self, today: date) -> None:
        """Let go of what is older than it is to be kept, here and in the head-end's stores.

        Readings stay that a month still to be billed follows from.

        Raises `StoreError`, `ShardAwayError` or `RefusedError`.
        """
        before = past_months(today, self.config.statistics_months)
        await asyncio.to_thread(self.book.forget, before)
        oldest_s = midnight_s(past_months(today, self.config.reading_months), self.billing.zone)
        needed_s = await asyncio.to_thread(self.billing.needed_since_s)
        oldest_s = oldest_s if needed_s is None else min(oldest_s, needed_s)
        for client in self.clients:
            await client.ask("forget", timeout_s=ANSWER_S, before_s=oldest_s)
        self.standing.forgotten_on = today

    def close(self) -> None:
        """Let go of the book."""
        self.book.close()

    async def _do_due(self, now_s: float) -> None:
        due_s = int(now_s - self.config.after_s)
        today = day_of(due_s, self.billing.zone)
        for rates in self.config.tariffs.rates:
            month: Month = rates.month
            ended = month_span(month, self.billing.zone)[1] <= due_s
            if ended and self.standing.next_try_s.get(month, 0.0) <= time.monotonic():
                self.standing.next_try_s[month] = await self._bill(month)
        if await self.recovering.goes_on(0, due_s):
            return  # what is noted of days would be a part of them
        await self._note_days(today)
        if self.standing.forgotten_on != today:
            await self.forget(today)

    async def _bill(self, month: Month) -> float:
        """Bill a month; return when it is billed again, CLOCK_MONOTONIC."""
        again_s = time.monotonic() + self.config.again_s
        try:
            outcome = await self.create_bills(month)
        except RecoveringError as error:
            log.info("billing waits", error=str(error))
            return again_s
        return again_s if outcome.waiting else math.inf

    async def _note_days(self, today: date) -> None:
        """Note the days up to yesterday: new ones, and the last of those noted before.

        Their readings may have come late, and whoever died while they were noted knows no better.
        """
        if self.standing.noted_until == today:
            return
        first: date = min(rates.month for rates in self.config.tariffs.rates).first
        # What is forgotten at once needs no noting, wherever the clock was set to.
        first = max(first, past_months(today, self.config.statistics_months))
        noted = self.standing.noted_until or await asyncio.to_thread(self.book.noted_until)
        begin = first if noted is None else max(first, noted - timedelta(days=LATE_DAYS))
        if begin < today:
            await self.billing.note_days(begin, today)
        self.standing.noted_until = today

    def _accounts(self) -> Accounts:
        meters = self.directory.first_meters[-1]
        cents = self.config.tariffs.base_cents
        if self.config.accounts is None:
            return Accounts.alike(meters, cents)
        return Accounts.load(self.config.accounts, self.directory.meter, meters, cents)

    def _source(self) -> UsageSource:
        if self.clients:
            return ShardSource(
                self.clients, self.config.folder, shared_store=self.config.shared_store
            )
        return StoreSource(self.config.stores)

    def _row(self, record: VirtualMeterRecord) -> tuple[int, ...]:
        meter = self.config.virtual_meters.get(record.name)
        if meter is None:
            raise UnknownPartitionError(record.name)
        day = day_number(day_of(record.from_ms // 1000, self.billing.zone))
        energy = record.charged_mwh, record.discharged_mwh
        return meter, record.from_ms, record.to_ms, day, *energy

    def _note_rows(self, rows: np.ndarray) -> int:
        columns = dict(zip(VIRTUAL_METERS.types, rows.T, strict=True))
        there = self.book.virtual_meters(
            int(columns["from_ms"].min(initial=0)), int(columns["to_ms"].max(initial=0))
        )
        both = np.concatenate([rows, np.stack(list(there.values()), axis=1)])
        both = np.unique(both, axis=0)
        overlaps = (both[1:, 0] == both[:-1, 0]) & (both[1:, 1] < both[:-1, 2])
        if overlaps.any():
            meter, from_ms = both[1:][overlaps][0, :2].tolist()
            raise OverlapError(meter, from_ms)
        typed = {name: columns[name].astype(dtype) for name, dtype in VIRTUAL_METERS.types.items()}
        return self.book.put_virtual_meters(typed)
