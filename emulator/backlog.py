"""What a concentrator still owes its head-end: derived, not remembered.

A reading waits when its meter has been heard and nobody has confirmed it. The first follows from
the plan, the second from the delivery record, so a backlog survives outages, broken connections
and crashes without any state of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.delivery_record import BoolArray, DeliveryRecord, Mark
from emulator.plan import Plan


@dataclass(frozen=True, slots=True)
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
        plan: tells when a meter has been heard.
        record: tells what was delivered, and is told.
        done: which mark means delivered: `Mark.ACKNOWLEDGED` where pushes are confirmed,
            `Mark.SENT` where nothing more is ever heard of them.
    """

    def __init__(self, plan: Plan, record: DeliveryRecord, done: Mark) -> None:
        self._plan = plan
        self._record = record
        self._done = done
        self._oldest: dict[int, int] = {}

    def next_batch(self, concentrator: int, step: int, rows_max: int) -> Batch | None:
        """Return the oldest undelivered readings heard by ``step``, or ``None``."""
        meters = np.array(self._plan.grid.meters_of(concentrator))
        first = self._oldest.get(concentrator, 0)
        last = min(step, self._plan.steps - 1)
        delivered = self._record.of_concentrator(self._done, concentrator, first, last + 1)
        complete: BoolArray = np.all(delivered, axis=1)
        skip = len(complete) if complete.all() else int(np.argmin(complete))
        first = self._oldest[concentrator] = first + skip
        intervals = np.arange(first, last + 1)
        waiting = ~delivered[skip:] & (self._available(meters, intervals) <= step)
        at, which = np.nonzero(waiting)
        if len(at) == 0:
            return None
        return Batch(concentrator, meters[which[:rows_max]], intervals[at[:rows_max]])

    def mark(self, mark: Mark, batch: Batch) -> None:
        """Record that ``batch`` was handed to a link, or acknowledged."""
        first_meter = self._plan.grid.meters_of(batch.concentrator)
        for interval in np.unique(batch.intervals):
            chosen: BoolArray = np.zeros(len(first_meter), np.bool_)
            chosen[batch.meters[batch.intervals == interval] - first_meter.start] = True
            self._record.mark(mark, batch.concentrator, int(interval), chosen)

    def _available(
        self, meters: NDArray[np.int64], intervals: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        columns = np.tile(meters, len(intervals))
        rows = np.repeat(intervals, len(meters))
        return self._plan.available_step(columns, rows).reshape(len(intervals), len(meters))
