"""What can go wrong on a JBD line: one vocabulary for both ends, made to be counted."""

from __future__ import annotations

from enum import Enum, auto

from protocols.bms.jbd.reader import Damage


class Fault(Enum):
    """Why octets were not taken, a request was refused, or an answer did not come."""

    GARBAGE = auto()
    """Octets that begin no frame; each run counts once."""

    BAD_CHECKSUM = auto()
    BAD_END = auto()
    TRUNCATED = auto()
    """A frame that stopped: silence or the end of the stream came first."""

    UNKNOWN_REGISTER = auto()
    NOT_READABLE = auto()
    NOT_WRITABLE = auto()
    FACTORY_MODE_NEEDED = auto()
    MALFORMED_VALUE = auto()
    REFUSED = auto()
    """The battery answered with status 80."""

    STRAY_REPLY = auto()
    """A reply that nothing waits for."""

    TIMEOUT = auto()
    TRANSPORT_CLOSED = auto()


FAULT_OF_DAMAGE = {
    Damage.GARBAGE: Fault.GARBAGE,
    Damage.BAD_CHECKSUM: Fault.BAD_CHECKSUM,
    Damage.BAD_END: Fault.BAD_END,
    Damage.TRUNCATED: Fault.TRUNCATED,
}
