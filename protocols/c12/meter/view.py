"""One meter behind a concentrator, as its tables see it: captures, events, the state it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.schema import MeterSchema
from protocols.plugin import ConcentratorModel, MeterState
from protocols.readings import EventBatch, EventSource, ReadingBatch

CHUNK_INTERVALS: Final = 960
"""Intervals looked at together in a search backwards."""
CLOCK_PERIOD_S: Final = 1 << 32


class MeterView:
    """Meter ``number``, counted within the concentrator of ``model``.

    The captures of the load profile are asked of the model together, and once until a new capture
    is due: nearly every table is about them, and asking costs more than their number.
    """

    def __init__(self, model: ConcentratorModel, number: int, schema: MeterSchema) -> None:
        self.model = model
        self.number = number
        self.schema = schema
        self._recent: ReadingBatch | None = None
        self._span = (0, -1)
        self._recent_from_s = 0
        self._older: list[tuple[int | None, EventBatch]] = []

    @property
    def name(self) -> bytes:
        """Its device name, 16 octets."""
        return bytes(self.model.meter_names[self.number])

    @property
    def state(self) -> MeterState:
        """What it remembers; changing it changes the meter."""
        return self.model.meter_state(self.number)

    def clock_s(self) -> int:
        """Return its clock, POSIX seconds; it counts in 32 bits, as its tables tell it."""
        return int(self.model.meter_clock_s(self.number)) % CLOCK_PERIOD_S

    def newest_s(self) -> int | None:
        """Return the time of the newest capture; ``None``: nothing was captured yet."""
        return next((newest_s for newest_s, _ in self._backwards() if newest_s is not None), None)

    def window(self, newest_s: int) -> tuple[int, int]:
        """Return the first and last capture time that the load profile holds."""
        oldest_s = self.model.buffer_span()[0]
        first_s = newest_s - (self.schema.settings.blocks - 1) * self.schema.period_s
        return max(oldest_s, first_s), newest_s

    def with_previous(self, from_s: int, to_s: int) -> tuple[ReadingBatch, NDArray[np.uint32]]:
        """Return captures in [from_s, to_s], and the registers (n, k) one period before each.

        Where the capture before is not there, its own registers stand in: nothing rose. The
        captures come without their events.
        """
        batch = self._captures(from_s - self.schema.period_s, to_s)
        times = batch.captured_at_s
        # Where there is none one period before, the next one found is the capture itself.
        before = np.searchsorted(times, times - self.schema.period_s)
        wanted = times >= from_s
        return _rows(batch, wanted), batch.values[before][wanted]

    def hand_over(self, readings: ReadingBatch, which: NDArray[np.bool_]) -> None:
        """Tell the model which of these readings leave on the link."""
        if which.any():
            self.model.handed_over(_rows(readings, which))

    def events(self, source: EventSource, count: int) -> EventBatch:
        """Return the newest events of ``source``, at most ``count``, oldest first."""
        found: list[EventBatch] = []
        left = count
        for _, events in self._backwards():
            if left <= 0:
                break
            mine = events.take(events.source == source)
            mine = mine.take(np.argsort(mine.sequence, kind="stable")[-left:])
            found.insert(0, mine)
            left -= len(mine)
        return EventBatch.concatenate(found)

    def _captures(self, from_s: int, to_s: int) -> ReadingBatch:
        recent = self._newest_captures()
        if from_s < self._recent_from_s:
            return self._ask(from_s, to_s)
        times = recent.captured_at_s
        return _rows(recent, (times >= from_s) & (times <= to_s))

    def _newest_captures(self) -> ReadingBatch:
        """Return the captures of the newest intervals that the model can hold."""
        span = self.model.buffer_span()
        if self._recent is None or span != self._span:
            width_s = self.schema.settings.blocks * self.schema.period_s
            self._recent_from_s = span[1] - width_s
            self._recent = self._ask(self._recent_from_s, span[1])
            self._span = span
            self._older = []
        return self._recent

    def _ask(self, from_s: int, to_s: int) -> ReadingBatch:
        return self.model.buffer(from_s, to_s, range(self.number, self.number + 1))

    def _backwards(self) -> Iterator[tuple[int | None, EventBatch]]:
        """Return everything there is, the newest first, in parts: newest capture, and events."""
        yield _told(self._newest_captures())
        width_s = CHUNK_INTERVALS * self.schema.period_s
        starts = range(self._recent_from_s - 1, self._span[0] - 1, -width_s)
        for number, to_s in enumerate(starts):
            if number == len(self._older):
                part = self._ask(max(self._span[0], to_s - width_s + 1), to_s)
                self._older.append(_told(part))
            yield self._older[number]


def _told(part: ReadingBatch) -> tuple[int | None, EventBatch]:
    return int(part.captured_at_s[-1]) if len(part) else None, part.events


def _rows(batch: ReadingBatch, which: NDArray[np.bool_]) -> ReadingBatch:
    return ReadingBatch(
        batch.concentrator,
        batch.meter_ids[which],
        batch.captured_at_s[which],
        batch.status[which],
        batch.values[which],
    )
