"""The little of BER that ACSE needs: elements of tag, length, value (ISO/IEC 8825-1).

Definite lengths only: an indefinite one would let a peer keep us reading. Every value lies within
its announced length, and every announced length within its container.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.axdr.length import read_octets, write_length
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import BitString

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
_HIGH_TAG: Final = 0x1F
_MORE: Final = 0x80
_MAX_INTEGER_SIZE: Final = 4


def write_element(tag: int, value: bytes) -> bytes:
    """Return one element; ``tag`` is one octet."""
    return bytes((tag,)) + write_length(len(value)) + value


def read_elements(buffer: bytes) -> list[tuple[int, bytes]]:
    """Return the elements that ``buffer`` consists of, tags of several octets as one number."""
    elements: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(buffer):
        tag, offset = _read_tag(buffer, offset)
        value, offset = read_octets(buffer, offset)
        elements.append((tag, value))
    return elements


def _read_tag(buffer: bytes, offset: int) -> tuple[int, int]:
    tag = octet = buffer[offset]
    offset += 1
    if tag & _HIGH_TAG != _HIGH_TAG:
        return tag, offset
    for octet in buffer[offset : offset + 2]:
        tag, offset = tag << 8 | octet, offset + 1
        if not octet & _MORE:
            return tag, offset
    raise Problem("a tag that does not end")


def read_only_element(tag: int, buffer: bytes) -> bytes:
    """Return the value of the one element in ``buffer``, which must have ``tag``."""
    elements = read_elements(buffer)
    if len(elements) != 1 or elements[0][0] != tag:
        found = ", ".join(f"{found:#04x}" for found, _ in elements)
        raise Problem(f"one element {tag:#04x} goes here, not [{found}]")
    return elements[0][1]


def write_integer(value: int) -> bytes:
    """Return the shortest two's complement of ``value`` (i32)."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    if size > _MAX_INTEGER_SIZE:
        raise Problem(f"an integer of {value}")
    return value.to_bytes(size, "big", signed=True)


def read_integer(octets: bytes) -> int:
    """Return the two's complement in ``octets`` (1..4 of them)."""
    if not 1 <= len(octets) <= _MAX_INTEGER_SIZE:
        raise Problem(f"an integer of {len(octets)} octets")
    return int.from_bytes(octets, "big", signed=True)


def write_bits(bits: BitString) -> bytes:
    """Return the content octets of a bit string: unused bits, then the octets."""
    if len(bits.octets) != (bits.size + 7) // 8:
        raise Problem(f"{bits.size} bits in {len(bits.octets)} octets")
    return bytes((-bits.size % 8,)) + bits.octets


def read_bits(octets: bytes) -> BitString:
    """Return the bit string whose content octets are given."""
    if not octets or octets[0] > 7 or (len(octets) == 1 and octets[0]):
        raise Problem("a malformed bit string")
    return BitString((len(octets) - 1) * 8 - octets[0], octets[1:])
