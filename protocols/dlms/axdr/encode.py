"""`Data` to A-XDR octets: one writer per type, chosen by table."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error
from typing import Any, Final, TypeAlias

from protocols.dlms.axdr.description import read_description
from protocols.dlms.axdr.fixed import FIXED_FORMATS, FIXED_OCTETS, MAX_DEPTH
from protocols.dlms.axdr.length import write_length
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import BitString, CompactArray, Data, DataType

Writer: TypeAlias = Callable[[Any, bytearray, int], None]
"""(value, where to append tag and value, depth)."""


def write_data(data: Data, out: bytearray, depth: int = 0) -> None:
    """Append ``data`` encoded to ``out``, or raise `Problem`."""
    _WRITERS[data.type](data.value, out, depth)


def _items(tag: int, name: str) -> Writer:
    def write(value: tuple[Data, ...], out: bytearray, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise Problem(f"nested deeper than {MAX_DEPTH}")
        _expect(value, tuple, name)
        out.append(tag)
        out += write_length(len(value))
        writers, inside, item = _WRITERS, depth + 1, None
        try:
            for item in value:
                writers[item.type](item.value, out, inside)
        except Problem as problem:
            index = next(i for i, candidate in enumerate(value) if candidate is item)
            raise problem.inside(f"{name}[{index}]") from None

    return write


def _expect(value: object, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise Problem(f"{name} of {type(value).__name__}, not {kind.__name__}")


def _nothing(tag: int) -> Writer:
    def write(value: None, out: bytearray, _depth: int) -> None:
        if value is not None:
            raise Problem(f"{DataType(tag).name.lower()} holds {value!r}")
        out.append(tag)

    return write


def _boolean(value: int, out: bytearray, _depth: int) -> None:
    _expect(value, int, "boolean")
    if not 0 <= value <= 0xFF:
        raise Problem(f"boolean of {value}")
    out += bytes((DataType.BOOLEAN, value))


def _octets(tag: int, octets: bytes, out: bytearray) -> None:
    out.append(tag)
    out += write_length(len(octets))
    out += octets


def _octet_string(value: bytes, out: bytearray, _depth: int) -> None:
    _expect(value, bytes, "octet-string")
    _octets(DataType.OCTET_STRING, value, out)


def _string(tag: int, encoding: str) -> Writer:
    def write(value: str, out: bytearray, _depth: int) -> None:
        _expect(value, str, DataType(tag).name.lower())
        try:
            octets = value.encode(encoding)
        except UnicodeEncodeError as exc:
            raise Problem(f"{DataType(tag).name.lower()}: {exc.reason}") from exc
        _octets(tag, octets, out)

    return write


def _bit_string(value: BitString, out: bytearray, _depth: int) -> None:
    _expect(value, BitString, "bit-string")
    if len(value.octets) != (value.size + 7) // 8:
        raise Problem(f"bit-string of {value.size} bits in {len(value.octets)} octets")
    out.append(DataType.BIT_STRING)
    out += write_length(value.size)
    out += value.octets


def _compact_array(value: CompactArray, out: bytearray, _depth: int) -> None:
    _expect(value, CompactArray, "compact-array")
    _, end = read_description(value.description, 0)
    if end != len(value.description):
        raise Problem("compact-array: trailing octets in the description")
    out.append(DataType.COMPACT_ARRAY)
    out += value.description
    out += write_length(len(value.contents))
    out += value.contents


def _number(tag: int, layout: str) -> Writer:
    pack = Struct(">B" + layout).pack

    def write(value: float, out: bytearray, _depth: int) -> None:
        try:
            out += pack(tag, value)
        except (error, OverflowError) as exc:
            raise Problem(f"{DataType(tag).name.lower()} of {value!r}: {exc}") from exc

    return write


def _fixed_octets(tag: int, size: int) -> Writer:
    def write(value: bytes, out: bytearray, _depth: int) -> None:
        _expect(value, bytes, DataType(tag).name.lower())
        if len(value) != size:
            raise Problem(f"{DataType(tag).name.lower()} of {len(value)} octets, not {size}")
        out.append(tag)
        out += value

    return write


def _refuse(value: object, _out: bytearray, _depth: int) -> None:
    raise Problem(f"no such type for {value!r}")


_BY_TYPE: Final[dict[DataType, Writer]] = {
    DataType.NULL_DATA: _nothing(DataType.NULL_DATA),
    DataType.ARRAY: _items(DataType.ARRAY, "array"),
    DataType.STRUCTURE: _items(DataType.STRUCTURE, "structure"),
    DataType.BOOLEAN: _boolean,
    DataType.BIT_STRING: _bit_string,
    DataType.OCTET_STRING: _octet_string,
    DataType.VISIBLE_STRING: _string(DataType.VISIBLE_STRING, "latin-1"),
    DataType.UTF8_STRING: _string(DataType.UTF8_STRING, "utf-8"),
    DataType.COMPACT_ARRAY: _compact_array,
    DataType.DONT_CARE: _nothing(DataType.DONT_CARE),
    **{kind: _number(kind, layout) for kind, layout in FIXED_FORMATS.items()},
    **{kind: _fixed_octets(kind, size) for kind, size in FIXED_OCTETS.items()},
}
_KINDS: Final = {kind.value: kind for kind in DataType}
# A tuple, not a dict: hashing an IntEnum is a Python call, indexing with one is not.
_WRITERS: Final = tuple(_BY_TYPE[_KINDS[tag]] if tag in _KINDS else _refuse for tag in range(256))
