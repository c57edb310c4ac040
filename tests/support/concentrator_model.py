"""A concentrator in memory: readings by formula, switches in sets, every command recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.plugin import (
    Command,
    CommandKind,
    Credentials,
    Execution,
    MeterState,
    RegisterDescription,
)
from protocols.readings import ReadingBatch

FIRST_S: Final = 1_700_000_100
STEP_S: Final = 900
TITLE: Final = b"MSC\0\0\0\0\x08"
NAME: Final = b"MSC0000000000008"
HEAD_END: Final = b"MSH\0\0\0\0\1"
CREDENTIALS: Final = Credentials(TITLE, bytes(range(16)), bytes(range(0xD0, 0xE0)), b"12345678")
REGISTERS: Final = (
    RegisterDescription("import_wh", bytes((1, 0, 1, 8, 0, 255)), 30, 0),
    RegisterDescription("import_rate1_wh", bytes((1, 0, 1, 8, 1, 255)), 30, 0),
    RegisterDescription("import_rate2_wh", bytes((1, 0, 1, 8, 2, 255)), 30, 0),
    RegisterDescription("voltage_mv_l1", bytes((1, 0, 32, 7, 0, 255)), 35, -3),
)


@dataclass
class MemoryCounters:
    """Counters of one side, in memory."""

    sent: int = 0
    accepted: dict[bytes, int] = field(default_factory=dict)
    stamps: dict[bytes, int] = field(default_factory=dict)

    def next(self) -> int:
        self.sent += 1
        return self.sent

    def last_accepted(self, peer: bytes) -> int | None:
        return self.accepted.get(peer)

    def accept(self, peer: bytes, counter: int) -> None:
        self.accepted[peer] = counter

    def stamp(self, peer: bytes) -> int:
        self.stamps[peer] = self.stamps.get(peer, FIRST_STAMP_S) + 1
        return self.stamps[peer]


class NoNodes:
    """A registration table in which nobody is."""

    def is_registered(self, title: bytes) -> bool:
        return False

    def admits(self, count: int) -> int:
        return 0

    def address_of(self, title: bytes) -> bytes | None:
        return None


NO_NODES: Final = NoNodes()
FIRST_STAMP_S: Final = 1_700_000_000


@dataclass
class MemoryConcentrator:
    """Implements `ConcentratorModel`: ``meters`` meters, ``intervals`` captured so far.

    ``unheard`` are (meter, interval) pairs that have not reached the concentrator.
    """

    meters: int = 3
    intervals: int = 8
    name: bytes = NAME
    system_title: bytes = TITLE
    registers: Sequence[RegisterDescription] = REGISTERS
    capture_period_s: int = STEP_S
    now_s: float = FIRST_S + 7 * STEP_S + 30.0
    unheard: set[tuple[int, int]] = field(default_factory=set)
    handed: list[ReadingBatch] = field(default_factory=list)
    executed: list[tuple[int, Execution]] = field(default_factory=list)
    open_switches: set[tuple[int, int]] = field(default_factory=set)
    rates: dict[int, int] = field(default_factory=dict)
    offsets_s: dict[int, float] = field(default_factory=dict)
    states: dict[int, MeterState] = field(default_factory=dict)

    @property
    def meter_names(self) -> NDArray[np.bytes_]:
        return np.array([b"MST%013d" % (meter + 1) for meter in range(self.meters)], "S16")

    def clock_s(self) -> float:
        return self.now_s

    def buffer_span(self) -> tuple[int, int]:
        return FIRST_S, FIRST_S + (self.intervals - 1) * STEP_S

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        chosen = range(self.meters) if meters is None else meters
        pairs = [
            (meter, interval)
            for interval in range(self.intervals)
            for meter in chosen
            if from_s <= FIRST_S + interval * STEP_S <= to_s
            and (meter, interval) not in self.unheard
        ]
        return self.readings(pairs)

    def readings(self, pairs: Sequence[tuple[int, int]]) -> ReadingBatch:
        """Return what was registered at pairs of meter and interval."""
        meter, interval = np.array(pairs, np.int64).reshape(-1, 2).T
        column = np.arange(len(self.registers))
        values = (meter[:, None] * 1_000_003 + interval[:, None] * 977 + column).astype(np.uint32)
        return ReadingBatch(
            self.name,
            self.meter_names[meter],
            FIRST_S + interval * STEP_S,
            (interval % 3).astype(np.uint8),
            values,
        )

    def handed_over(self, readings: ReadingBatch) -> None:
        self.handed.append(readings)

    def is_connected(self, meter: int, segment: int) -> bool:
        return (meter, segment) not in self.open_switches

    def active_rate(self, meter: int) -> int:
        return self.rates.get(meter, 1)

    def meter_clock_s(self, meter: int) -> float:
        return self.now_s + self.offsets_s.get(meter, 0.0)

    def execute(self, meter: int, command: Command, counter: int) -> bool:
        match command.kind:
            case CommandKind.DISCONNECT:
                self.open_switches.add((meter, 0))
            case CommandKind.RECONNECT:
                self.open_switches.discard((meter, 0))
            case CommandKind.SEGMENT:
                change = (
                    self.open_switches.discard
                    if command.parameter & 1
                    else (self.open_switches.add)
                )
                change((meter, command.parameter >> 1))
            case CommandKind.TARIFF:
                self.rates[meter] = command.parameter
            case CommandKind.TIME:
                self.offsets_s[meter] = command.parameter - self.now_s
        self.executed.append((meter, Execution(command, int(self.now_s), counter)))
        return True

    def control_log(self, meter: int) -> Sequence[Execution]:
        return tuple(execution for number, execution in self.executed if number == meter)

    def meter_state(self, meter: int) -> MeterState:
        return self.states.setdefault(meter, MeterState())


def same(left: ReadingBatch, right: ReadingBatch) -> bool:
    """Tell whether two batches hold the same readings in the same order."""
    return left.concentrator == right.concentrator and all(
        a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in (
            (left.meter_ids, right.meter_ids),
            (left.captured_at_s, right.captured_at_s),
            (left.status, right.status),
            (left.values, right.values),
        )
    )
