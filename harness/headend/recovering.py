"""Reading again, from the concentrators, what a store has lost.

A span is gone through window by window, the oldest first, and what of each the store lacks is read
from `CONVERSATIONS` concentrators at a time. Whoever cannot be reached keeps nobody waiting: it is
left out for the rest of the pass, and asked again in the next, of which there are `ROUNDS_PER_STEP`
in a step at most, for a day. What a concentrator answers without is asked for in a second pass and
then given up: it is not brought back by asking.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import trio
from numpy.typing import NDArray
from structlog import get_logger

from harness.headend.committer import PASSING, RETRY_S
from harness.headend.config import GapFillingRules
from harness.headend.fetching import ROUNDS_PER_STEP, Fetcher
from harness.headend.presence import Gap, Presence
from harness.headend.recoveries import Recovery
from harness.headend.service import Shard
from harness.store.rows import Via

SERIES: Final = "recovery"
PASSES: Final = 2
"""How often a concentrator is asked for what it answers without."""
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
RULES: Final = GapFillingRules(after_s=0.0, within_s=FOREVER_S, attempts=1)
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
        self._passes_max = max(PASSES, int(DAY_S / self._round_s))

    async def run(self) -> None:
        """Settle what was asked for, and what an earlier life left unsettled."""
        recoveries = self._shard.recoveries
        await self._shard.clock_started.wait()
        while True:
            recovery = await recoveries.next()
            await self._recover(recovery)
            recovery.given_up = max(0, recovery.missing - recovery.read)
            recovery.ended_at_us = self._shard.now_us()
            recoveries.keep()
            self._shard.totals.count("recoveries over")
            log.info("recovered", read=recovery.read, given_up=recovery.given_up)

    async def _recover(self, recovery: Recovery) -> None:
        """Go through a span until all of it is back, or what is not is given up."""
        clock = self._shard.clock
        whole: set[range] = set()
        while True:
            began_s = clock.now_s()
            unreached: set[int] = set()
            for window in self._windows(recovery):
                if window not in whole and not await self._settle(recovery, window, unreached):
                    whole.add(window)
                recovery.next_s = window.stop
            recovery.next_s, recovery.passes = recovery.from_s, recovery.passes + 1
            self._shard.recoveries.keep()
            tired = recovery.passes >= (self._passes_max if unreached else PASSES)
            if tired or len(whole) == sum(1 for _ in self._windows(recovery)):
                return
            await clock.sleep_until(began_s + self._round_s)

    def _windows(self, recovery: Recovery) -> Iterator[range]:
        """Yield the captures that are looked at together, POSIX seconds, as far as not done."""
        most = max(1, WINDOW_OCTETS // self._shard.new_presence(0, 1).octets)
        width_s = min(WINDOW_CAPTURES, most) * self._step_s
        for from_s in range(recovery.next_s, recovery.to_s + 1, width_s):
            end_s = min(recovery.to_s + self._step_s, from_s + width_s)
            yield range(from_s, end_s, self._step_s)

    async def _settle(self, recovery: Recovery, window: range, unreached: set[int]) -> int:
        """Ask each concentrator but those ``unreached`` for what is missing of a window.

        Returns how many readings are missing still. Those who cannot be reached are added.
        """
        recoveries, presence = self._shard.recoveries, await self._look(window)
        with self._shard.watched(presence):
            presence.forget(recoveries.forgotten_before_s or 0)
            if recovery.left is None:
                recovery.left = presence.missing_total(FOREVER_S)
                recovery.missing += 0 if recovery.passes else recovery.left
                recoveries.keep()
            self._note(recovery, presence)
            gaps = presence.gaps(FOREVER_S, RULES)
            async with trio.open_nursery() as nursery:
                for gap in gaps:
                    nursery.start_soon(self._fetch, recovery, gap, presence, unreached)
            left = self._note(recovery, presence)
        recovery.next_s, recovery.left = window.stop, None
        recoveries.keep()
        return left

    async def _fetch(
        self, recovery: Recovery, gap: Gap, presence: Presence, unreached: set[int]
    ) -> None:
        """Ask one concentrator, once it is its turn."""
        async with self._conversations:
            # Whoever has gaps filled, or is tried for that, has its turn in the next pass.
            if gap.concentrator in unreached or gap.concentrator in self._fetcher.busy:
                unreached.add(gap.concentrator)
                return
            self._forget(recovery, presence)
            now_s = time.monotonic()
            fetch = self._fetcher.fetch
            if not await fetch(gap, presence, now_s, via=Via.GAP_FILLING, series=SERIES):
                unreached.add(gap.concentrator)
            self._note(recovery, presence)

    async def _look(self, window: range) -> Presence:
        """Return what the store has of a window, once it says so."""
        while True:
            try:
                return await self._read_store(window)
            except PASSING as error:
                log.warning("the store is away, trying again", error=str(error))
            await trio.sleep(RETRY_S)

    async def _read_store(self, window: range) -> Presence:
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

    def _note(self, recovery: Recovery, presence: Presence) -> int:
        """Note how many readings are back since the last time; return how many are missing."""
        self._forget(recovery, presence)
        left = presence.missing_total(FOREVER_S)
        recovery.read += (recovery.left or 0) - left
        recovery.left = left
        return left

    def _forget(self, recovery: Recovery, presence: Presence) -> None:
        """Expect nothing that was forgotten on purpose meanwhile; it is not back either."""
        missing = presence.missing_total(FOREVER_S)
        presence.forget(self._shard.recoveries.forgotten_before_s or 0)
        forgotten = missing - presence.missing_total(FOREVER_S)
        recovery.left = (recovery.left or 0) - forgotten
