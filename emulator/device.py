"""The emulated concentrator: its buffer, its meters' switches, its counters.

Little is kept per concentrator: what it measured follows from the truth, what it has heard from
the plan, what it has handed over from the delivery record. Only what a head-end changes (switches,
rates, clocks) and what must never repeat (invocation counters) is state.

The emulated load does not follow the switches: a disconnected meter still registers its planned
consumption, so that the truth stays a pure function of the seed (docs/explanation/fidelity.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.capture import CaptureProfile
from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.identity import concentrator_name, concentrator_system_title, meter_names
from emulator.plan import Plan
from emulator.readings import Truth
from protocols.plugin import Command, CommandKind, Execution, RegisterDescription
from protocols.readings import ReadingBatch

FIRST_METER_ADDRESS: Final = 256
BUFFER_INTERVALS: Final = 10_000
SEGMENTS: Final = 8
RATES: Final = 2


def meter_address(meter: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the logical device address (server wPort) of meters, numbered within a concentrator.

    Addresses below are the management logical device (1) and those reserved by DLMS.
    """
    return FIRST_METER_ADDRESS + meter


class ExecutionLog:
    """Every command a shard's meters carried out, one JSON line each, for the ledger."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, meter: int, execution: Execution) -> None:
        """Append one execution; the line is with the kernel when this returns."""
        line = {
            "meter": meter,
            "kind": execution.command.kind.value,
            "parameter": execution.command.parameter,
            "at_s": execution.at_s,
            "counter": execution.counter,
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(slots=True)
class DeviceCounters:
    """Invocation counters of one security context of a device; they outlive connections."""

    sent: list[int]
    """One element: the last counter sent, shared by all contexts under one key."""
    accepted: dict[bytes, int] = field(default_factory=dict)

    def next(self) -> int:
        """Return the counter to send under."""
        self.sent[0] += 1
        return self.sent[0]

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from ``peer``."""
        return self.accepted.get(peer)

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        self.accepted[peer] = counter


@dataclass(frozen=True, slots=True)
class World:
    """What all concentrators of a shard share."""

    plan: Plan
    truth: Truth
    clock: ScenarioClock
    record: DeliveryRecord
    capture: CaptureProfile
    log: ExecutionLog

    def step(self) -> int:
        """Return the step under way; before the first it is -1, after the last it stays."""
        elapsed_s = self.clock.now_s() - self.plan.first_s
        return min(int(elapsed_s // self.plan.step_s), self.plan.steps - 1)

    def read(
        self, meters: NDArray[np.int64], intervals: NDArray[np.int64], name: bytes
    ) -> ReadingBatch:
        """Return what ``meters`` registered at ``intervals``, element by element."""
        values, status = self.truth.registers(meters, intervals)
        first = int(meters.min()) if len(meters) else 0
        names = meter_names(first, int(meters.max()) + 1 if len(meters) else 0)
        return ReadingBatch(
            concentrator=name,
            meter_ids=names[meters - first],
            captured_at_s=self.plan.captured_at(intervals),
            status=status,
            values=values,
        )


class Concentrator:
    """One emulated concentrator; implements `protocols.plugin.ConcentratorModel`."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.name = concentrator_name(number)
        self.system_title = concentrator_system_title(number)
        self.capture_period_s = world.plan.step_s
        self.registers = tuple(
            RegisterDescription(item.name, item.logical_name_octets, item.unit, item.scaler)
            for item in world.capture.registers
        )
        self._world = world
        self._meters = world.plan.grid.meters_of(number)
        sent = [0]
        self.push_counters = DeviceCounters(sent)
        self.served_counters = DeviceCounters(sent)
        self._open_switches: set[tuple[int, int]] = set()
        self._rates: dict[int, int] = {}
        self._clock_offset_s: dict[int, float] = {}
        self._control_logs: dict[int, list[Execution]] = {}

    @property
    def meter_names(self) -> NDArray[np.bytes_]:
        """Logical device names of its meters, dtype S16."""
        return meter_names(self._meters.start, self._meters.stop)

    def clock_s(self) -> float:
        """Return its clock, POSIX seconds (UTC): the scenario's."""
        return self._world.clock.now_s()

    def buffer_span(self) -> tuple[int, int]:
        """Return oldest and newest capture time in the buffer."""
        newest = self._world.step()
        oldest = max(0, newest - BUFFER_INTERVALS + 1)
        first, last = self._world.plan.captured_at(np.array([oldest, newest]))
        return int(first), int(last)

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        """Return what it has heard from its meters for capture times in [from_s, to_s]."""
        plan, step = self._world.plan, self._world.step()
        first = max(0, step - BUFFER_INTERVALS + 1, -((plan.first_s - from_s) // plan.step_s))
        last = min(step, (to_s - plan.first_s) // plan.step_s)
        chosen = range(len(self._meters)) if meters is None else meters
        numbers = np.array(self._meters, np.int64)[chosen.start : chosen.stop]
        intervals = np.arange(first, last + 1)
        column = np.tile(numbers, len(intervals))
        row = np.repeat(intervals, len(numbers))
        heard = plan.available_step(column, row) <= step
        return self._world.read(column[heard], row[heard], self.name)

    def handed_over(self, readings: ReadingBatch) -> None:
        """Mark readings of the buffer as handed to the link."""
        if not len(readings):
            return
        numbers = readings.meter_ids.view(np.uint8).reshape(len(readings), -1)[:, 3:] - ord("0")
        meters = numbers.astype(np.int64) @ 10 ** np.arange(numbers.shape[1] - 1, -1, -1) - 1
        intervals = (readings.captured_at_s - self._world.plan.first_s) // self.capture_period_s
        for interval in np.unique(intervals):
            chosen = np.zeros(len(self._meters), np.bool_)
            chosen[meters[intervals == interval] - self._meters.start] = True
            self._world.record.mark(Mark.SENT, self.number, int(interval), chosen)

    def is_connected(self, meter: int, segment: int) -> bool:
        """Tell whether a meter's breaker (0) or consumption segment (1..8) is closed."""
        return (meter, segment) not in self._open_switches

    def active_rate(self, meter: int) -> int:
        """Return the tariff rate that a meter was told to count in, 1 until told otherwise."""
        return self._rates.get(meter, 1)

    def meter_clock_s(self, meter: int) -> float:
        """Return a meter's clock, POSIX seconds (UTC)."""
        return self.clock_s() + self._clock_offset_s.get(meter, 0.0)

    def execute(self, meter: int, command: Command, counter: int) -> bool:
        """Carry out a command and log it; False where it makes no sense for the meter."""
        if not 0 <= meter < len(self._meters) or not self._apply(meter, command):
            return False
        execution = Execution(command, int(self.meter_clock_s(meter)), counter)
        self._control_logs.setdefault(meter, []).append(execution)
        self._world.log.write(self._meters[meter], execution)
        return True

    def control_log(self, meter: int) -> Sequence[Execution]:
        """Return a meter's control log, oldest first."""
        return tuple(self._control_logs.get(meter, ()))

    def _apply(self, meter: int, command: Command) -> bool:
        match command.kind:
            case CommandKind.DISCONNECT:
                self._open_switches.add((meter, 0))
            case CommandKind.RECONNECT:
                self._open_switches.discard((meter, 0))
            case CommandKind.SEGMENT:
                segment, closed = command.parameter >> 1, command.parameter & 1
                if not 1 <= segment <= SEGMENTS:
                    return False
                change = self._open_switches.discard if closed else self._open_switches.add
                change((meter, segment))
            case CommandKind.TARIFF:
                if not 1 <= command.parameter <= RATES:
                    return False
                self._rates[meter] = command.parameter
            case CommandKind.TIME:
                self._clock_offset_s[meter] = command.parameter - self.clock_s()
        return True
