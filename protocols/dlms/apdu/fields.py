"""The construct pieces that APDU declarations are written with.

Each stands for one notation of the ASN.1 in IEC 62056-5-3 (Green Book 9.5) under A-XDR. Errors
carry construct's path, list items numbered, so that a `CodecError` can name the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from construct import Adapter, Construct, ConstructError, Flag, Int8sb, Int8ub, Int16ub, Struct
from construct import Bytes as FixedBytes

from protocols.dlms.apdu.descriptors import (
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    SelectiveAccess,
)
from protocols.dlms.axdr.decode import read_data
from protocols.dlms.axdr.encode import write_data
from protocols.dlms.axdr.length import read_length, read_octets, write_length
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import Data

if TYPE_CHECKING:
    _Construct = Construct[Any, Any]
    _Adapter = Adapter[Any, Any, Any, Any]
else:  # construct's classes are generic in their stubs only
    _Construct, _Adapter = Construct, Adapter


def _refuse(problem: Problem, path: str) -> NoReturn:
    steps = "".join(f" -> {step}" for step in reversed(problem.steps))
    raise ConstructError(problem.message, path=path + steps) from problem


class _Whole(_Construct):
    """A construct over one of the A-XDR readers and writers, which work on whole buffers."""

    def __init__(
        self,
        read: Callable[[bytes, int], tuple[Any, int]],
        write: Callable[[Any, bytearray], None],
    ) -> None:
        super().__init__()
        self._read, self._write = read, write

    def _parse(self, stream: Any, _context: object, path: str) -> Any:  # noqa: ANN401
        try:
            # getvalue() of an unchanged BytesIO is its own buffer: no copy.
            value, end = self._read(stream.getvalue(), stream.tell())
        except Problem as problem:
            _refuse(problem, path)
        stream.seek(end)
        return value

    def _build(self, obj: Any, stream: Any, _context: object, path: str) -> Any:  # noqa: ANN401
        out = bytearray()
        try:
            self._write(obj, out)
        except Problem as problem:
            _refuse(problem, path)
        stream.write(out)
        return obj


def _write_octets(value: bytes, out: bytearray) -> None:
    out += write_length(len(value))
    out += value


def _write_count(value: int, out: bytearray) -> None:
    out += write_length(value)


DATA: Final = _Whole(read_data, write_data)
"""One COSEM `Data`."""

OCTETS: Final = _Whole(read_octets, _write_octets)
"""OCTET STRING of any length."""

_COUNT: Final = _Whole(read_length, _write_count)


class SequenceOf(_Construct):
    """SEQUENCE OF: a count and that many; a tuple on our side."""

    def __init__(self, item: Any) -> None:  # noqa: ANN401 - construct's edge
        super().__init__()
        self._item = item

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[Any, ...]:  # noqa: ANN401
        count = _COUNT._parsereport(stream, context, path)
        there = len(stream.getvalue()) - stream.tell()
        # Refuse before looping: every item takes an octet at least.
        if count > there:
            raise ConstructError(f"{count} items announced, {there} octets there", path=path)
        parse = self._item._parsereport
        return tuple(parse(stream, context, f"{path}[{i}]") for i in range(count))

    def _build(self, obj: tuple[Any, ...], stream: Any, context: Any, path: str) -> Any:  # noqa: ANN401
        _COUNT._build(len(obj), stream, context, path)
        for index, item in enumerate(obj):
            self._item._build(item, stream, context, f"{path}[{index}]")
        return obj


class Choice(_Construct):
    """CHOICE: an octet that says which; ``pick`` says which a value of ours is."""

    def __init__(self, choices: dict[int, Any], pick: Callable[[Any], int]) -> None:
        super().__init__()
        self._choices, self._pick = choices, pick

    def _parse(self, stream: Any, context: Any, path: str) -> Any:  # noqa: ANN401
        which = Int8ub._parsereport(stream, context, path)
        if which not in self._choices:
            raise ConstructError(f"choice {which:#04x}", path=path)
        chosen = self._choices[which]
        return None if chosen is None else chosen._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:  # noqa: ANN401
        which = self._pick(obj)
        Int8ub._build(which, stream, context, path)
        chosen = self._choices[which]
        if chosen is not None:
            chosen._build(obj, stream, context, path)
        return obj


def optional(item: Any) -> Choice:  # noqa: ANN401 - construct's edge
    """OPTIONAL: 0 for absent (``None``), 1 and the item for present."""
    return Choice({0: None, 1: item}, lambda value: int(value is not None))


class Record(_Adapter):
    """A SEQUENCE as one of our dataclasses, or as a tuple when ``kind`` says so."""

    def __init__(self, kind: Callable[..., Any], *fields: Any) -> None:  # noqa: ANN401
        struct: Any = Struct(*fields)
        super().__init__(struct)
        self._kind = kind
        self._names = tuple(field.name for field in fields if field.name is not None)

    def _decode(self, obj: Any, _context: object, _path: object) -> Any:  # noqa: ANN401
        return self._kind(**{name: obj[name] for name in self._names})

    def _encode(self, obj: Any, _context: object, _path: object) -> dict[str, Any]:  # noqa: ANN401
        if isinstance(obj, tuple):
            return dict(zip(self._names, obj, strict=True))
        return {name: getattr(obj, name) for name in self._names}


def pair(first: Any, second: Any) -> Record:  # noqa: ANN401 - construct's edge
    """A SEQUENCE of two that is a plain tuple on our side."""
    return Record(_pair, first, second)


def _pair(**items: object) -> tuple[object, ...]:
    return tuple(items.values())


class Code(_Adapter):
    """ENUMERATED in one octet; codes we do not know stay integers."""

    def __init__(self, known: Iterable[IntEnum]) -> None:
        integer: Any = Int8ub
        super().__init__(integer)
        self._known = {member.value: member for member in known}

    def _decode(self, obj: int, _context: object, _path: object) -> int:
        return self._known.get(obj, obj)

    def _encode(self, obj: int, _context: object, _path: object) -> int:
        return int(obj)


ATTRIBUTE: Final = Record(
    CosemAttributeDescriptor,
    "class_id" / Int16ub,
    "instance_id" / FixedBytes(6),
    "attribute_id" / Int8sb,
)
METHOD: Final = Record(
    CosemMethodDescriptor,
    "class_id" / Int16ub,
    "instance_id" / FixedBytes(6),
    "method_id" / Int8sb,
)
ACCESS: Final = optional(Record(SelectiveAccess, "selector" / Int8ub, "parameters" / DATA))
ATTRIBUTE_LIST: Final = SequenceOf(pair("attribute" / ATTRIBUTE, "access" / ACCESS))
METHOD_LIST: Final = SequenceOf(METHOD)
DATA_LIST: Final = SequenceOf(DATA)

ACCESS_RESULT: Final = Code(DataAccessResult)
GET_DATA_RESULT: Final = Choice(
    {0: DATA, 1: ACCESS_RESULT}, lambda value: int(not isinstance(value, Data))
)
RAW_OR_RESULT: Final = Choice(
    {0: OCTETS, 1: ACCESS_RESULT}, lambda value: int(not isinstance(value, bytes))
)
LAST: Final = Flag
