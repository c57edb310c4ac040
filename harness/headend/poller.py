"""Reading concentrators by request: the pull schedule, and filling gaps.

Both are one thing: read a concentrator's interval buffer from the oldest reading that is missing.
In pull mode everything captured is due at once and tried at every step; in push mode only what is
overdue is, and only a bounded number of times.
"""

from __future__ import annotations

from typing import Final

import trio
from structlog import get_logger

from harness.headend.committer import Submission
from harness.headend.config import GapFillingRules
from harness.headend.dialer import ConversationError, Dialer
from harness.headend.presence import Gap
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.plugin import ReadDone

PULL_RULES: Final = GapFillingRules(enabled=True, after_s=0.0, attempts=255)
ROUNDS_PER_STEP: Final = 4
log = get_logger(__name__)


class Poller:
    """Fetches what is missing, step after step, until cancelled."""

    def __init__(self, shard: Shard, dialer: Dialer) -> None:
        self._shard = shard
        self._dialer = dialer
        pulls = shard.config.mode == "pull"
        self._rules = PULL_RULES if pulls else shard.config.gap_filling
        self._via = Via.PULL if pulls else Via.GAP_FILLING
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
                due_s += round_s
                # Rounds that were missed while this one was late are not made up for.
                due_s = max(due_s, self._shard.clock.now_s())
                for gap in self._shard.presence.gaps(self._shard.clock.now_s(), self._rules):
                    if gap.concentrator not in self._fetching:
                        self._fetching.add(gap.concentrator)
                        nursery.start_soon(self._fetch, gap)

    async def _fetch(self, gap: Gap) -> None:
        shard = self._shard
        try:
            async with self._dialer.converse(gap.concentrator) as conversation:
                conversation.session.read(gap.from_s, gap.to_s, now=trio.current_time())
                done = await conversation.ask(ReadDone)
                rows = shard.rows(gap.concentrator, done.readings, self._via)
                if len(rows):
                    await shard.committer.submit(Submission(rows, {}))
            shard.presence.tried(gap)
            shard.totals.count("buffers read")
            shard.totals.count("readings read from buffers", len(rows))
        except ConversationError as error:
            shard.totals.count(f"reading failed: {error.cause}")
            log.debug("reading failed", error=str(error))
        finally:
            self._fetching.discard(gap.concentrator)
