"""A-XDR octets to `Data`: one reader per tag, chosen by table."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error
from typing import Final, TypeAlias

from protocols.dlms.axdr.description import read_description
from protocols.dlms.axdr.fixed import FIXED_FORMATS, FIXED_OCTETS, MAX_DEPTH
from protocols.dlms.axdr.length import read_length, read_octets
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import NULL, BitString, CompactArray, Data, DataType

Reader: TypeAlias = Callable[[bytes, int, int], tuple[Data, int]]
"""(buffer, offset after the tag, depth) -> (value, where it ends)."""


def read_data(buffer: bytes, offset: int, depth: int = 0) -> tuple[Data, int]:
    """Return the `Data` at ``offset`` and where it ends, or raise `Problem`."""
    try:
        tag = buffer[offset]
    except IndexError:
        raise Problem("truncated before a tag") from None
    return _READERS[tag](buffer, offset + 1, depth)


def read_untagged(kind: DataType, buffer: bytes, offset: int) -> tuple[Data, int]:
    """Return the value of type ``kind`` at ``offset``, which has no tag there."""
    return _READERS[kind](buffer, offset, 0)


def _items(name: str, buffer: bytes, offset: int, depth: int) -> tuple[tuple[Data, ...], int]:
    count, offset = read_length(buffer, offset)
    # Every item takes an octet at least, so an announced count costs its sender as much as us.
    if count > len(buffer) - offset:
        raise Problem(f"{name} of {count} announced, {len(buffer) - offset} octets there")
    if depth >= MAX_DEPTH:
        raise Problem(f"nested deeper than {MAX_DEPTH}")
    items: list[Data] = []
    append, readers, inside = items.append, _READERS, depth + 1
    try:
        for _ in range(count):
            item, offset = readers[buffer[offset]](buffer, offset + 1, inside)
            append(item)
    except IndexError:
        raise Problem("truncated before a tag").inside(f"{name}[{len(items)}]") from None
    except Problem as problem:
        raise problem.inside(f"{name}[{len(items)}]") from None
    return tuple(items), offset


def _array(buffer: bytes, offset: int, depth: int) -> tuple[Data, int]:
    items, end = _items("array", buffer, offset, depth)
    return Data(DataType.ARRAY, items), end


def _structure(buffer: bytes, offset: int, depth: int) -> tuple[Data, int]:
    items, end = _items("structure", buffer, offset, depth)
    return Data(DataType.STRUCTURE, items), end


def _null(_buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    return NULL, offset


def _dont_care(_buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    return Data(DataType.DONT_CARE), offset


def _boolean(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    try:
        octet = buffer[offset]
    except IndexError:
        raise Problem("truncated inside boolean") from None
    # Any octet but 0 is true; one that is not 1 is kept, so that it is written back as it came.
    return Data(DataType.BOOLEAN, octet if octet > 1 else bool(octet)), offset + 1


def _octet_string(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    octets, end = read_octets(buffer, offset)
    return Data(DataType.OCTET_STRING, octets), end


def _visible_string(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    octets, end = read_octets(buffer, offset)
    # Latin-1 keeps every octet, also of a meter that ignores that ASCII is meant.
    return Data(DataType.VISIBLE_STRING, octets.decode("latin-1")), end


def _utf8_string(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    octets, end = read_octets(buffer, offset)
    try:
        return Data(DataType.UTF8_STRING, octets.decode("utf-8")), end
    except UnicodeDecodeError as exc:
        raise Problem(f"utf8-string: {exc.reason}") from exc


def _bit_string(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    size, start = read_length(buffer, offset)
    end = start + (size + 7) // 8
    if end > len(buffer):
        raise Problem(f"bit-string of {size} bits announced, {len(buffer) - start} octets there")
    return Data(DataType.BIT_STRING, BitString(size, buffer[start:end])), end


def _compact_array(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
    _, start = read_description(buffer, offset)
    contents, end = read_octets(buffer, start)
    return Data(DataType.COMPACT_ARRAY, CompactArray(buffer[offset:start], contents)), end


def _fixed(kind: DataType, layout: str) -> Reader:
    compiled = Struct(">" + layout)
    unpack, size = compiled.unpack_from, compiled.size

    def read(buffer: bytes, offset: int, _depth: int) -> tuple[Data, int]:
        try:
            return Data(kind, unpack(buffer, offset)[0]), offset + size
        except error:
            raise Problem(f"truncated inside {kind.name.lower()}") from None

    return read


def _refuse(tag: int) -> Reader:
    def read(_buffer: bytes, _offset: int, _depth: int) -> tuple[Data, int]:
        raise Problem(f"unknown tag {tag:#04x}")

    return read


_BY_TYPE: Final[dict[DataType, Reader]] = {
    DataType.NULL_DATA: _null,
    DataType.ARRAY: _array,
    DataType.STRUCTURE: _structure,
    DataType.BOOLEAN: _boolean,
    DataType.BIT_STRING: _bit_string,
    DataType.OCTET_STRING: _octet_string,
    DataType.VISIBLE_STRING: _visible_string,
    DataType.UTF8_STRING: _utf8_string,
    DataType.COMPACT_ARRAY: _compact_array,
    DataType.DONT_CARE: _dont_care,
    **{kind: _fixed(kind, layout) for kind, layout in FIXED_FORMATS.items()},
    **{kind: _fixed(kind, f"{size}s") for kind, size in FIXED_OCTETS.items()},
}
_KINDS: Final = {kind.value: kind for kind in DataType}
_READERS: Final = tuple(
    _BY_TYPE[_KINDS[tag]] if tag in _KINDS else _refuse(tag) for tag in range(256)
)
