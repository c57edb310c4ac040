"""The emulated concentrator: its buffer, its meters' switches, its counters.

Little is kept per concentrator: what it measured follows from the truth, what it has heard from
the plan, what it has handed over from the delivery record. History, the captures of before the
first step, it has heard long ago, all of it, and whoever asks gets it. Only what a head-end changes
(switches, rates, clocks) and what must never repeat (invocation counters) is state.

The emulated load does not follow the switches: a disconnected meter still registers its planned
consumption, so that the truth stays a pure function of the seed (docs/explanation/fidelity.md).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from structlog import get_logger

from emulator.append_log import AppendLog
from emulator.delivery_record import Mark
from emulator.event_kinds import MeterEventKind
from emulator.identity import concentrator_name, concentrator_system_title, meter_numbers
from emulator.world import NEVER, World
from protocols.plugin import Command, CommandKind, Execution, MeterMode, MeterState
from protocols.readings import ReadingBatch

BUFFER_INTERVALS: Final = 20_000
"""Captures it keeps of each meter: six months of quarter-hours, and 24 days."""
CONTROL_LOG_ROWS: Final = 1_000
"""Entries a meter keeps; the oldest go first."""
SEGMENTS: Final = 8
RATES: Final = 2
log = get_logger(__name__)


class ExecutionLog:
    """Every command a shard's meters carried out, one JSON line each, for the ledger."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path)

    def write(self, meter: int, execution: Execution) -> None:
        """Append one execution; the line is with the kernel when this returns.

        Raises `OSError`: it could not be written, and nothing of it was.
        """
        line = {
            "meter": meter,
            "kind": execution.command.kind.value,
            "parameter": execution.command.parameter,
            "at_s": execution.at_s,
            "counter": execution.counter,
        }
        self._log.append(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._log.close()


class Stamps:
    """POSIX seconds, each given out once to a peer: those of devices under one key."""

    def __init__(self, utc_s: Callable[[], float] = time.time) -> None:
        self._utc_s = utc_s
        self._last: dict[bytes, int] = {}

    def next(self, peer: bytes) -> int:
        """Return the second it is, or the one after the last given out to ``peer``."""
        stamp = max(int(self._utc_s()), self._last.get(peer, 0) + 1)
        self._last[peer] = stamp
        return stamp


@dataclass(slots=True)
class DeviceCounters:
    """Invocation counters of one security context of a device; they outlive connections.

    Pushing and serving are contexts of their own: what the head-end says on two connections at
    once may arrive in another order than it was numbered in.
    """

    sent: list[int]
    """One element: the last counter sent, shared by all contexts under one key."""
    accepted: dict[bytes, int] = field(default_factory=dict)
    stamps: Stamps = field(default_factory=Stamps)

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

    def stamp(self, peer: bytes) -> int:
        """Return POSIX seconds never returned for ``peer`` before."""
        return self.stamps.next(peer)


class Concentrator:
    """One emulated concentrator; implements `protocols.plugin.ConcentratorModel`."""

    def __init__(self, number: int, world: World, executions: ExecutionLog) -> None:
        self.number = number
        self.name = concentrator_name(number)
        self.system_title = concentrator_system_title(number)
        self.capture_period_s = world.plan.step_s
        self.registers = world.registers
        self._world = world
        self._executions = executions
        self._meters = world.plan.grid.meters_of(number)
        sent, stamps = [0], Stamps()
        self.push_counters = DeviceCounters(sent, stamps=stamps)
        self.served_counters = DeviceCounters(sent, stamps=stamps)
        self._looked_at_step = self._open_step = NEVER
        self._open_switches: set[tuple[int, int]] = set()
        self._rates: dict[int, int] = {}
        self._clock_offset_s: dict[int, float] = {}
        self._control_logs: dict[int, deque[Execution]] = {}
        self._states: dict[int, MeterState] = {}
        self._status_seen: dict[int, int] = {}

    @property
    def meter_names(self) -> NDArray[np.bytes_]:
        """Logical device names of its meters, dtype S16."""
        return self._world.names(self._meters)

    def clock_s(self) -> float:
        """Return its clock, POSIX seconds (UTC): the scenario's."""
        return self._world.clock.now_s()

    def buffer_span(self) -> tuple[int, int]:
        """Return oldest and newest capture time in the buffer."""
        newest = self._world.step()
        bounds = np.array([self._oldest(newest), newest])
        first, last = self._world.plan.captured_at(bounds)
        return int(first), int(last)

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        """Return what it has heard from its meters for capture times in [from_s, to_s].

        In a conversation that outlasts the concentrator's window, what it heard since the window
        closed is left out: that is due when the next one opens.
        """
        plan, step = self._world.plan, self._last_open_step()
        first = max(self._oldest(step), -((plan.first_s - from_s) // plan.step_s))
        last = min(step, (to_s - plan.first_s) // plan.step_s)
        chosen = self._meters if meters is None else self._meters[meters.start : meters.stop]
        intervals, numbers = np.arange(first, last + 1), np.array(chosen, np.int64)
        column, row = np.tile(numbers, len(intervals)), np.repeat(intervals, len(numbers))
        heard = row < 0
        lived = ~heard
        heard[lived] = plan.available_step(column[lived], row[lived]) <= step
        return self._world.read(column[heard], row[heard], self.name)

    def _oldest(self, newest: int) -> int:
        """Return the oldest interval in the buffer, negative in history."""
        return max(self._world.truth.intervals.start, newest - BUFFER_INTERVALS + 1)

    def _last_open_step(self) -> int:
        """Return the newest step at which the plan has it reachable, -1 before the first."""
        step = self._world.step()
        if step != self._looked_at_step:
            self._looked_at_step, own = step, np.array([self.number])
            while step >= 0 and not self._world.plan.concentrator_reachable(own, step)[0]:
                step -= 1
            self._open_step = step
        return self._open_step

    def handed_over(self, readings: ReadingBatch) -> None:
        """Mark readings of the buffer as handed to the link; those of history nobody owes."""
        intervals = (readings.captured_at_s - self._world.plan.first_s) // self.capture_period_s
        owed = intervals >= 0
        meters = meter_numbers(readings.meter_ids[owed])
        self._world.record.mark(Mark.SENT, self.number, meters, intervals[owed])

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
        """Carry out a command and log it; False where it makes no sense for the meter.

        A command that cannot be logged is not carried out either.
        """
        if not 0 <= meter < len(self._meters) or not _makes_sense(command):
            return False
        sets_clock = command.kind is CommandKind.TIME
        at_s = command.parameter if sets_clock else int(self.meter_clock_s(meter))
        execution = Execution(command, at_s, counter)
        try:
            self._executions.write(self._meters[meter], execution)
        except OSError as error:
            log.error("a command was refused: it cannot be logged", error=str(error))
            return False
        self._apply(meter, command)
        self._control_logs.setdefault(meter, deque(maxlen=CONTROL_LOG_ROWS)).append(execution)
        return True

    def control_log(self, meter: int) -> Sequence[Execution]:
        """Return the newest entries of a meter's control log, oldest first."""
        return tuple(self._control_logs.get(meter, ()))

    def meter_state(self, meter: int) -> MeterState:
        """Return what a meter remembers beyond its switches; changing it changes the meter.

        A status bit that befell the meter shows from then on until it is over or somebody clears
        it; test mode shows while the scenario has it.
        """
        events, at_s = self._world.events, self.clock_s()
        state = self._states.setdefault(meter, MeterState())
        if len(events):
            now = events.status_bits(self._meters[meter], at_s)
            before = self._status_seen.get(meter, 0)
            state.status_bits = (state.status_bits | (now & ~before)) & ~(before & ~now)
            self._status_seen[meter] = now
            under_way = events.under_way(self._meters[meter], at_s)
            state.busy = MeterEventKind.BUSY in under_way
            state.locked = MeterEventKind.LOCKED in under_way
            state.ready = MeterEventKind.NOT_READY not in under_way
            state.reachable = MeterEventKind.IDLE not in under_way
            if MeterEventKind.TEST_MODE in under_way:
                state.mode = MeterMode.TEST
            elif state.mode is MeterMode.TEST and not state.told_mode:
                state.mode = MeterMode.METERING
        return state

    def _apply(self, meter: int, command: Command) -> None:
        match command.kind:
            case CommandKind.DISCONNECT:
                self._open_switches.add((meter, 0))
            case CommandKind.RECONNECT:
                self._open_switches.discard((meter, 0))
            case CommandKind.SEGMENT:
                segment, closed = command.parameter >> 1, command.parameter & 1
                change = self._open_switches.discard if closed else self._open_switches.add
                change((meter, segment))
            case CommandKind.TARIFF:
                self._rates[meter] = command.parameter
            case CommandKind.TIME:
                self._clock_offset_s[meter] = command.parameter - self.clock_s()


def _makes_sense(command: Command) -> bool:
    match command.kind:
        case CommandKind.SEGMENT:
            return 1 <= command.parameter >> 1 <= SEGMENTS
        case CommandKind.TARIFF:
            return 1 <= command.parameter <= RATES
    return True
