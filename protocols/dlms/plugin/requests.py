"""What a head-end's wishes are in DLMS: which attribute or method, with which data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlms.apdu import (
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    SelectiveAccess,
)
from protocols.dlms.client import ClientSession
from protocols.dlms.clock import encode_date_time
from protocols.dlms.cosem import classes
from protocols.dlms.cosem.profile import by_range
from protocols.dlms.data import Data, integer, long_unsigned, octet_string
from protocols.dlms.plugin.addresses import (
    CLOCK,
    CONTROL_LOG,
    LOAD_PROFILE,
    TARIFF_SCRIPTS,
    switch_name,
)
from protocols.dlms.plugin.interval_buffer import CLOCK_COLUMN
from protocols.plugin import Command, CommandKind

BUFFER: Final = 2
"""Attribute 2 of a profile."""
DISCONNECT, RECONNECT, EXECUTE = 1, 2, 1
"""Methods of a disconnect control and of a script table."""
INTERVALS: Final = CosemAttributeDescriptor(classes.PROFILE_GENERIC.class_id, LOAD_PROFILE, BUFFER)
EXECUTIONS: Final = CosemAttributeDescriptor(classes.PROFILE_GENERIC.class_id, CONTROL_LOG, BUFFER)
TIME: Final = CosemAttributeDescriptor(classes.CLOCK.class_id, CLOCK, 2)
SCRIPTS: Final = CosemMethodDescriptor(classes.SCRIPT_TABLE.class_id, TARIFF_SCRIPTS, EXECUTE)

SEGMENTS: Final = range(1, 256)
SCRIPT_NUMBERS: Final = range(1 << 16)
TIMES_S: Final = range(1 << 32)


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command as one ACTION or SET."""

    target: CosemMethodDescriptor | CosemAttributeDescriptor
    data: Data

    def send(self, session: ClientSession, now: float) -> None:
        """Ask the meter that ``session`` is associated with."""
        if isinstance(self.target, CosemMethodDescriptor):
            session.action(self.target, now, self.data)
        else:
            session.set(self.target, self.data, now)


def between(from_s: int, to_s: int) -> SelectiveAccess:
    """Return the selective access to rows captured in [from_s, to_s]; may raise `CodecError`."""
    first, last = (octet_string(encode_date_time(bound_s)) for bound_s in (from_s, to_s))
    return by_range(CLOCK_COLUMN, first, last)


def command_request(command: Command) -> CommandRequest | None:
    """Return ``command`` as a request; ``None`` for a parameter that cannot be put into one."""
    parameter = command.parameter
    match command.kind:
        case CommandKind.DISCONNECT:
            return _switching(0, DISCONNECT)
        case CommandKind.RECONNECT:
            return _switching(0, RECONNECT)
        case CommandKind.SEGMENT if parameter >> 1 in SEGMENTS:
            return _switching(parameter >> 1, RECONNECT if parameter & 1 else DISCONNECT)
        case CommandKind.TARIFF if parameter in SCRIPT_NUMBERS:
            return CommandRequest(SCRIPTS, long_unsigned(parameter))
        case CommandKind.TIME if parameter in TIMES_S:
            return CommandRequest(TIME, octet_string(encode_date_time(parameter)))
    return None


def _switching(segment: int, method: int) -> CommandRequest:
    switch = CosemMethodDescriptor(
        classes.DISCONNECT_CONTROL.class_id, switch_name(segment), method
    )
    return CommandRequest(switch, integer(0))
