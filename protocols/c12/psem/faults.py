"""What can go wrong on a C12.18 session: one vocabulary for both roles, made to be counted."""

from __future__ import annotations

from enum import Enum, auto


class Fault(Enum):
    """Why something was not taken, was sent again, or ended the session."""

    GARBAGE = auto()
    """Octets that are no packet and no acknowledgement; each counts."""

    BAD_CRC = auto()
    TRUNCATED = auto()
    """A packet that stopped: the inter-character time passed."""

    OVERSIZED_PACKET = auto()
    """A packet that announces more than this side takes."""

    DUPLICATE = auto()
    """The packet before once more: acknowledged and thrown away."""

    WRONG_TOGGLE = auto()
    """Another packet under the toggle bit of the one before."""

    WRONG_SEQUENCE = auto()
    """A packet that does not continue its message."""

    INTERRUPTED_MESSAGE = auto()
    """A message of several packets that another message cut short."""

    OVERSIZED_MESSAGE = auto()
    """A message of more packets or octets than this side takes."""

    WRONG_FORMAT = auto()
    """A packet of the other data format."""

    FOREIGN_IDENTITY = auto()
    """A packet for somebody else on the line."""

    STRAY_ACKNOWLEDGEMENT = auto()
    """An ACK or NAK when nothing waits for one."""

    NOT_ACKNOWLEDGED = auto()
    """A NAK: the packet was sent again."""

    ACKNOWLEDGEMENT_TIMEOUT = auto()
    """No answer to a packet: it was sent again."""

    LINK_FAILED = auto()
    """A packet was sent as often as allowed and never acknowledged."""

    TRAFFIC_TIMEOUT = auto()
    """Nothing was heard for too long."""

    UNKNOWN_SERVICE = auto()
    MALFORMED_SERVICE = auto()
    OUT_OF_STATE = auto()
    """A service that the session's state does not allow."""

    RESPONSE_TOO_LARGE = auto()
    AUTHENTICATION_FAILED = auto()
    REFUSED = auto()
    """The peer answered with another code than OK."""

    WRONG_ANSWER = auto()
    """An answer that cannot be one: malformed, a wrong checksum, to another procedure."""

    TRANSPORT_CLOSED = auto()
