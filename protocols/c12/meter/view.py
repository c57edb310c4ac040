"""One meter behind a concentrator, as its tables see it: captures, events, the state it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.handing_over import HandedOver
from protocols.c12.meter.relay_captures import RELAYS, Column, rows_of
from protocols.c12.meter.schema import MeterSchema
from protocols.plugin import ConcentratorModel
from protocols.readings import EventBatch, EventSource, ReadingBatch

CLOCK_PERIOD_S: Final = 1 << 32


class MeterView:
    """Meter ``number``, counted within the concentrator of ``model``.

    What it shows is as it was when `look` was last said; the first time is when it is made.
    ``handed`` is told which readings leave on the link.
    """

    __slots__ = ("captures", "handed", "model", "number", "schema", "state")

    def __init__(
        self,
        model: ConcentratorModel,
        number: int,
        schema: MeterSchema,
        handed: HandedOver | None = None,
    ) -> None:
        self.model = model
        self.number = number
        self.schema = schema
        self.handed = HandedOver(model) if handed is None else handed
        self.captures = RELAYS.of(model)
        self.look()

    def look(self) -> None:
        """Look at the model again: at its captures, and at what the meter remembers."""
        self.captures.look(self.model, self.schema)
        self.state = self.model.meter_state(self.number)
        """What it remembers; changing it changes the meter."""

    @property
    def name(self) -> bytes:
        """Its device name, 16 octets."""
        return bytes(self.model.meter_names[self.number])

    def clock_s(self) -> int:
        """Return its clock, POSIX seconds; it counts in 32 bits, as its tables tell it."""
        return int(self.model.meter_clock_s(self.number)) % CLOCK_PERIOD_S

    def newest_s(self) -> int | None:
        """Return the time of the newest capture; ``None``: nothing was captured yet."""
        return self.captures.newest_s(self.number)

    def window(self, newest_s: int) -> tuple[int, int]:
        """Return the first and last capture time that the load profile holds."""
        first_s = newest_s - (self.schema.settings.blocks - 1) * self.schema.period_s
        return max(self.captures.oldest_s, first_s), newest_s

    def columns(self, first_s: int, count: int) -> Sequence[Column] | None:
        """Return the captures and blocks of all meters: see `RelayCaptures.columns`."""
        return self.captures.columns(self.model, first_s, count)

    def with_previous(self, from_s: int, to_s: int) -> tuple[ReadingBatch, NDArray[np.uint32]]:
        """Return captures in [from_s, to_s], and the registers (n, k) one period before each.

        Where the capture before is not there, its own registers stand in: nothing rose. The
        captures come without their events.
        """
        meters = range(self.number, self.number + 1)
        batch = self.model.buffer(from_s - self.schema.period_s, to_s, meters)
        times = batch.captured_at_s
        # Where there is none one period before, the next one found is the capture itself.
        before = np.searchsorted(times, times - self.schema.period_s)
        wanted = times >= from_s
        return rows_of(batch, wanted), batch.values[before][wanted]

    def events(self, source: EventSource) -> EventBatch:
        """Return the newest events of ``source``, as many as its table holds, oldest first."""
        return self.captures.events(self.number, source)

    def remembered(self, table: int, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` gave for a table that is about events, until there is a new one."""
        return self.captures.remembered(self.number, table, make)
