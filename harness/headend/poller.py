"""Reading concentrators by request: the pull schedule, and filling gaps.

Both are one thing: read a concentrator's interval buffer from the oldest to the newest reading that
is missing and may be asked for (`presence`). In pull mode everything captured is due at once; in
push mode only what is overdue is.

A concentrator that cannot be reached is tried again at the next round. That is no attempt at its
readings, so it is never given up.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

from harness.headend.config import GapFillingRules
from harness.headend.fetching import ROUNDS_PER_STEP, Fetcher, share_of_round
from harness.headend.service import Shard
from harness.store.rows import Via

PULL_RULES: Final = GapFillingRules(enabled=True, after_s=0.0, attempts=ROUNDS_PER_STEP)
"""For one step; what is silent longer is asked for when it is heard again."""


class Poller:
    """Fetches what is missing, step after step, until cancelled."""

    def __init__(self, shard: Shard, fetcher: Fetcher) -> None:
        self._shard = shard
        self._fetcher = fetcher
        pulls = shard.config.mode == "pull"
        self._rules = PULL_RULES if pulls else shard.config.gap_filling
        self._share = (lambda gap: 0.0) if pulls else share_of_round
        self._fetch = partial(
            fetcher.fetch,
            via=Via.PULL if pulls else Via.GAP_FILLING,
            series="pull" if pulls else "gap",
        )

    async def run(self) -> None:
        """Look for gaps several times a step and fetch them."""
        if not self._rules.enabled:
            return
        shard = self._shard
        await shard.clock_started.wait()
        shared = shard.registry.provisioning.shared
        round_s = shared.step_s / ROUNDS_PER_STEP
        due_s = float(shared.first_s)
        async with trio.open_nursery() as nursery:
            while True:
                await shard.clock.sleep_until(due_s)
                intended = shard.clock.monotonic_at(due_s)
                due_s += round_s
                # Rounds that were missed while this one was late are not made up for.
                due_s = max(due_s, shard.clock.now_s())
                for gap in shard.presence.gaps(shard.clock.now_s(), self._rules):
                    if gap.concentrator not in self._fetcher.busy:
                        self._fetcher.busy.add(gap.concentrator)
                        later_s = self._share(gap) * round_s / shard.clock.rate
                        nursery.start_soon(self._fetch, gap, shard.presence, intended + later_s)
