"""What can go wrong on a Modbus connection: one vocabulary for both ends, made to be counted."""

from __future__ import annotations

from enum import Enum, auto


class Fault(Enum):
    """Why octets were not taken, a request was refused, or an answer did not come."""

    FRAMING = auto()
    """Octets that are no Modbus TCP: the connection is over."""

    TRUNCATED = auto()
    """The stream ended within a frame."""

    ILLEGAL_FUNCTION = auto()
    ILLEGAL_VALUE = auto()
    ILLEGAL_ADDRESS = auto()
    FOREIGN_UNIT = auto()
    """A request for a unit that is not here."""

    REFUSED = auto()
    """The device answered with an exception, or its owner had it do so."""

    STRAY_ANSWER = auto()
    """An answer of a transaction that nothing waits for."""

    MALFORMED_ANSWER = auto()
    TIMEOUT = auto()
    TRANSPORT_CLOSED = auto()
    NO_MAP = auto()
    """There is no SunSpec map at any of its three places, or one without an end."""

    DOES_NOT_FIT = auto()
    """A command that the battery's registers cannot hold."""
