"""What a concentrator still owes its head-end: derived, not remembered.

A reading waits when its meter has been heard and nobody has confirmed it. The first follows from
the plan, the second from the delivery record, so a backlog survives outages, broken connections
and crashes without any state of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.delivery_record import BoolArray, Mark
from emulator.world import World


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings to push together; ``meters`` and ``intervals`` (int64, (n,)) name them.

    ``meters`` are numbered in the whole grid. Ordered by interval, then meter.
    """

    concentrator: int
    meters: NDArray[np.int64]
    intervals: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.meters)


class Backlogs:
    """The backlogs of all concentrators of a shard.

    Args:
        world: tells what has been heard, keeps what was delivered.
        done: which mark means delivered: `Mark.ACKNOWLEDGED` where pushes are confirmed,
            `Mark.SENT` where nothing more is ever heard of them.
    """

    def __init__(self, world: World, done: Mark) -> None:
        self._world = world
        self._done = done
        # Intervals before these are delivered, all of them: no need to look there again.
        self._oldest: dict[int, int] = {}

    def next_batch(self, concentrator: int, step: int, rows_max: int) -> Batch | None:
        """Return the oldest undelivered readings heard by ``step``, or ``None``."""
        meters = self._world.plan.grid.meters_of(concentrator)
        first = self._oldest.get(concentrator, 0)
        end = min(step + 1, self._world.plan.steps)
        if end <= first:
            return None
        delivered = self._world.record.of_concentrator(self._done, concentrator, first, end)
        complete: BoolArray = np.all(delivered, axis=1)
        skip = len(complete) if complete.all() else int(complete.argmin())
        first = self._oldest[concentrator] = first + skip
        heard = np.arange(first, end)[:, None] <= self._world.heard.until(end - 1, meters)
        at, which = np.nonzero(heard & ~delivered[skip:])
        if len(at) == 0:
            return None
        return Batch(concentrator, which[:rows_max] + meters.start, at[:rows_max] + first)

    def mark(self, mark: Mark, batch: Batch) -> None:
        """Record that ``batch`` was handed to a link, or acknowledged."""
        self._world.record.mark(mark, batch.concentrator, batch.meters, batch.intervals)
