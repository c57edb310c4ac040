"""Writing history into a store: the truth of the intervals before the first step.

Interval by interval, as a store that had lived through them would hold it: a capture time lies
together, so whoever asks for one reads a small part of the file. What is held in memory is one
transaction. Filling again what is there changes nothing, so a filling that was cut short is simply
begun anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from emulator.plan import Plan
from emulator.readings import Truth
from harness.store.errors import StoreError
from harness.store.interface import Store
from harness.store.rows import Rows, Via

ROWS_PER_PUT: Final = 280_000
"""Rows of one transaction, at most: more than two row groups of DuckDB, so that most of them go
straight to their place in the file and not by way of its log. 11 MB in memory."""
SLOTS_PER_PUT: Final = 256
"""Intervals of one transaction, at most: the embedded store keeps twice as many in mind, and asks
its file for any more (`harness.store.seen`)."""
READINGS_OPENED: Final = 16_000_000
"""Readings after which a store is closed and opened again: DuckDB keeps what it has written in
memory until then, some 20 octets a reading, up to most of what the machine has."""


class HistoryConflictError(StoreError):
    """The store holds other readings of before the run than the plan says."""


@dataclass(frozen=True, slots=True)
class History:
    """What a store is to be given: the intervals before the plan's first, of some meters."""

    plan: Plan
    truth: Truth
    meters: range
    intervals: range
    """Negative, ascending."""

    @classmethod
    def of(cls, plan: Plan, truth: Truth, meters: range) -> History:
        """Return all history of some meters."""
        return cls(plan, truth, meters, range(truth.intervals.start, 0))

    def parts(self, readings: int = READINGS_OPENED) -> Iterator[History]:
        """Yield it in pieces of whole intervals, of ``readings`` at most where an interval is."""
        width = max(1, readings // max(1, len(self.meters)))
        for begin in range(0, len(self.intervals), width):
            yield replace(self, intervals=self.intervals[begin : begin + width])

    @property
    def readings(self) -> int:
        """How many readings that is."""
        return len(self.intervals) * len(self.meters)

    def batches(self, rows_max: int = ROWS_PER_PUT) -> Iterator[Rows]:
        """Yield all readings, at most ``rows_max`` (1 or more) at a time, by interval and meter."""
        width = min(rows_max, len(self.meters))
        together = min(SLOTS_PER_PUT, rows_max // max(1, width))
        for begin in range(0, len(self.intervals), together):
            intervals = self.intervals[begin : begin + together]
            for first in range(self.meters.start, self.meters.stop, max(1, width)):
                yield self._rows(intervals, range(first, min(first + width, self.meters.stop)))

    def _rows(self, intervals: range, meters: range) -> Rows:
        count = len(intervals) * len(meters)
        blocks = [self.truth.block(meters.start, meters.stop, interval) for interval in intervals]
        return Rows(
            meter=np.tile(np.arange(meters.start, meters.stop, dtype=np.uint32), len(intervals)),
            profile=np.full(count, self.truth.profile.number, np.uint8),
            captured_at_s=np.repeat(self.plan.captured_at(np.array(intervals)), len(meters)),
            status=np.concatenate([status for _, status in blocks]),
            values=np.concatenate([values for values, _ in blocks]),
            via=np.full(count, Via.PRELOADED, np.uint8),
        )


def fill(
    store: Store,
    history: History,
    stored_at_us: int,
    *,
    rows_max: int = ROWS_PER_PUT,
    progress: Callable[[int], None] = lambda written: None,
) -> int:
    """Write ``history`` into ``store`` and return how many readings were not there yet.

    Args:
        store: nobody else may write these meters meanwhile.
        history: what to write.
        stored_at_us: the time to note with each row, POSIX microseconds (UTC).
        rows_max: rows of one transaction.
        progress: called with the number of readings written so far, after each transaction; what
            it raises ends the filling.

    Raises:
        HistoryConflictError: other readings of these meters and times are there.
        StoreError: the store cannot be written; what `progress` was told of is kept.
    """
    written = inserted = 0
    for rows in history.batches(rows_max):
        result = store.load(rows, stored_at_us)
        if result.conflicting:
            raise HistoryConflictError(
                f"{result.conflicting:,} readings captured from {rows.captured_at_s[0]} to "
                f"{rows.captured_at_s[-1]} are not those of this scenario",
                where=f"of meters {history.meters.start} to {history.meters.stop - 1}",
                mend="fill an empty store, or run the scenario and seed it was filled for",
            )
        written += len(rows)
        inserted += result.inserted
        progress(written)
    return inserted
