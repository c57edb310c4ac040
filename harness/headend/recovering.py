"""Reading again, from the concentrators, what a store has lost.

A span is settled window by window, the oldest first: what of it the store lacks is fetched like
gaps, from `CONVERSATIONS` concentrators at a time, and from none more than `ROUNDS_PER_STEP` times
a step. One that cannot be reached is asked again in every round of a day. What a concentrator
answers without is given up after `ATTEMPTS`: it is not brought back by asking.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import trio
from numpy.typing import NDArray
from structlog import get_logger

from harness.headend.config import GapFillingRules
from harness.headend.fetching import ROUNDS_PER_STEP, Fetcher
from harness.headend.presence import Gap, Presence
from harness.headend.recoveries import Recovery
from harness.headend.service import Shard
from harness.store.rows import Via

SERIES: Final = "recovery"
ATTEMPTS: Final = 2
CONVERSATIONS: Final = 64
"""Concentrators read at the same time: the links and the store have their daily work to do."""
WINDOW_CAPTURES: Final = 256
"""Captures of one window: the embedded store keeps twice as many in mind, and asks its file for any
more (`harness.store.seen`), which everybody who has something to store would wait for."""
WINDOW_OCTETS: Final = 64 << 20
"""Memory of one window, at most."""
SLOTS_AT_ONCE: Final = 32
"""Captures that the store is asked for before anybody else has a turn."""
DAY_S: Final = 86_400
FOREVER_S: Final = 2.0**60
RULES: Final = GapFillingRules(after_s=0.0, within_s=FOREVER_S, attempts=ATTEMPTS)
log = get_logger(__name__)


class Recoverer:
    """Works on the recoveries of a shard, one after another, until cancelled."""

    def __init__(self, shard: Shard, fetcher: Fetcher) -> None:
        self._shard = shard
        self._fetcher = fetcher
        self._conversations = trio.CapacityLimiter(CONVERSATIONS)
        shared = shard.registry.provisioning.shared
        self._profile = shared.profile
        self._step_s = shared.step_s
        self._round_s = shared.step_s / ROUNDS_PER_STEP
        self._rounds_max = max(1, int(DAY_S / self._round_s))

    async def run(self) -> None:
        """Settle what was asked for, and what an earlier life left unsettled."""
        recoveries = self._shard.recoveries
        await self._shard.clock_started.wait()
        while True:
            recovery = await recoveries.next()
            for window in self._windows(recovery):
                await self._settle(recovery, window)
            recovery.ended_at_us = self._shard.now_us()
            recoveries.keep()
            self._shard.totals.count("recoveries over")
            log.info("recovered", read=recovery.read, given_up=recovery.given_up)

    def _windows(self, recovery: Recovery) -> Iterator[range]:
        """Yield the captures that are looked at together, POSIX seconds."""
        most = max(1, WINDOW_OCTETS // self._shard.new_presence(0, 1).octets)
        width_s = min(WINDOW_CAPTURES, most) * self._step_s
        for from_s in range(recovery.next_s, recovery.to_s + 1, width_s):
            end_s = min(recovery.to_s + self._step_s, from_s + width_s)
            yield range(from_s, end_s, self._step_s)

    async def _settle(self, recovery: Recovery, window: range) -> None:
        """Fetch what of a window is missing, round after round, until all is back or given up."""
        recoveries, presence = self._shard.recoveries, await self._look(window)
        with self._shard.watched(presence):
            if not recovery.looked:
                recovery.missing += presence.missing_total(FOREVER_S)
                recovery.looked = True
                recoveries.keep()
            unreached: Counter[int] = Counter()
            while gaps := self._wanted(presence, unreached):
                self._note(recovery, presence)
                began_s = self._shard.clock.now_s()
                await self._round(gaps, presence, unreached)
                self._note(recovery, presence)
                if self._wanted(presence, unreached):
                    await self._shard.clock.sleep_until(began_s + self._round_s)
        self._note(recovery, presence)
        recovery.given_up += presence.missing_total(FOREVER_S)
        recovery.next_s, recovery.looked = window.stop, False
        recoveries.keep()

    async def _look(self, window: range) -> Presence:
        """Return what the store has of a window."""
        shard = self._shard
        presence = shard.new_presence(window.start, len(window))
        slots = await trio.to_thread.run_sync(shard.store.slots)
        there = slots[(slots >= window.start) & (slots < window.stop)].tolist()
        meters = shard.meters

        def present(some: list[int]) -> list[tuple[int, NDArray[np.bool_]]]:
            return [(at, shard.store.present(at, self._profile, meters)) for at in some]

        for begin in range(0, len(there), SLOTS_AT_ONCE):
            some = there[begin : begin + SLOTS_AT_ONCE]
            for captured_at_s, found in await trio.to_thread.run_sync(present, some):
                presence.load(captured_at_s, found)
        return presence

    def _wanted(self, presence: Presence, unreached: Counter[int]) -> list[Gap]:
        return [
            gap
            for gap in presence.gaps(FOREVER_S, RULES)
            if unreached[gap.concentrator] < self._rounds_max
        ]

    async def _round(self, gaps: list[Gap], presence: Presence, unreached: Counter[int]) -> None:
        """Ask each concentrator once."""
        began_s = time.monotonic()

        async def fetch(gap: Gap) -> None:
            async with self._conversations:
                if gap.concentrator in self._fetcher.busy:
                    return  # its gaps are being filled; another round
                if not await self._fetcher.fetch(
                    gap, presence, began_s, via=Via.GAP_FILLING, series=SERIES
                ):
                    unreached[gap.concentrator] += 1

        async with trio.open_nursery() as nursery:
            for gap in gaps:
                nursery.start_soon(fetch, gap)

    def _note(self, recovery: Recovery, presence: Presence) -> None:
        """Note how many readings are back."""
        left = presence.missing_total(FOREVER_S)
        recovery.read = recovery.missing - recovery.given_up - left
