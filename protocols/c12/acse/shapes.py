"""ACSE headers through lowered code: messages of one shape differ in values only.

Theory of operation: tags and lengths of the header's elements are its *shape*. A pass over them
gives the shape, and each shape is declared once in construct, lowered, and kept. What that does
not take, an error, a segment, a length in a longer form than needed, an unusual element, goes to
the interpreter of the table in `elements`, which decides. A property test holds the two equal.

A peer chooses shapes, and each takes a while to lower: `MAX_SHAPES` bounds both time and memory,
and messages of later shapes are interpreted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from construct import Bytes, Const, Int8ub, Int32ub, Struct

from protocols.c12 import ber
from protocols.c12.acse.elements import (
    APDU_TAG,
    CALLED_TAG,
    CALLING_TAG,
    INFORMATION_TAG,
    QUALIFIERS,
    information_header,
    interpret_apdu,
    read_title,
)
from protocols.c12.acse.header import AuthenticationValue, Header, ReadApdu, Spans
from protocols.errors import CodecError
from protocols.lowering import Codec, lower

MAX_SHAPES: Final = 256
_CACHED_SIZES: Final = 4096
_LONG_FORM: Final = 0x80

_lowered: dict[bytes, Codec] = {}


class _Unusual(Exception):
    """Something for the interpreter."""


def decode_apdu(octets: bytes) -> ReadApdu:
    """Return the one APDU that ``octets`` are; raises `CodecError` naming the field."""
    try:
        return _read(octets)
    except (_Unusual, CodecError, IndexError):
        return interpret_apdu(octets)


def _read(octets: bytes) -> ReadApdu:
    prefix = _apdu_header(len(octets))
    start = len(prefix)
    shape, called, calling, stop = _scan(octets, start)
    header = _information_header(len(octets) - stop)
    if not octets.startswith(prefix) or not octets.startswith(header, stop):
        raise _Unusual
    codec = _lowered.get(shape) or _learn(shape)
    values = codec.parse(octets, start)
    spans = Spans(start, *called, *calling, stop + len(header))
    return ReadApdu(octets, _header(values), None, spans)


def _scan(octets: bytes, start: int) -> tuple[bytes, tuple[int, int], tuple[int, int], int]:
    """Return the shape, the spans of the two titles, and where the header ends."""
    called = start, start
    calling = None
    shape: list[int] = []
    at = start
    while (tag := octets[at]) != INFORMATION_TAG:
        size = octets[at + 1]
        if size >= _LONG_FORM:
            raise _Unusual
        shape += (tag, size)
        stop = at + 2 + size
        if tag == CALLED_TAG:
            called = at, stop
        elif tag == CALLING_TAG:
            calling = at, stop
        at = stop
    return bytes(shape), called, calling or (called[1], called[1]), at


def _header(values: dict[str, Any]) -> Header:
    called, calling = values.get("called"), values.get("calling")
    qualifier = values.get("qualifier")
    vector = values.get("vector")
    return Header(
        None if called is None else read_title(called, "called"),
        None if calling is None else read_title(calling, "calling"),
        values["calling_invocation"],
        values.get("called_invocation"),
        None if qualifier is None else QUALIFIERS[qualifier],
        None if vector is None else AuthenticationValue(vector, values.get("key_id")),
    )


def _learn(shape: bytes) -> Codec:
    if len(_lowered) >= MAX_SHAPES:
        raise _Unusual
    fields: list[Any] = []
    previous = -1
    for tag, size in zip(shape[::2], shape[1::2], strict=True):
        place = _ORDER.find(tag)
        if place <= previous:
            raise _Unusual
        previous = place
        fields += _fields(tag, size)
    if 0xA8 not in shape[::2]:
        raise _Unusual
    codec = _lowered[shape] = lower(Struct(*fields), "ACSE")
    return codec


def _fields(tag: int, size: int) -> list[Any]:
    """Return the declaration of one element of ``size`` octets, which is not too long for one."""
    head = bytes((tag, size))
    if tag in _TITLES and size > 2:
        return [Const(head), _TITLES[tag] / Bytes(size)]
    if tag in _INVOCATIONS and 3 <= size <= 2 + ber.MAX_INTEGER_SIZE:
        inner = bytes((ber.INTEGER, size - 2))
        return [Const(head + inner), _INVOCATIONS[tag] / Bytes(size - 2)]
    if tag == 0xA7 and size == 3:
        return [Const(head + bytes((ber.INTEGER, 1))), "qualifier" / Int8ub]
    if head in _AUTHENTICATIONS:
        return [Const(head), *_AUTHENTICATIONS[head]]
    raise _Unusual


_ORDER: Final = bytes((0xA2, 0xA4, 0xA6, 0xA7, 0xA8, 0xAC))
_TITLES: Final = {CALLED_TAG: "called", CALLING_TAG: "calling"}
_INVOCATIONS: Final = {0xA4: "called_invocation", 0xA8: "calling_invocation"}
_AUTHENTICATIONS: Final[dict[bytes, list[Any]]] = {
    b"\xac\x0f": [
        Const(bytes.fromhex("a20da00ba1098001")),
        "key_id" / Int8ub,
        Const(b"\x81\x04"),
        "vector" / Int32ub,
    ],
    b"\xac\x0c": [Const(bytes.fromhex("a20aa008a1068104")), "vector" / Int32ub],
}


@lru_cache(_CACHED_SIZES)
def _apdu_header(size: int) -> bytes:
    """Return tag and length of an APDU of ``size`` octets in all."""
    for spare in range(2, 7):
        head = bytes((APDU_TAG,)) + ber.length(max(size - spare, 0))
        if len(head) == spare:
            return head
    raise _Unusual


@lru_cache(_CACHED_SIZES)
def _information_header(size: int) -> bytes:
    """Return the header of an information element that is ``size`` octets in all."""
    for spare in range(6, 19):
        head = information_header(max(size - spare, 0))
        if len(head) == spare:
            return head
    raise _Unusual
