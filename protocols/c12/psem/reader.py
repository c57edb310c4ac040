"""Cuts what comes over the line into packets, acknowledgements and flaws.

Theory of operation
-------------------
After a flaw the reader hunts: it looks for the next packet octet by octet, even inside the packet
that was flawed, because its length cannot be trusted. While it hunts, an ACK or NAK means nothing
(table data is full of such octets) and no flaw deserves an answer, since it may be none. A whole
packet or a silence ends the hunt. A flaw is found at most once for each octet, and never more is
buffered than one packet and what came with its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from protocols.c12.psem.crc import CRC_SIZE
from protocols.c12.psem.faults import Fault
from protocols.c12.psem.packet import (
    ACK,
    ESCAPE,
    HEADER_SIZE,
    NAK,
    OVERHEAD,
    START,
    TRANSPARENCY,
    Packet,
    decode_plain,
    unescape,
)


class Mark(Enum):
    """A single octet that answers a packet."""

    ACK = auto()
    NAK = auto()


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is no packet; ``answerable`` when it began where a packet may begin."""

    fault: Fault
    answerable: bool


Token: TypeAlias = Packet | Mark | Flaw

_MARKS: Final = {ACK: Mark.ACK, NAK: Mark.NAK}


class PacketReader:
    """Feed it any split of the stream, and tell it of silences."""

    def __init__(self, *, max_packet_size: int, transparency: bool = False) -> None:
        self._buffer = bytearray()
        self._max_packet_size = max_packet_size
        self._transparency = transparency
        self._hunting = False
        self._silent = False

    @property
    def waiting(self) -> bool:
        """Whether a silence would tell something: half a packet is there, or a hunt is on."""
        return bool(self._buffer) or self._hunting

    def feed(self, data: bytes) -> None:
        """Append octets from the line."""
        self._buffer += data

    def silence(self) -> None:
        """Nothing came for the inter-character time: what is not whole now never will be.

        Take the tokens that are left with `next_token`.
        """
        self._silent = True

    def next_token(self) -> Token | None:
        """Return the next token, or ``None`` when more octets are needed."""
        if self._buffer:
            return self._at_start() if self._buffer[0] == START else self._between()
        if self._silent:
            self._silent = self._hunting = False
        return None

    def _between(self) -> Token:
        """Take one octet that is not a packet's first."""
        octet = self._buffer[0]
        mark = None if self._hunting else _MARKS.get(octet)
        if mark is not None:
            del self._buffer[:1]
            return mark
        return self._flaw(Fault.GARBAGE)

    def _at_start(self) -> Token | None:
        """Take the packet at the buffer's start, or what is wrong with it; ``None``: wait."""
        plain, taken = self._plain()
        announced = OVERHEAD + int.from_bytes(plain[4:HEADER_SIZE], "big")
        if len(plain) >= HEADER_SIZE and announced > self._max_packet_size:
            # Refuse before buffering: a peer must not choose our memory use.
            return self._flaw(Fault.OVERSIZED_PACKET)
        if len(plain) < HEADER_SIZE + CRC_SIZE or len(plain) < announced:
            return self._flaw(Fault.TRUNCATED) if self._silent else None
        packet, end = decode_plain(plain)
        if packet is None:
            return self._flaw(Fault.BAD_CRC)
        del self._buffer[: taken or end]
        self._hunting = False
        return packet

    def _plain(self) -> tuple[bytes, int]:
        """Return the packet's octets as far as they are there, and the raw octets they took.

        0 raw octets taken: as many as the packet has.
        """
        raw = bytes(self._buffer[: 2 * self._max_packet_size])
        if not self._transparency or len(raw) < HEADER_SIZE or not raw[2] & TRANSPARENCY:
            return raw[: self._max_packet_size], 0
        return _unescaped(raw)

    def _flaw(self, fault: Fault) -> Flaw:
        """Give up the first octet and hunt from the next."""
        answerable = not self._hunting
        self._hunting = True
        del self._buffer[:1]
        return Flaw(fault, answerable)


def _unescaped(raw: bytes) -> tuple[bytes, int]:
    """Return one transparent packet unescaped, and how many octets of ``raw`` it took."""
    header = unescape(raw, HEADER_SIZE)
    size = OVERHEAD + int.from_bytes(header[4:], "big")
    plain = unescape(raw, size)
    taken = len(plain)
    position = 3
    for _ in range(taken - 3):
        position += 2 if raw[position] == ESCAPE else 1
    return plain, position
