"""What all meters behind one concentrator have captured, asked of its model together.

Asking a model costs more than what it answers, so nothing is asked meter by meter that all of them
will be asked for: the newest captures, the events, the blocks of a time. It is kept for as long as
the model lives, whoever connects, and looked at again when a new capture is due. Every capture is
looked at for its events once, so that a long history costs no more than a short one.

A meter's captures reach its concentrator in their order: one that was out of reach for a while
brings what it missed together with its newest, or before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.blocks import encode_blocks
from protocols.c12.meter.keepsakes import Keepsakes
from protocols.c12.meter.profile_status import encode_statuses
from protocols.c12.meter.schema import MeterSchema
from protocols.plugin import ConcentratorModel
from protocols.readings import EventBatch, EventSource, ReadingBatch

NOTHING_YET: Final = -1
ROWS_AT_ONCE: Final = 65_536
"""Readings that are looked at together for their events."""
KEPT_ROWS: Final = 8_192
"""Readings whose blocks are kept, of a concentrator."""
_NO_EVENTS: Final = EventBatch.empty()


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The captures of one time: ``readings`` of n meters, their blocks, and who has which row.

    ``octets`` are the n blocks one after the other; ``rows`` says for each meter of the
    concentrator which reading is its own, -1 for none.
    """

    readings: ReadingBatch
    octets: bytes
    rows: Sequence[int]


class RelayCaptures:
    """What the meters of one concentrator have captured; say `look` before anything else."""

    def __init__(self) -> None:
        self._span = (0, -1)
        self._schema: MeterSchema | None = None
        self._statuses: Sequence[bytes] | None = None
        self._forget()

    def look(self, model: ConcentratorModel, schema: MeterSchema) -> None:
        """Take in what is new since the last time."""
        span = model.buffer_span()
        if schema is not self._schema or span[1] < self._span[1]:
            self._forget()
        if schema is not self._schema or span != self._span:
            self._schema, self._span = schema, span
            self._refresh(model, schema)

    @property
    def oldest_s(self) -> int:
        """The oldest capture time that the concentrator can hold, POSIX seconds."""
        return self._span[0]

    def newest_s(self, meter: int) -> int | None:
        """Return the time of a meter's newest capture; ``None``: it has none."""
        newest_s = self._newest[meter]
        return None if newest_s == NOTHING_YET else newest_s

    def status_octets(self, meter: int) -> bytes:
        """Return a meter's ST63, as it is while nobody has reset or read anything."""
        if self._statuses is None:
            assert self._schema is not None, "look comes first"
            self._statuses = encode_statuses(self._schema, self._times, self.oldest_s)
        return self._statuses[meter]

    def events(self, meter: int, source: EventSource) -> EventBatch:
        """Return the newest events of a meter, as many as its table holds, oldest first."""
        return self._events.get((meter, source), _NO_EVENTS)

    def remembered(self, meter: int, table: int, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` gave for a table that is about events, until there is a new one."""
        kept = self._tables.setdefault(meter, {})
        if table not in kept:
            kept[table] = make()
        return kept[table]

    def columns(
        self, model: ConcentratorModel, first_s: int, count: int
    ) -> Sequence[Column] | None:
        """Return ``count`` columns from the one of ``first_s`` on, a period apart.

        ``None``: that is more than is worth to be kept for all meters.
        """
        schema = self._schema
        assert schema is not None, "look comes first"
        period_s = schema.period_s
        if count > max(1, KEPT_ROWS // max(1, len(self._times)) // 2):
            return None
        times = range(first_s, first_s + count * period_s, period_s)
        missing = [time_s for time_s in times if time_s not in self._columns]
        if missing:
            made = self._made(model, schema, missing[0], missing[-1])
            self._columns |= made
            while len(self._columns) * len(self._times) > KEPT_ROWS and len(self._columns) > count:
                self._columns.popitem(last=False)
        return [self._columns[time_s] for time_s in times]

    def _forget(self) -> None:
        self._looked_s = NOTHING_YET
        self._times: NDArray[np.int64] = np.zeros(0, np.int64)
        self._newest: list[int] = []
        self._events: dict[tuple[int, EventSource], EventBatch] = {}
        self._tables: dict[int, dict[int, bytes]] = {}
        self._columns: OrderedDict[int, Column] = OrderedDict()
        self._statuses = None
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._names: NDArray[np.bytes_] = np.zeros(0, "S16")

    def _refresh(self, model: ConcentratorModel, schema: MeterSchema) -> None:
        names = model.meter_names
        if len(names) != len(self._times):
            self._times = np.full(len(names), NOTHING_YET, np.int64)
            self._order = np.argsort(names)
            self._names = names[self._order]
        width_s = max(1, ROWS_AT_ONCE // max(1, len(names))) * schema.period_s
        oldest_s, newest_s = self._span
        looked_s = self._looked_s
        for from_s in range(max(oldest_s, looked_s + 1), newest_s + 1, width_s):
            self._take(model, model.buffer(from_s, min(newest_s, from_s + width_s - 1)), looked_s)
        self._newest = self._times.tolist()
        self._columns.clear()
        self._statuses = None

    def _take(self, model: ConcentratorModel, batch: ReadingBatch, looked_s: int) -> None:
        """Take captures that are newer than ``looked_s``, and what came late of their meters."""
        if not len(batch):
            return
        meters = self._meters(batch.meter_ids)
        for meter in np.unique(meters).tolist():
            last_s = int(self._times[meter])
            if last_s < looked_s:
                late_s = max(self._span[0], last_s + 1)
                late = model.buffer(late_s, looked_s, range(meter, meter + 1))
                self._keep(late.events)
        np.maximum.at(self._times, meters, batch.captured_at_s)
        self._looked_s = max(self._looked_s, int(self._times.max()))
        self._keep(batch.events)

    def _keep(self, events: EventBatch) -> None:
        if not len(events):
            return
        meters = self._meters(events.meter_ids)
        for meter in np.unique(meters).tolist():
            mine = events.take(meters == meter)
            for source, room in self._rooms:
                self._append((meter, source), mine.take(mine.source == source), room)
            self._tables.pop(meter, None)

    def _append(self, key: tuple[int, EventSource], new: EventBatch, room: int) -> None:
        if len(new):
            found = EventBatch.concatenate([self._events.get(key, _NO_EVENTS), new])
            newest = np.argsort(found.sequence, kind="stable")[-room:]
            self._events[key] = found.take(newest)

    @property
    def _rooms(self) -> tuple[tuple[EventSource, int], ...]:
        assert self._schema is not None, "look comes first"
        settings = self._schema.settings
        return (
            (EventSource.LOG, settings.event_entries),
            (EventSource.STATUS, settings.status_entries),
        )

    def _meters(self, names: NDArray[np.bytes_]) -> NDArray[np.intp]:
        """Return which meters are called ``names``."""
        return self._order[np.searchsorted(self._names, names)]

    def _made(
        self, model: ConcentratorModel, schema: MeterSchema, first_s: int, last_s: int
    ) -> dict[int, Column]:
        """Return the columns of the times from ``first_s`` to ``last_s``, out of one question."""
        period_s = schema.period_s
        batch = model.buffer(first_s - period_s, last_s)
        meters = self._meters(batch.meter_ids)
        steps = (batch.captured_at_s - first_s) // period_s + 1
        rows = np.full(((last_s - first_s) // period_s + 2, len(self._times)), -1, np.intp)
        rows[steps, meters] = np.arange(len(batch))
        wanted = np.flatnonzero(steps > 0)
        before = rows[steps[wanted] - 1, meters[wanted]]
        # Where the capture before is not there, its own registers stand in: nothing rose.
        before = np.where(before < 0, wanted, before)
        octets = encode_blocks(schema, rows_of(batch, wanted), batch.values[before])
        made = {}
        for step in range(1, len(rows)):
            here = np.flatnonzero(steps[wanted] == step)
            own = np.full(len(self._times), -1, np.intp)
            own[meters[wanted[here]]] = np.arange(len(here))
            made[first_s + (step - 1) * period_s] = Column(
                rows_of(batch, wanted[here]), octets[here].tobytes(), own.tolist()
            )
        return made


def rows_of(batch: ReadingBatch, which: NDArray[np.bool_] | NDArray[np.intp]) -> ReadingBatch:
    """Return readings chosen by index or mask, without their events."""
    return ReadingBatch(
        batch.concentrator,
        batch.meter_ids[which],
        batch.captured_at_s[which],
        batch.status[which],
        batch.values[which],
    )


RELAYS: Final = Keepsakes(RelayCaptures)
"""What is known of each model."""
