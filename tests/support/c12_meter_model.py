"""A concentrator in memory with what ANSI meters need of it: events, and what meters remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from protocols.c12.meter import Clearance, Meter, MeterSchema, Passwords, meter_schema
from protocols.c12.meter.event_log import event_batch
from protocols.plugin import MeterState, RegisterDescription
from protocols.readings import EventBatch, EventSource, ReadingBatch
from tests.support.concentrator_model import FIRST_S, STEP_S, MemoryConcentrator

CAPTURED: Final = (
    RegisterDescription("import_wh", bytes((1, 0, 1, 8, 0, 255)), 30, 0),
    RegisterDescription("import_rate1_wh", bytes((1, 0, 1, 8, 1, 255)), 30, 0),
    RegisterDescription("import_rate2_wh", bytes((1, 0, 1, 8, 2, 255)), 30, 0),
    RegisterDescription("export_wh", bytes((1, 0, 2, 8, 0, 255)), 30, 0),
    RegisterDescription("voltage_mv_l1", bytes((1, 0, 32, 7, 0, 255)), 35, -3),
)


@dataclass(frozen=True)
class Raised:
    """An event of ``meter`` that is delivered with the capture of ``interval``."""

    meter: int
    interval: int
    source: EventSource
    code: int
    sequence: int
    argument: int = 0

    @property
    def captured_at_s(self) -> int:
        return FIRST_S + self.interval * STEP_S

    def batch(self, name: bytes) -> EventBatch:
        captured_at_s = self.captured_at_s
        status = self.source is EventSource.STATUS
        return event_batch(
            name,
            self.source,
            np.array([self.code], np.uint16),
            captured_at_s if status else self.sequence,
            captured_at_s if status else captured_at_s - 100,
            self.argument,
        )


def logged(meter: int, interval: int, code: int, sequence: int, argument: int = 0) -> Raised:
    """Return an entry of the event log."""
    return Raised(meter, interval, EventSource.LOG, code, sequence, argument)


def risen(meter: int, interval: int, bit: int) -> Raised:
    """Return a status bit that is newly set."""
    return Raised(meter, interval, EventSource.STATUS, bit, 0)


@dataclass
class AnsiConcentrator(MemoryConcentrator):
    """Implements `ConcentratorModel`: energies that count, a voltage, and ``raised`` events."""

    registers: Sequence[RegisterDescription] = CAPTURED
    raised: list[Raised] = field(default_factory=list)
    states: dict[int, MeterState] = field(default_factory=dict)

    def meter_state(self, meter: int) -> MeterState:
        return self.states.setdefault(meter, MeterState())

    def readings(self, pairs: Sequence[tuple[int, int]]) -> ReadingBatch:
        plain = super().readings(pairs)
        meter, interval = np.array(pairs, np.int64).reshape(-1, 2).T
        # Rate 1 by day, rate 2 by night; now and then an interval that takes much.
        rate_1 = 5_000 + 120 * interval + 700 * (interval // 7) + meter
        rate_2 = 9_000 + 33 * interval + 11 * (interval // 5)
        export = 70 + 3 * interval
        voltage = 230_000 - 500 * (interval % 4) + meter
        columns = [rate_1 + rate_2, rate_1, rate_2, export, voltage]
        values = np.stack(columns, axis=1).astype(np.uint32)[:, : len(self.registers)]
        status = np.zeros(len(plain), np.uint8)
        return replace(plain, values=values, status=status, events=self._events(pairs))

    def _events(self, pairs: Sequence[tuple[int, int]]) -> EventBatch:
        names = self.meter_names
        delivered = [
            one.batch(bytes(names[meter]))
            for meter, interval in pairs
            for one in self.raised
            if (one.meter, one.interval) == (meter, interval)
        ]
        return EventBatch.concatenate(delivered)


def schema_of(model: AnsiConcentrator) -> MeterSchema:
    """Return the layout of a concentrator's meters."""
    return meter_schema(model.registers, model.capture_period_s)


def granted(model: AnsiConcentrator, number: int) -> Meter:
    """Return a meter that the network lets do everything."""
    return Meter(model, number, Passwords(), granted=Clearance.FULL)
