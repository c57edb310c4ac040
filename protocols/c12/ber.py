"""The BER that C12.22 is framed in: one-octet tags, definite lengths, unsigned integers.

Lengths go through the codec that DLMS uses; both standards take them from ISO/IEC 8825-1. Two
things differ from BER proper, as the peers do it: an INTEGER is unsigned and carries no octet for
a sign, and at most four octets.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.axdr.length import read_length, write_length
from protocols.dlms.axdr.problem import Problem
from protocols.errors import CodecError

CODEC: Final = "C12.22"

INTEGER: Final = 0x02
OBJECT_IDENTIFIER: Final = 0x06
MAX_INTEGER_SIZE: Final = 4
_HIGH_TAG: Final = 0x1F


def element(tag: int, content: bytes) -> bytes:
    """Return one element; ``tag`` is one octet."""
    return bytes((tag,)) + write_length(len(content)) + content


def length(size: int) -> bytes:
    """Return ``size`` as a length in its shortest form."""
    return write_length(size)


def read_size(data: bytes, offset: int, end: int, path: str) -> tuple[int, int]:
    """Return where the content after the length at ``offset`` starts and stops.

    Raises:
        CodecError: no length there, an indefinite one, or one that leaves ``data[:end]``.
    """
    try:
        size, start = read_length(data, offset)
    except Problem as problem:
        raise CodecError(problem.message, codec=CODEC, path=path) from None
    stop = start + size
    if stop > end:
        what = f"{size} octets announced, {max(end - start, 0)} there"
        raise CodecError(what, codec=CODEC, path=path)
    return start, stop


def read_element(data: bytes, offset: int, end: int, path: str) -> tuple[int, int, int]:
    """Return tag, start and stop of the element at ``offset``; raises `CodecError`."""
    if offset >= end:
        raise CodecError("an element is missing", codec=CODEC, path=path)
    tag = data[offset]
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise CodecError(f"tag {tag:#04x} of several octets", codec=CODEC, path=path)
    start, stop = read_size(data, offset + 1, end, path)
    return tag, start, stop


def read_only(tag: int, data: bytes, path: str) -> bytes:
    """Return the content of the one element that ``data`` is; raises `CodecError` otherwise."""
    found, start, stop = read_element(data, 0, len(data), path)
    if found != tag or stop != len(data):
        what = f"one element {tag:#04x} goes here, not {found:#04x} and {len(data) - stop} octets"
        raise CodecError(what, codec=CODEC, path=path)
    return data[start:]


def unsigned(value: int, path: str) -> bytes:
    """Return ``value`` (u32) in as few octets as hold it; raises `CodecError`."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise CodecError(f"{value} in 32 bits", codec=CODEC, path=path)
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def read_unsigned(octets: bytes, path: str) -> int:
    """Return the value of an INTEGER's 1..4 octets; raises `CodecError`."""
    if not 1 <= len(octets) <= MAX_INTEGER_SIZE:
        raise CodecError(f"an integer of {len(octets)} octets", codec=CODEC, path=path)
    return int.from_bytes(octets, "big")
