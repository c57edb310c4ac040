"""Fetching what is missing behind one concentrator, out of its interval buffer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import trio
from structlog import get_logger

from harness.headend.committer import Submission
from harness.headend.dialer import Conversation, ConversationError, Dialer
from harness.headend.presence import Gap, Presence
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.plugin import ReadDone

ROUNDS_PER_STEP: Final = 4
"""How often in a step it is looked for gaps, and a concentrator asked at most."""
GOLDEN_RATIO: Final = 0.618_033_988_749_895
"""Multiples of it fall evenly on the unit interval, however many there are."""
ROWS_PER_READ: Final = 16_384
"""About a megabyte of answer: a long gap is read in parts, so that memory stays bounded."""
log = get_logger(__name__)


def share_of_round(gap: Gap) -> float:
    """Return how far into a round a concentrator is asked for what can wait, 0 to 1.

    All at once would be a load that no meter pushes against.
    """
    return gap.concentrator * GOLDEN_RATIO % 1.0


class Fetcher:
    """Fetches gaps, no two at a time behind one concentrator.

    Attributes:
        busy: the concentrators of which something is being fetched, or about to be.
    """

    def __init__(self, shard: Shard, dialer: Dialer) -> None:
        self._shard = shard
        self._dialer = dialer
        self.busy: set[int] = set()

    async def fetch(
        self, gap: Gap, presence: Presence, intended: float, *, via: Via, series: str
    ) -> bool:
        """Fetch a gap of ``presence`` and return whether its concentrator could be asked.

        Its latency runs, in ``series``, from ``intended``, when CLOCK_MONOTONIC has it due. Its
        concentrator is not to be among `busy`. Cancellation: what was read is stored or not.
        """
        shard = self._shard
        self.busy.add(gap.concentrator)
        try:
            await trio.sleep(max(0.0, intended - time.monotonic()))
            if not presence.missing(gap):
                return True
            async with self._dialer.converse(gap.concentrator) as conversation:
                for part in self._parts(gap):
                    await self._read(part, presence, conversation, via)
            presence.tried(gap)
            shard.totals.count("buffers read")
            link = shard.registry.concentrators[gap.concentrator].link
            shard.tally.answered(series, link, time.monotonic() - intended, 0)
        except ConversationError as error:
            shard.totals.count(f"reading failed: {error.cause}")
            log.debug("reading failed", error=str(error))
            return False
        finally:
            self.busy.discard(gap.concentrator)
        return True

    async def _read(
        self, part: Gap, presence: Presence, conversation: Conversation, via: Via
    ) -> None:
        """Read one part and return once it is durable."""
        shard = self._shard
        missing = presence.missing(part)
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
        rows = shard.rows(part.concentrator, readings, via)
        alarms = shard.alarms(part.concentrator, readings.events)
        await shard.committer.submit(Submission(rows, {}, alarms=alarms))
        shard.totals.count("readings read from buffers", len(rows))

    def _parts(self, gap: Gap) -> Iterator[Gap]:
        meters = self._shard.registry.concentrators[gap.concentrator].meters
        step_s = self._shard.registry.provisioning.shared.step_s
        width_s = max(1, ROWS_PER_READ // meters) * step_s
        for from_s in range(gap.from_s, gap.to_s + 1, width_s):
            yield replace(gap, from_s=from_s, to_s=min(gap.to_s, from_s + width_s - step_s))
