"""Reading concentrators by request: the pull schedule, and filling gaps.

Both are one thing: read a concentrator's interval buffer from the oldest to the newest reading that
is missing and may be asked for (`presence`). In pull mode everything captured is due at once; in
push mode only what is overdue is.

A concentrator that cannot be reached is tried again at the next round. That is no attempt at its
readings, so it is never given up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import trio
from structlog import get_logger

from harness.headend.committer import Submission
from harness.headend.config import GapFillingRules
from harness.headend.dialer import Conversation, ConversationError, Dialer
from harness.headend.presence import Gap
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.plugin import ReadDone

ROUNDS_PER_STEP: Final = 4
PULL_RULES: Final = GapFillingRules(enabled=True, after_s=0.0, attempts=ROUNDS_PER_STEP)
"""For one step; what is silent longer is asked for when it is heard again."""
GOLDEN_RATIO: Final = 0.618_033_988_749_895
"""Multiples of it fall evenly on the unit interval, however many there are."""
ROWS_PER_READ: Final = 16_384
"""About a megabyte of answer: a long gap is read in parts, so that memory stays bounded."""
log = get_logger(__name__)


class Poller:
    """Fetches what is missing, step after step, until cancelled."""

    def __init__(self, shard: Shard, dialer: Dialer) -> None:
        self._shard = shard
        self._dialer = dialer
        pulls = shard.config.mode == "pull"
        self._rules = PULL_RULES if pulls else shard.config.gap_filling
        self._via = Via.PULL if pulls else Via.GAP_FILLING
        self._series = "pull" if pulls else "gap"
        self._fetching: set[int] = set()

    async def run(self) -> None:
        """Look for gaps several times a step and fetch them."""
        if not self._rules.enabled:
            return
        await self._shard.clock_started.wait()
        shared = self._shard.registry.provisioning.shared
        round_s = shared.step_s / ROUNDS_PER_STEP
        due_s = float(shared.first_s)
        async with trio.open_nursery() as nursery:
            while True:
                await self._shard.clock.sleep_until(due_s)
                intended = self._shard.clock.monotonic_at(due_s)
                due_s += round_s
                # Rounds that were missed while this one was late are not made up for.
                due_s = max(due_s, self._shard.clock.now_s())
                for gap in self._shard.presence.gaps(self._shard.clock.now_s(), self._rules):
                    if gap.concentrator not in self._fetching:
                        self._fetching.add(gap.concentrator)
                        later_s = self._share(gap) * round_s / self._shard.clock.rate
                        nursery.start_soon(self._fetch, gap, intended + later_s)

    def _share(self, gap: Gap) -> float:
        """Return how far into a round a concentrator is asked, 0 to 1.

        What is due is asked for at once; gaps can wait, and all at once they would be a load that
        no meter pushes against.
        """
        if self._via is Via.PULL:
            return 0.0
        return gap.concentrator * GOLDEN_RATIO % 1.0

    async def _fetch(self, gap: Gap, intended: float) -> None:
        """Fetch a gap; its latency runs from ``intended``, when CLOCK_MONOTONIC has it due."""
        totals = self._shard.totals
        try:
            await trio.sleep(max(0.0, intended - time.monotonic()))
            if not self._shard.presence.missing(gap):
                return
            async with self._dialer.converse(gap.concentrator) as conversation:
                for part in self._parts(gap):
                    await self._read(part, conversation)
            self._shard.presence.tried(gap)
            totals.count("buffers read")
            link = self._shard.registry.concentrators[gap.concentrator].link
            self._shard.tally.answered(self._series, link, time.monotonic() - intended, 0)
        except ConversationError as error:
            totals.count(f"reading failed: {error.cause}")
            log.debug("reading failed", error=str(error))
        finally:
            self._fetching.discard(gap.concentrator)

    async def _read(self, part: Gap, conversation: Conversation) -> None:
        """Read one part and return once it is durable."""
        shard = self._shard
        missing = shard.presence.missing(part)
        if not missing:
            return
        conversation.session.read(part.from_s, part.to_s, meters=missing, now=trio.current_time())
        done = await conversation.ask(ReadDone)
        for cause, meters in done.left_out.items():
            shard.totals.count(f"reading failed: meters left out, {cause}", meters)
        readings = done.readings
        if not len(readings) and not len(readings.events):
            return
        if len(readings) and readings.registers != len(shard.store.registers):
            shard.totals.count("refused: another capture profile")
            return
        rows = shard.rows(part.concentrator, readings, self._via)
        alarms = shard.alarms(part.concentrator, readings.events)
        await shard.committer.submit(Submission(rows, {}, alarms=alarms))
        shard.totals.count("readings read from buffers", len(rows))

    def _parts(self, gap: Gap) -> Iterator[Gap]:
        meters = self._shard.registry.concentrators[gap.concentrator].meters
        step_s = self._shard.registry.provisioning.shared.step_s
        width_s = max(1, ROWS_PER_READ // meters) * step_s
        for from_s in range(gap.from_s, gap.to_s + 1, width_s):
            yield replace(gap, from_s=from_s, to_s=min(gap.to_s, from_s + width_s - step_s))
