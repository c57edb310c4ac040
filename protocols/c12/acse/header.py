"""The fields of an ACSE PDU, and an APDU as it came."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

from protocols.c12.titles import ApTitle


class AeQualifier(IntFlag):
    """What the calling AE qualifier says of a message."""

    TEST = 0x01
    URGENT = 0x02
    NOTIFICATION = 0x04


@dataclass(frozen=True, slots=True)
class AuthenticationValue:
    """Which key (u8, may be left out) and which initialization vector (u32, UTC seconds)."""

    vector: int
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """All of an APDU but its information.

    Invocation ids are the octets of the INTEGER as they travel (1..4): an answer echoes those of
    its request. ``mechanism_name`` and ``application_context`` are content octets of an OID.
    """

    called: ApTitle | None
    calling: ApTitle | None
    calling_invocation: bytes
    called_invocation: bytes | None = None
    qualifier: AeQualifier | None = None
    authentication: AuthenticationValue | None = None
    mechanism_name: bytes | None = None
    application_context: bytes | None = None

    @property
    def is_response(self) -> bool:
        """Whether it answers a request, whose invocation id it then carries."""
        return self.called_invocation is not None


@dataclass(frozen=True, slots=True)
class SegmentPosition:
    """Where a segment belongs: ``offset`` octets into a whole APDU of ``total_size`` octets."""

    total_size: int
    offset: int


class Spans(NamedTuple):
    """Where things are in the octets of an APDU: start and stop of two elements, and starts.

    An element that is not there is a span of no octets.
    """

    elements_start: int
    called_start: int
    called_stop: int
    calling_start: int
    calling_stop: int
    information_start: int


@dataclass(frozen=True, slots=True)
class ReadApdu:
    """An APDU as it came."""

    octets: bytes
    header: Header
    segment: SegmentPosition | None
    spans: Spans

    @property
    def information(self) -> bytes:
        """The EPSEM, or for a segment its piece of an APDU."""
        return self.octets[self.spans.information_start :]
