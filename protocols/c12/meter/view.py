"""One meter behind a concentrator, as its tables see it: captures, events, the state it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.schema import MeterSchema
from protocols.plugin import ConcentratorModel, MeterState
from protocols.readings import EventBatch, EventSource, ReadingBatch

CHUNK_INTERVALS = 960
"""Intervals looked at together in a search backwards."""


@dataclass(frozen=True, slots=True)
class MeterView:
    """Meter ``number``, counted within the concentrator of ``model``."""

    model: ConcentratorModel
    number: int
    schema: MeterSchema

    @property
    def name(self) -> bytes:
        """Its device name, 16 octets."""
        return bytes(self.model.meter_names[self.number])

    @property
    def state(self) -> MeterState:
        """What it remembers; changing it changes the meter."""
        return self.model.meter_state(self.number)

    def clock_s(self) -> int:
        """Return its clock, POSIX seconds."""
        return int(self.model.meter_clock_s(self.number))

    def captures(self, from_s: int, to_s: int) -> ReadingBatch:
        """Return what was captured in [from_s, to_s], oldest first."""
        return self.model.buffer(from_s, to_s, range(self.number, self.number + 1))

    def newest_s(self) -> int | None:
        """Return the time of the newest capture; ``None``: nothing was captured yet."""
        newest_s = self.model.buffer_span()[1]
        newest = self.captures(newest_s, newest_s)
        if len(newest):
            return newest_s
        found = (part.captured_at_s for part in self._backwards() if len(part))
        times = next(found, None)
        return None if times is None else int(times[-1])

    def window(self, newest_s: int) -> tuple[int, int]:
        """Return the first and last capture time that the load profile holds."""
        oldest_s = self.model.buffer_span()[0]
        first_s = newest_s - (self.schema.settings.blocks - 1) * self.schema.period_s
        return max(oldest_s, first_s), newest_s

    def with_previous(self, from_s: int, to_s: int) -> tuple[ReadingBatch, NDArray[np.uint32]]:
        """Return captures in [from_s, to_s], and the registers (n, k) one period before each.

        Where the capture before is not there, its own registers stand in: nothing rose.
        """
        batch = self.captures(from_s - self.schema.period_s, to_s)
        times = batch.captured_at_s
        before = np.searchsorted(times, times - self.schema.period_s)
        known = times[before] == times - self.schema.period_s
        rows = np.where(known, before, np.arange(len(batch)))
        wanted = times >= from_s
        return _rows(batch, wanted), batch.values[rows][wanted]

    def hand_over(self, readings: ReadingBatch, which: NDArray[np.bool_]) -> None:
        """Tell the model which of these readings leave on the link."""
        if which.any():
            self.model.handed_over(_rows(readings, which))

    def events(self, source: EventSource, count: int) -> EventBatch:
        """Return the newest events of ``source``, at most ``count``, oldest first."""
        found: list[EventBatch] = []
        left = count
        for part in self._backwards():
            if left <= 0:
                break
            mine = part.events.take(part.events.source == source)
            mine = mine.take(np.argsort(mine.sequence, kind="stable")[-left:])
            found.insert(0, mine)
            left -= len(mine)
        return EventBatch.concatenate(found)

    def _backwards(self) -> Iterator[ReadingBatch]:
        oldest_s, newest_s = self.model.buffer_span()
        width_s = CHUNK_INTERVALS * self.schema.period_s
        for to_s in range(newest_s, oldest_s - 1, -width_s):
            yield self.captures(max(oldest_s, to_s - width_s + 1), to_s)


def _rows(batch: ReadingBatch, which: NDArray[np.bool_]) -> ReadingBatch:
    return ReadingBatch(
        batch.concentrator,
        batch.meter_ids[which],
        batch.captured_at_s[which],
        batch.status[which],
        batch.values[which],
    )
