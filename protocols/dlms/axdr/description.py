"""The type description of a compact-array: types without values.

Source: IEC 62056-5-3 (Green Book 9.5, ASN.1 "TypeDescription")::

    array      01 | number of elements (u16) | description of one element
    structure  02 | count (length) | that many descriptions
    others     their tag
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlms.axdr.fixed import MAX_DEPTH
from protocols.dlms.axdr.length import read_length, write_length
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import DataType

_TYPES: Final = {kind.value: kind for kind in DataType if kind is not DataType.COMPACT_ARRAY}


@dataclass(frozen=True, slots=True)
class TypeDescription:
    """One type; ``members`` of a structure, or the one element type of an array of ``count``."""

    type: DataType
    count: int = 0
    members: tuple[TypeDescription, ...] = ()


def read_description(buffer: bytes, offset: int, depth: int = 0) -> tuple[TypeDescription, int]:
    """Return the description at ``offset`` and where it ends, or raise `Problem`."""
    if offset >= len(buffer):
        raise Problem("truncated inside a type description")
    kind = _TYPES.get(buffer[offset])
    if kind is None:
        raise Problem(f"unknown tag {buffer[offset]:#04x} in a type description")
    if depth >= MAX_DEPTH:
        raise Problem(f"type description nested deeper than {MAX_DEPTH}")
    if kind is DataType.ARRAY:
        return _read_array(buffer, offset + 1, depth)
    if kind is DataType.STRUCTURE:
        return _read_structure(buffer, offset + 1, depth)
    return TypeDescription(kind), offset + 1


def _read_array(buffer: bytes, offset: int, depth: int) -> tuple[TypeDescription, int]:
    element, end = read_description(buffer, offset + 2, depth + 1)
    count = int.from_bytes(buffer[offset : offset + 2], "big")
    return TypeDescription(DataType.ARRAY, count, (element,)), end


def _read_structure(buffer: bytes, offset: int, depth: int) -> tuple[TypeDescription, int]:
    count, offset = read_length(buffer, offset)
    if count > len(buffer) - offset:
        raise Problem(f"type description of {count} members announced")
    members: list[TypeDescription] = []
    for _ in range(count):
        member, offset = read_description(buffer, offset, depth + 1)
        members.append(member)
    return TypeDescription(DataType.STRUCTURE, count, tuple(members)), offset


def write_description(description: TypeDescription) -> bytes:
    """Return ``description`` encoded, or raise `Problem`."""
    tag = bytes((description.type,))
    members = b"".join(write_description(member) for member in description.members)
    if description.type is DataType.ARRAY:
        if description.count > 0xFFFF:
            raise Problem(f"an inner array of {description.count}, at most 65535 fit")
        return tag + description.count.to_bytes(2, "big") + members
    if description.type is DataType.STRUCTURE:
        return tag + write_length(len(description.members)) + members
    return tag
