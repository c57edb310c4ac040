"""C12.22 over IP: APDUs in a byte stream, and one APDU a datagram (RFC 6142).

TCP has no frame of its own: the outer BER length is the frame. So a stream in which anything but
an APDU follows has lost its framing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.acse import APDU_TAG
from protocols.errors import CodecError

PORT: Final = 1153
DEFAULT_MAX_APDU_SIZE: Final = 2048
UDP_SIZE_IPV4: Final = 576
UDP_SIZE_IPV6: Final = 1280
"""What a datagram may hold when nothing is known of the path; IP and UDP headers included."""

CODEC: Final = "C12.22 framing"
_LONG_FORM: Final = 0x80
_MAX_LENGTH_SIZE: Final = 4


MAX_SKIPPED: Final = 1 << 24
HEAD_SIZE: Final = 256
"""What is kept of an oversized APDU: enough for a header, so that it can be answered."""


@dataclass(frozen=True, slots=True)
class Oversized:
    """An APDU of ``size`` octets, more than allowed; ``head`` is its first `HEAD_SIZE` octets."""

    size: int
    head: bytes


class ApduReader:
    """Cuts a byte stream into APDUs. Feed it any split of the stream.

    An APDU that is longer than ``max_apdu_size`` is skipped as it comes, without being kept: it
    must be answered with REQUEST_TOO_LARGE, and the stream goes on behind it. After a `CodecError`
    the stream has lost its framing: the reader refuses from then on.
    """

    def __init__(self, *, max_apdu_size: int = DEFAULT_MAX_APDU_SIZE) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._to_skip = 0
        self._max_apdu_size = max_apdu_size

    def feed(self, data: bytes) -> None:
        """Append octets from the stream."""
        # Consumed octets go once per feed, not once per APDU.
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def next_apdu(self) -> bytes | Oversized | None:
        """Return the next APDU, tag and length included, or ``None`` when more is needed.

        Raises:
            CodecError: no APDU there, or one of more than `MAX_SKIPPED` octets.
        """
        self._skip()
        size = _announced_size(self._buffer, self._offset)
        if size is None or self._to_skip:
            return None
        if size > self._max_apdu_size:
            return self._oversized(size)
        return self._take(size) if self.buffered >= size else None

    def _oversized(self, size: int) -> Oversized | None:
        # Refuse before buffering: a peer must not choose our memory use.
        if size > MAX_SKIPPED:
            raise CodecError(f"APDU of {size} octets", codec=CODEC, path="length")
        kept = min(size, HEAD_SIZE)
        if self.buffered < kept:
            return None
        head = self._take(kept)
        self._to_skip = size - kept
        self._skip()
        return Oversized(size, head)

    def _skip(self) -> None:
        skipped = min(self._to_skip, self.buffered)
        if skipped:
            self._to_skip -= skipped
            self._advance(skipped)

    def _take(self, size: int) -> bytes:
        octets = bytes(memoryview(self._buffer)[self._offset : self._offset + size])
        self._advance(size)
        return octets

    def _advance(self, size: int) -> None:
        self._offset += size
        if self._offset == len(self._buffer):
            # An idle connection holds no memory: there are thousands of them.
            self._buffer.clear()
            self._offset = 0

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their APDU."""
        return len(self._buffer) - self._offset

    @property
    def is_cut(self) -> bool:
        """Whether the end of the stream, now, would cut an APDU."""
        return self.buffered > 0 or self._to_skip > 0


def read_datagram(data: bytes, *, max_apdu_size: int = DEFAULT_MAX_APDU_SIZE) -> bytes | Oversized:
    """Return the APDU that ``data`` is.

    Raises:
        CodecError: no APDU, part of one, or more than one.
    """
    size = _announced_size(data, 0)
    if size != len(data):
        what = f"{size} octets announced, {len(data)} there"
        raise CodecError(what, codec=CODEC, path="length")
    return Oversized(size, data[:HEAD_SIZE]) if size > max_apdu_size else data


def _announced_size(data: bytes | bytearray, offset: int) -> int | None:
    """Return the size of the APDU at ``offset`` in all, or ``None`` before it is known."""
    there = len(data) - offset
    if there and data[offset] != APDU_TAG:
        raise CodecError(f"tag {data[offset]:#04x} is no APDU's", codec=CODEC, path="tag")
    if there < 2:
        return None
    first = data[offset + 1]
    if first < _LONG_FORM:
        return 2 + first
    count = first & ~_LONG_FORM
    if not 1 <= count <= _MAX_LENGTH_SIZE:
        raise CodecError(f"a length of the form {first:#04x}", codec=CODEC, path="length")
    if there < 2 + count:
        return None
    return 2 + count + int.from_bytes(data[offset + 2 : offset + 2 + count], "big")
