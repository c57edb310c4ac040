"""What a device says of itself in the answer to Identify, behind standard and version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from construct import BitsInteger, BitStruct, Flag, GreedyBytes, Int8ub, Prefixed, Struct

from protocols.c12.services.fields import ELEMENT, FieldCodec, field_codec
from protocols.errors import CodecError

CODEC: Final = "C12 feature"
END: Final = 0x00
MAX_FEATURES: Final = 16

DES: Final = 0x00
"""The authentication algorithm of C12.21."""

AES: Final = 0xFF
"""The authentication algorithm of one manufacturer, with tickets of 16 octets."""


@dataclass(frozen=True, slots=True)
class AuthenticationService:
    """Authenticate is there if bit 0 of ``authentication_type`` says so, by this algorithm (01)."""

    authentication_type: int
    algorithm: int


@dataclass(frozen=True, slots=True)
class AuthenticationTicket:
    """The same, for this ``ticket``, which the client is to encrypt (02)."""

    authentication_type: int
    algorithm: int
    ticket: bytes


@dataclass(frozen=True, slots=True)
class SecurityMechanism:
    """The OBJECT IDENTIFIER of the security mechanism, tag and length included (04)."""

    mechanism: bytes


@dataclass(frozen=True, slots=True)
class SessionControl:
    """How many sessions there may be (0 to 127), and whether one may go without (05)."""

    sessions: int
    sessionless: bool


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """The identifier of the device class, tag and length included (06)."""

    device_class: bytes


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The device's identity, and in which ``identity_format`` it is written (07)."""

    identity_format: int
    identity: bytes


@dataclass(frozen=True, slots=True)
class UnknownFeatures:
    """A feature that nobody told us the length of, and all behind it, the end included."""

    octets: bytes


Feature: TypeAlias = (
    "AuthenticationService | AuthenticationTicket | SecurityMechanism | SessionControl"
    " | DeviceClass | DeviceIdentity | UnknownFeatures"
)

_TYPE: Final = "authentication_type" / Int8ub * "bit 0: Authenticate is there"
_ALGORITHM: Final = "algorithm" / Int8ub
DECLARATIONS: Final[dict[int, tuple[type[Any], Any]]] = {
    0x01: (AuthenticationService, Struct(_TYPE, _ALGORITHM)),
    0x02: (
        AuthenticationTicket,
        Struct(_TYPE, _ALGORITHM, "ticket" / Prefixed(Int8ub, GreedyBytes)),
    ),
    0x04: (SecurityMechanism, Struct("mechanism" / ELEMENT)),
    0x05: (SessionControl, BitStruct("sessionless" / Flag, "sessions" / BitsInteger(7))),
    0x06: (DeviceClass, Struct("device_class" / ELEMENT)),
    0x07: (
        DeviceIdentity,
        Prefixed(Int8ub, Struct("identity_format" / Int8ub, "identity" / GreedyBytes)),
    ),
}
"""What follows each feature's first octet."""

_CODECS: Final[dict[int, tuple[type[Any], FieldCodec]]] = {
    tag: (kind, field_codec(f"{CODEC} {kind.__name__}", declaration))
    for tag, (kind, declaration) in DECLARATIONS.items()
}
_TAG_OF: Final = {kind: tag for tag, (kind, _) in DECLARATIONS.items()}


def encode_features(features: tuple[Feature, ...]) -> bytes:
    """Return ``features`` with the octet that ends them; raises `CodecError`."""
    if len(features) > MAX_FEATURES:
        raise CodecError(f"{len(features)} features", codec=CODEC)
    if features and isinstance(features[-1], UnknownFeatures):
        return b"".join(map(_encode, features[:-1])) + features[-1].octets
    return b"".join(map(_encode, features)) + bytes((END,))


def decode_features(octets: bytes) -> tuple[Feature, ...]:
    """Return the features that fill ``octets``.

    Raises:
        CodecError: one that is cut, more than `MAX_FEATURES`, no end or octets behind it.
    """
    features: list[Feature] = []
    offset = 0
    while len(features) <= MAX_FEATURES:
        tag = octets[offset] if offset < len(octets) else None
        if tag == END and offset + 1 == len(octets):
            return tuple(features)
        if tag is None or tag == END:
            raise CodecError("the end is not the end", codec=CODEC, path="features")
        if tag not in _CODECS:
            return (*features, UnknownFeatures(octets[offset:]))
        kind, codec = _CODECS[tag]
        values, offset = codec.parse_from(octets, offset + 1)
        features.append(kind(**values))
    raise CodecError(f"more than {MAX_FEATURES}", codec=CODEC, path="features")


def _encode(feature: Feature) -> bytes:
    tag = _TAG_OF.get(type(feature))
    if tag is None:
        raise CodecError("an unknown feature that is not last", codec=CODEC, path="features")
    return bytes((tag,)) + _CODECS[tag][1].build(feature)
