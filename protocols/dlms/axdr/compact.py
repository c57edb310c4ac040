"""Compact arrays: the types once, then the values packed without tags.

Source: IEC 62056-6-2 (Blue Book 4.1.5), IEC 62056-5-3 (Green Book 9.5). Every element must have
the shape of the first: the same types, inner arrays of the same length. null-data and don't-care
take no octets, so they cannot stand for a missing value in some rows only.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.axdr.decode import read_untagged
from protocols.dlms.axdr.description import TypeDescription, read_description, write_description
from protocols.dlms.axdr.encode import write_data
from protocols.dlms.axdr.fixed import MAX_DEPTH
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import CompactArray, Data, DataType

VALUES_PER_OCTET: Final = 16
FREE_VALUES: Final = 256
"""A description of a few octets can announce millions of values that take none. So contents of
n octets expand to ``FREE_VALUES + n * VALUES_PER_OCTET`` values at most."""


class _Expansion:
    """Reads values by description and counts them against the bound."""

    def __init__(self, contents: bytes) -> None:
        self.contents = contents
        self.offset = 0
        self._left = FREE_VALUES + len(contents) * VALUES_PER_OCTET

    def value(self, description: TypeDescription) -> Data:
        self._left -= 1
        if self._left < 0:
            raise Problem("expands to too many values")
        if description.type is DataType.STRUCTURE:
            return self._several(description.type, description.members)
        if description.type is DataType.ARRAY:
            if description.count > self._left:
                raise Problem("expands to too many values")
            return self._several(description.type, description.members * description.count)
        data, self.offset = read_untagged(description.type, self.contents, self.offset)
        return data

    def _several(self, kind: DataType, descriptions: tuple[TypeDescription, ...]) -> Data:
        items: list[Data] = []
        try:
            for description in descriptions:
                items.append(self.value(description))  # noqa: PERF401 - errors count items
        except Problem as problem:
            raise problem.inside(f"{kind.name.lower()}[{len(items)}]") from None
        return Data(kind, tuple(items))


def expand(compact: CompactArray) -> Data:
    """Return the array that ``compact`` stands for, or raise `Problem`."""
    description, end = read_description(compact.description, 0)
    if end != len(compact.description):
        raise Problem("trailing octets in the description")
    expansion = _Expansion(compact.contents)
    items: list[Data] = []
    try:
        while expansion.offset < len(compact.contents):
            before = expansion.offset
            items.append(expansion.value(description))
            if expansion.offset == before:
                raise Problem("contents for elements that take none")
    except Problem as problem:
        raise problem.inside(f"array[{len(items)}]") from None
    return Data(DataType.ARRAY, tuple(items))


def compress(data: Data) -> CompactArray:
    """Return the compact form of the array ``data``, or raise `Problem`."""
    if data.type is not DataType.ARRAY or not isinstance(data.value, tuple):
        raise Problem(f"{data.type.name.lower()} is no array")
    if not data.value:
        return CompactArray(write_description(TypeDescription(DataType.NULL_DATA)), b"")
    description = _describe(data.value[0], 0)
    out = bytearray()
    for index, item in enumerate(data.value):
        try:
            _pack(item, description, out)
        except Problem as problem:
            raise problem.inside(f"array[{index}]") from None
    if not out:
        raise Problem("elements that take no octets cannot be counted in a compact array")
    return CompactArray(write_description(description), bytes(out))


def _describe(data: Data, depth: int) -> TypeDescription:
    if depth >= MAX_DEPTH:
        raise Problem(f"nested deeper than {MAX_DEPTH}")
    if not isinstance(data.value, tuple):
        return TypeDescription(data.type)
    if data.type is DataType.STRUCTURE:
        members = tuple(_describe(item, depth + 1) for item in data.value)
        return TypeDescription(data.type, len(members), members)
    element = (
        _describe(data.value[0], depth + 1) if data.value else TypeDescription(DataType.NULL_DATA)
    )
    return TypeDescription(data.type, len(data.value), (element,))


def _pack(data: Data, description: TypeDescription, out: bytearray) -> None:
    if data.type is not description.type or data.type is DataType.COMPACT_ARRAY:
        raise Problem(f"{data.type.name.lower()} where {description.type.name.lower()} goes")
    if not isinstance(data.value, tuple):
        tagged = bytearray()
        write_data(data, tagged)
        out += memoryview(tagged)[1:]
        return
    if len(data.value) != description.count:
        raise Problem(f"{len(data.value)} items where {description.count} go")
    is_array = description.type is DataType.ARRAY
    for index, item in enumerate(data.value):
        try:
            _pack(item, description.members[0 if is_array else index], out)
        except Problem as problem:
            raise problem.inside(f"{data.type.name.lower()}[{index}]") from None
