"""What can befall a meter, and what it leaves behind: log entries, status bits, an operating mode.

One table: each kind of event names the codes it writes to the event log (ANSI C12.19, Standard
Table 76) and the bits it holds up in the status (Standard Table 3), from its beginning to its end.
Codes and bits are those of protocols.c12; a protocol without them raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class MeterEventKind(StrEnum):
    """What a scenario can let happen to meters."""

    POWER_FAILURE = "power-failure"
    TEST_MODE = "test-mode"
    TAMPER = "tamper"
    REVERSE_ROTATION = "reverse-rotation"
    LOW_BATTERY = "low-battery"
    LOW_LOSS_POTENTIAL = "low-loss-potential"
    DEMAND_OVERLOAD = "demand-overload"
    MEMORY_FAILURE = "memory-failure"
    RAM_FAILURE = "ram-failure"
    ROM_FAILURE = "rom-failure"
    CLOCK_FAILURE = "clock-failure"
    MEASUREMENT_FAILURE = "measurement-failure"
    SELF_CHECK_FAILURE = "self-check-failure"
    CONFIGURATION_ERROR = "configuration-error"
    UNPROGRAMMED = "unprogrammed"
    PROGRAMMED = "programmed"
    DEMAND_RESET = "demand-reset"
    SELF_READ = "self-read"
    READ_ACCESS = "read-access"
    WRITE_ACCESS = "write-access"
    BUSY = "busy"
    NOT_READY = "not-ready"
    LOCKED = "locked"
    IDLE = "idle"


class Ending(Enum):
    """Whether a kind of event goes on for a while; the value is what people are told."""

    NEVER = "no: over as soon as it happened"
    OPTIONAL = "may be; to the end of the run without it"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a kind of event leaves in a meter.

    ``begins`` and ``ends`` are codes of the event log, written then; ``status_bits`` are held in
    the first status word from the beginning to the end.
    """

    ending: Ending
    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    status_bits: tuple[int, ...] = ()


TRACES: Final[Mapping[MeterEventKind, Trace]] = {
    MeterEventKind.POWER_FAILURE: Trace(Ending.NEEDED, (1,), (2,), (11,)),
    MeterEventKind.TEST_MODE: Trace(Ending.NEEDED, (32,), (33,)),
    MeterEventKind.TAMPER: Trace(Ending.OPTIONAL, (47,), (), (12,)),
    MeterEventKind.REVERSE_ROTATION: Trace(Ending.OPTIONAL, (48,), (), (13,)),
    MeterEventKind.LOW_BATTERY: Trace(Ending.OPTIONAL, (44,), (), (8,)),
    MeterEventKind.LOW_LOSS_POTENTIAL: Trace(Ending.OPTIONAL, (45,), (), (9,)),
    MeterEventKind.DEMAND_OVERLOAD: Trace(Ending.OPTIONAL, (46,), (), (10,)),
    MeterEventKind.MEMORY_FAILURE: Trace(Ending.OPTIONAL, (41,), (), (5,)),
    MeterEventKind.RAM_FAILURE: Trace(Ending.OPTIONAL, (39,), (), (3,)),
    MeterEventKind.ROM_FAILURE: Trace(Ending.OPTIONAL, (40,), (), (4,)),
    MeterEventKind.CLOCK_FAILURE: Trace(Ending.OPTIONAL, (42,), (), (6,)),
    MeterEventKind.MEASUREMENT_FAILURE: Trace(Ending.OPTIONAL, (43,), (), (7,)),
    MeterEventKind.SELF_CHECK_FAILURE: Trace(Ending.OPTIONAL, (38,), (), (2,)),
    MeterEventKind.CONFIGURATION_ERROR: Trace(Ending.OPTIONAL, (37,), (), (1,)),
    # A meter becomes programmed again by being programmed: the end writes that code.
    MeterEventKind.UNPROGRAMMED: Trace(Ending.OPTIONAL, (), (11,), (0,)),
    MeterEventKind.PROGRAMMED: Trace(Ending.NEVER, (11,)),
    MeterEventKind.DEMAND_RESET: Trace(Ending.NEVER, (20,)),
    MeterEventKind.SELF_READ: Trace(Ending.NEVER, (21,)),
    MeterEventKind.READ_ACCESS: Trace(Ending.NEVER, (7,)),
    MeterEventKind.WRITE_ACCESS: Trace(Ending.NEVER, (8,)),
    # These leave nothing behind: they are how a meter answers while they last.
    MeterEventKind.BUSY: Trace(Ending.NEEDED),
    MeterEventKind.NOT_READY: Trace(Ending.NEEDED),
    MeterEventKind.LOCKED: Trace(Ending.NEEDED),
    MeterEventKind.IDLE: Trace(Ending.NEEDED),
}
