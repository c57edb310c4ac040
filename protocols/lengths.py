"""Bodies behind their length (u32), whatever they hold.

A peer never chooses our memory use: a length over the bound is refused unread.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from protocols.errors import CodecError

Byteorder: TypeAlias = Literal["little", "big"]
LENGTH_SIZE: Final = 4


def behind_length(body: bytes, byteorder: Byteorder) -> bytes:
    """Return ``body`` with its length before it; raises `OverflowError` beyond 32 bits."""
    return len(body).to_bytes(LENGTH_SIZE, byteorder) + body


class LengthReader:
    """Cuts a stream into bodies of at most ``max_size`` octets; ``codec`` is named in errors."""

    def __init__(self, byteorder: Byteorder, max_size: int, codec: str) -> None:
        self._byteorder: Byteorder = byteorder
        self._max_size = max_size
        self._codec = codec
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their body."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append octets, in any split."""
        self._buffer += data

    def next_body(self) -> bytes | None:
        """Return the next body; raises `CodecError` before more than the bound is buffered."""
        if len(self._buffer) < LENGTH_SIZE:
            return None
        length = int.from_bytes(self._buffer[:LENGTH_SIZE], self._byteorder)
        if length > self._max_size:
            raise CodecError(f"{length} octets announced", codec=self._codec, path="length")
        end = LENGTH_SIZE + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[LENGTH_SIZE:end])
        del self._buffer[:end]
        return body
