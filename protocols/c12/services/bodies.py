"""What an OK brings along: one frozen dataclass for each service that has something to say.

Each has ``encode() -> bytes`` and ``decode(body) -> itself``, both raising `CodecError`; `ok` makes
the `Response`. Services without one answer with the code alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, Protocol, TypeVar

from construct import Int8ub, Int16ub, Int24ub, Int32ub, Struct

from protocols.c12.services.codec import Response
from protocols.c12.services.codes import Dialect, ResponseCode
from protocols.c12.services.features import Feature, decode_features, encode_features
from protocols.c12.services.fields import (
    ADDRESS,
    ELEMENT,
    FieldCodec,
    decode_elements,
    encode_elements,
    field_codec,
)
from protocols.c12.services.table_data import decode_table_data, encode_table_data
from protocols.c12.services.tails import (
    decode_ticket,
    encode_ticket,
)
from protocols.errors import CodecError

CODEC: Final = "C12 response"


class Standard(IntEnum):
    """The first octet of the answer to Identify: which standard the device follows.

    2 for C12.21 has one source only; other public code calls it reserved.
    """

    C12_18 = 0
    INDUSTRY_CANADA = 1
    C12_21 = 2
    C12_22 = 3


class Body(Protocol):
    """Anything that an OK can bring along."""

    def encode(self) -> bytes:
        """Return the octets behind the response code."""
        ...


def ok(body: Body | None = None) -> Response:
    """Return OK with ``body``; raises `CodecError` when a value does not fit its field."""
    return Response(ResponseCode.OK, b"" if body is None else body.encode())


def read_response(data: bytes) -> Response:
    """Return the answer to a read that found ``data``; `CodecError` over 1 MiB."""
    return Response(ResponseCode.OK, encode_table_data(data))


_Declared = TypeVar("_Declared", bound="DeclaredBody")


class DeclaredBody:
    """A body whose fields are all declared, named as in the dataclass."""

    __slots__ = ()
    fields: ClassVar[FieldCodec]

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return self.fields.build(self)

    @classmethod
    def decode(cls: type[_Declared], body: bytes) -> _Declared:
        """Return exactly one body; raises `CodecError`."""
        return cls(**cls.fields.parse(body))


def _declare(name: str, *fields: Any) -> FieldCodec:  # noqa: ANN401 - construct's edge
    return field_codec(f"{CODEC} {name}", Struct(*fields))


@dataclass(frozen=True, slots=True)
class IdentifyBody:
    """Standard (`Standard`, or an unknown number), its version and revision, and features."""

    standard: int
    version: int
    revision: int
    features: tuple[Feature, ...] = ()

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return _IDENTIFY.build(self) + encode_features(self.features)

    @classmethod
    def decode(cls, body: bytes) -> IdentifyBody:
        """Return exactly one body; raises `CodecError`."""
        head, end = _IDENTIFY.parse_from(body)
        return cls(**head, features=decode_features(body[end:]))


_IDENTIFY: Final = _declare(
    "Identify", "standard" / Int8ub, "version" / Int8ub, "revision" / Int8ub
)


@dataclass(frozen=True, slots=True)
class ReadBody:
    """The ``data`` of a table or of a part of one; decoding checks its checksums."""

    data: bytes

    def encode(self) -> bytes:
        """Return count, data and checksum; raises `CodecError` over 1 MiB."""
        return encode_table_data(self.data)

    @classmethod
    def decode(cls, body: bytes) -> ReadBody:
        """Return exactly one body; raises `CodecError`, also for a wrong checksum."""
        return cls(decode_table_data(body))


@dataclass(frozen=True, slots=True)
class LogonBody:
    """C12.22: the silence in seconds (u16) that will end the session; otherwise nothing."""

    timeout_s: int | None = None

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return b"" if self.timeout_s is None else _LOGON.build(self)

    @classmethod
    def decode(cls, body: bytes, dialect: Dialect) -> LogonBody:
        """Return exactly one body of ``dialect``; raises `CodecError`."""
        if len(body) != (2 if dialect is Dialect.C12_22 else 0):
            raise CodecError(f"{len(body)} octets in {dialect.name}", codec=CODEC, path="timeout_s")
        return cls(**_LOGON.parse(body)) if body else cls()


_LOGON: Final = _declare("Logon", "timeout_s" / Int16ub)


@dataclass(frozen=True, slots=True)
class AuthenticateBody:
    """The device's own proof, shaped like the request."""

    key_id: int
    ticket: bytes

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return encode_ticket(self.key_id, self.ticket)

    @classmethod
    def decode(cls, body: bytes) -> AuthenticateBody:
        """Return exactly one body; raises `CodecError`."""
        return cls(**decode_ticket(body))


@dataclass(frozen=True, slots=True)
class NegotiateBody:
    """What will be used: octets in a packet (u16), packets (u8), the code of the baud rate.

    Some devices leave the baud rate out when none was offered: ``None``.
    """

    packet_size: int
    packets: int
    baud_code: int | None

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return (_NEGOTIATE if self.baud_code is None else _NEGOTIATE_BAUD).build(self)

    @classmethod
    def decode(cls, body: bytes) -> NegotiateBody:
        """Return exactly one body; raises `CodecError`."""
        values = (_NEGOTIATE_BAUD if len(body) > 3 else _NEGOTIATE).parse(body)
        return cls(**({"baud_code": None} | values))


_SIZES: Final = ("packet_size" / Int16ub, "packets" / Int8ub)
_NEGOTIATE: Final = _declare("Negotiate", *_SIZES)
_NEGOTIATE_BAUD: Final = _declare("Negotiate", *_SIZES, "baud_code" / Int8ub)


@dataclass(frozen=True, slots=True)
class TimingSetupBody(DeclaredBody):
    """The timeouts in force, in whole seconds (u8 each), and the retries."""

    traffic_s: int
    inter_character_s: int
    response_s: int
    retries: int
    fields: ClassVar = _declare(
        "TimingSetup",
        "traffic_s" / Int8ub,
        "inter_character_s" / Int8ub,
        "response_s" / Int8ub,
        "retries" / Int8ub,
    )


@dataclass(frozen=True, slots=True)
class RegisterBody(DeclaredBody):
    """The title given, a delay before the first message (u16), how long it holds (u24), bits."""

    title: bytes
    delay_s: int
    period_s: int
    registration_info: int
    fields: ClassVar = _declare(
        "Register",
        "title" / ELEMENT,
        "delay_s" / Int16ub,
        "period_s" / Int24ub,
        "registration_info" / Int8ub,
    )


@dataclass(frozen=True, slots=True)
class ResolveBody(DeclaredBody):
    """The native address (at most 255 octets) behind a title."""

    address: bytes
    fields: ClassVar = _declare("Resolve", *ADDRESS.subcons)


@dataclass(frozen=True, slots=True)
class TraceBody:
    """The titles of the relays on the way, nearest first."""

    titles: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the body as octets; raises `CodecError`."""
        return encode_elements(self.titles)

    @classmethod
    def decode(cls, body: bytes) -> TraceBody:
        """Return exactly one body; raises `CodecError`."""
        return cls(decode_elements(body))


@dataclass(frozen=True, slots=True)
class SizeLimitBody(DeclaredBody):
    """Behind REQUEST_TOO_LARGE and RESPONSE_TOO_LARGE in C12.22: how many octets would do."""

    max_octets: int
    fields: ClassVar = _declare("size limit", "max_octets" / Int32ub)
