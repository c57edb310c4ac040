"""What can go wrong on a connection to a networked battery, for both ends, made to be counted."""

from __future__ import annotations

from enum import Enum, auto


class Fault(Enum):
    """Why octets were not taken, a request was refused, or an answer did not come."""

    FRAMING = auto()
    """Octets that are no message of the dialect, or too many: the connection is over."""

    TRUNCATED = auto()
    """The stream ended within a message."""

    MALFORMED = auto()
    """A message that is whole and makes no sense."""

    UNKNOWN_OPERATION = auto()
    OUT_OF_RANGE = auto()
    """A current that no battery has, or that is no number."""

    NOT_CONNECTED = auto()
    """A command before the battery was named (v3)."""

    REFUSED = auto()
    """What was asked is not done, as its owner or the peer says."""

    STRAY_ANSWER = auto()
    """An answer that nothing waits for."""

    TIMEOUT = auto()
    TRANSPORT_CLOSED = auto()
