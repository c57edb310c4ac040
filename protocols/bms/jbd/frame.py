"""Frames of the JBD (Jiabaida) battery management system, 9600 8N1 on a UART.

Request and reply have one shape, so one checksum and one reader serve both::

    request   DD | A5 read, 5A write | register             | length | data | checksum | 77
    reply     DD | register          | status 00 ok, 80 not | length | data | checksum | 77

The checksum is the two's complement of the 16-bit sum over everything between the second octet and
itself: over (register, length, data) of a request, over (status, length, data) of a reply.

``REQUEST`` and ``REPLY`` are the specification and the judge in the tests; frames run through
``struct``.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct as FixedStruct
from typing import ClassVar, Final, Self

from construct import Bytes, Const, Int8ub, Int16ub, OneOf, Rebuild, Struct, len_, this

from protocols.errors import CodecError

START: Final = 0xDD
END: Final = 0x77
READ: Final = 0xA5
WRITE: Final = 0x5A
STATUS_OK: Final = 0x00
STATUS_ERROR: Final = 0x80
MAX_DATA_SIZE: Final = 0xFF
OVERHEAD: Final = 7
MAX_FRAME_SIZE: Final = OVERHEAD + MAX_DATA_SIZE
CODEC: Final = "JBD frame"

_HEADER: Final = FixedStruct(">BBBB")
HEADER_SIZE: Final = _HEADER.size
_TRAILER: Final = FixedStruct(">HB")

_REST: Final = (
    "length" / Rebuild(Int8ub, len_(this.data))
    + "data" / Bytes(this.length) * "of the register"
    + "checksum"
    / Rebuild(Int16ub, lambda frame: -(frame.second + frame.length + sum(frame.data)) & 0xFFFF)
    + "end" / Const(END, Int8ub)
)
REQUEST: Final = Struct(
    "start" / Const(START, Int8ub),
    "first" / OneOf(Int8ub, (READ, WRITE)) * "A5 read, 5A write",
    "second" / Int8ub * "register",
) + Struct(*_REST.subcons)
REPLY: Final = Struct(
    "start" / Const(START, Int8ub),
    "first" / Int8ub * "register",
    "second" / OneOf(Int8ub, (STATUS_OK, STATUS_ERROR)) * "status: 00 ok, 80 refused",
) + Struct(*_REST.subcons)


@dataclass(frozen=True, slots=True)
class Request:
    """What a host asks: to read ``register`` (u8), or to write ``data`` (255 octets) into it."""

    register: int
    write: bool = False
    data: bytes = b""

    SECOND: ClassVar[frozenset[int]] = frozenset(range(0x100))
    FIRST: ClassVar[frozenset[int]] = frozenset((READ, WRITE))
    EMPTY: ClassVar[frozenset[int]] = frozenset((READ,))

    def encode(self) -> bytes:
        """Return the request as octets; raises `CodecError` when a field does not fit."""
        return _encode(WRITE if self.write else READ, self.register, self.data)

    @classmethod
    def of(cls, first: int, second: int, data: bytes) -> Self:
        """Return the request of these fields of a frame."""
        return cls(second, first == WRITE, data)

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Return exactly one request; raises `CodecError`."""
        return cls.of(*_decode(octets, cls.FIRST, cls.SECOND))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a battery answers about ``register``: ``data`` (255 octets), or that it refuses."""

    register: int
    data: bytes = b""
    ok: bool = True

    FIRST: ClassVar[frozenset[int]] = frozenset(range(0x100))
    SECOND: ClassVar[frozenset[int]] = frozenset((STATUS_OK, STATUS_ERROR))
    EMPTY: ClassVar[frozenset[int]] = frozenset()

    def encode(self) -> bytes:
        """Return the reply as octets; raises `CodecError` when a field does not fit."""
        return _encode(self.register, STATUS_OK if self.ok else STATUS_ERROR, self.data)

    @classmethod
    def of(cls, first: int, second: int, data: bytes) -> Self:
        """Return the reply of these fields of a frame."""
        return cls(first, data, second == STATUS_OK)

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Return exactly one reply; raises `CodecError`."""
        return cls.of(*_decode(octets, cls.FIRST, cls.SECOND))


def checksum(octets: bytes | bytearray | memoryview) -> int:
    """Return the checksum (u16) of ``octets``."""
    return -sum(octets) & 0xFFFF


def trailer_problem(frame: bytes | bytearray | memoryview) -> str:
    """Say which of ``checksum`` and ``end`` of a whole frame is wrong; empty: none is."""
    announced, end = _TRAILER.unpack_from(frame, len(frame) - _TRAILER.size)
    if end != END:
        return "end"
    return "" if announced == checksum(frame[2 : -_TRAILER.size]) else "checksum"


def _encode(first: int, second: int, data: bytes) -> bytes:
    for path, value in {"first": first, "second": second, "length": len(data)}.items():
        if not 0 <= value <= 0xFF:
            raise CodecError(f"{value} in 8 bits", codec=CODEC, path=path)
    header = _HEADER.pack(START, first, second, len(data))
    return header + data + _TRAILER.pack(checksum(header[2:] + data), END)


def _decode(octets: bytes, first: frozenset[int], second: frozenset[int]) -> tuple[int, int, bytes]:
    if len(octets) < OVERHEAD:
        raise CodecError(f"truncated, {len(octets)} octets", codec=CODEC, path="header")
    start, one, two, length = _HEADER.unpack_from(octets)
    if start != START or one not in first or two not in second:
        raise CodecError(f"begins with {octets[:HEADER_SIZE].hex()}", codec=CODEC, path="header")
    if len(octets) != OVERHEAD + length:
        what = f"{length} octets announced, {len(octets) - OVERHEAD} there"
        raise CodecError(what, codec=CODEC, path="data")
    problem = trailer_problem(octets)
    if problem:
        raise CodecError(f"ends with {octets[-_TRAILER.size :].hex()}", codec=CODEC, path=problem)
    return one, two, octets[HEADER_SIZE : -_TRAILER.size]
