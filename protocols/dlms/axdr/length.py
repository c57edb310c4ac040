"""A-XDR lengths and counts: one octet below 128, else 0x81..0x84 and that many octets.

Source: IEC 61334-6, "encoding of the length field". We write the shortest form. Longer forms
(``81 05``) are legal BER and real meters write them, so they are read; re-encoding then gives
the shortest form, the one case besides non-quiet float NaNs in which octets change.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.axdr.problem import Problem

MAX_LENGTH: Final = 0xFFFF_FFFF
_SHORT: Final = tuple(bytes((length,)) for length in range(0x80))


def write_length(length: int) -> bytes:
    """Return ``length`` encoded, or raise `Problem`."""
    if 0 <= length < 0x80:
        return _SHORT[length]
    if not 0 <= length <= MAX_LENGTH:
        raise Problem(f"a length of {length}")
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def read_length(buffer: bytes, offset: int) -> tuple[int, int]:
    """Return the length at ``offset`` and where it ends, or raise `Problem`."""
    try:
        first = buffer[offset]
    except IndexError:
        raise Problem("truncated before a length") from None
    if first < 0x80:
        return first, offset + 1
    size = first & 0x7F
    if not 1 <= size <= 4:
        raise Problem(f"a length of the form {first:#04x}")
    end = offset + 1 + size
    if end > len(buffer):
        raise Problem("truncated inside a length")
    return int.from_bytes(buffer[offset + 1 : end], "big"), end


def read_octets(buffer: bytes, offset: int) -> tuple[bytes, int]:
    """Return the octets at ``offset`` after their length, and where they end."""
    length, start = read_length(buffer, offset)
    end = start + length
    if end > len(buffer):
        raise Problem(f"{length} octets announced, {len(buffer) - start} there")
    return buffer[start:end], end
