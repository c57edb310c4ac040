"""C12.22 over IP: APDUs in a byte stream, and one APDU a datagram (RFC 6142).

TCP has no frame of its own: the outer BER length is the frame. So a stream that starts with
anything but an APDU has lost its framing, and so has one whose length we refuse.
"""

from __future__ import annotations

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


class OversizedError(CodecError):
    """An APDU of ``size`` octets is announced, more than ``limit``: what REQUEST_TOO_LARGE says."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"APDU of {size} octets, {limit} at most", codec=CODEC, path="length")
        self.size = size
        self.limit = limit


class ApduReader:
    """Cuts a byte stream into APDUs. Feed it any split of the stream.

    After a `CodecError` the stream has lost its framing: the reader refuses from then on.
    """

    def __init__(self, *, max_apdu_size: int = DEFAULT_MAX_APDU_SIZE) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._max_apdu_size = max_apdu_size

    def feed(self, data: bytes) -> None:
        """Append octets from the stream."""
        # Consumed octets go once per feed, not once per APDU.
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def next_apdu(self) -> bytes | None:
        """Return the next whole APDU, tag and length included, or ``None`` when more is needed.

        Raises:
            OversizedError: more announced than ``max_apdu_size``; known from the length alone,
                before anything is buffered for it.
            CodecError: no APDU there.
        """
        size = _announced_size(self._buffer, self._offset)
        if size is None:
            return None
        if size > self._max_apdu_size:
            # Refuse before buffering: a peer must not choose our memory use.
            raise OversizedError(size, self._max_apdu_size)
        end = self._offset + size
        if len(self._buffer) < end:
            return None
        apdu = bytes(memoryview(self._buffer)[self._offset : end])
        self._offset = end
        if end == len(self._buffer):
            # An idle connection holds no memory: there are thousands of them.
            self._buffer.clear()
            self._offset = 0
        return apdu

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their APDU; at the end of a stream, a cut."""
        return len(self._buffer) - self._offset


def check_datagram(data: bytes, *, max_apdu_size: int = DEFAULT_MAX_APDU_SIZE) -> bytes:
    """Return ``data``, which is exactly one APDU.

    Raises:
        OversizedError: longer than ``max_apdu_size``.
        CodecError: no APDU, part of one, or more than one.
    """
    size = _announced_size(data, 0)
    if size is not None and size > max_apdu_size:
        raise OversizedError(size, max_apdu_size)
    if size != len(data):
        what = f"{size} octets announced, {len(data)} there"
        raise CodecError(what, codec=CODEC, path="length")
    return data


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
