"""The framing between Meterstorm's own processes: a length and one msgpack map.

Locust bridge, head-end control, HTTP API and command submission all speak it over Unix sockets
and socket pairs::

    length (u32, big-endian) | one msgpack map

A length over ``MAX_MESSAGE_SIZE`` is refused unread. Integers beyond msgpack's 64 bits, such as the
nanojoules of a month, are extensions of type 1: the integer in two's complement, big-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgpack

from protocols.errors import CodecError
from protocols.lengths import LengthReader, behind_length

Message: TypeAlias = Mapping[Any, Any]

MAX_MESSAGE_SIZE: Final = 64 * 1024 * 1024
WIDE_INTEGER: Final = 1
WIDE_SIZE_MAX: Final = 32
"""Octets of a wide integer."""


def encode_message(message: Message) -> bytes:
    """Return ``message`` framed. Raises `CodecError` when it is too large or not encodable."""
    try:
        body: bytes = msgpack.packb(message, default=_wide)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(str(error), codec="message") from error
    if len(body) > MAX_MESSAGE_SIZE:
        raise CodecError(f"{len(body)} octets", codec="message", path="length")
    return behind_length(body, "big")


class MessageReader:
    """Cuts a byte stream into messages. Feed it any split of the stream."""

    def __init__(self, *, max_message_size: int = MAX_MESSAGE_SIZE) -> None:
        self._bodies = LengthReader("big", max_message_size, "message")

    def feed(self, data: bytes) -> None:
        """Append octets from the stream."""
        self._bodies.feed(data)

    def next_message(self) -> Message | None:
        """Return the next whole message, or ``None`` when more octets are needed.

        Raises:
            CodecError: the announced length is over the bound, or the body is no msgpack map.
        """
        body = self._bodies.next_body()
        return None if body is None else _decode_body(body)


def _decode_body(body: bytes) -> Message:
    try:
        message = msgpack.unpackb(body, strict_map_key=False, ext_hook=_extension)
    except (TypeError, ValueError, msgpack.exceptions.UnpackException) as error:
        raise CodecError(str(error) or "malformed", codec="message", path="body") from error
    if not isinstance(message, dict):
        raise CodecError(f"a {type(message).__name__}, not a map", codec="message", path="body")
    return message


def _wide(value: object) -> msgpack.ExtType:
    """Return what msgpack has no type for; raises `TypeError`, `OverflowError`."""
    if not isinstance(value, int):
        raise TypeError(f"a {type(value).__name__} is no part of a message")
    size = min(value.bit_length() // 8 + 1, WIDE_SIZE_MAX)
    return msgpack.ExtType(WIDE_INTEGER, value.to_bytes(size, "big", signed=True))


def _extension(code: int, data: bytes) -> int:
    if code != WIDE_INTEGER or len(data) > WIDE_SIZE_MAX:
        raise ValueError(f"an extension of type {code}, {len(data)} octets")
    return int.from_bytes(data, "big", signed=True)
