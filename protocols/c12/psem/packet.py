"""One packet of the C12.18 data link, which C12.21 and the local port of C12.22 share.

::

    EE | identity | control | sequence | length (u16) | data | CRC (u16, least octet first)

With transparency every EE and 1B behind the control octet, CRC included, goes as 1B and the octet
with bit 5 turned; length and CRC are those of the octets before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from construct import (
    BitsInteger,
    BitStruct,
    Bytes,
    Const,
    Flag,
    Int8ub,
    Int16ub,
    Int16ul,
    Rebuild,
    Struct,
    len_,
    this,
)

from protocols.c12.psem.crc import CRC_SIZE, packet_crc
from protocols.errors import CodecError
from protocols.lowering import lower

CODEC: Final = "C12.18 packet"
START: Final = 0xEE
ACK: Final = 0x06
NAK: Final = 0x15
ESCAPE: Final = 0x1B
ESCAPE_BIT: Final = 0x20
HEADER_SIZE: Final = 6
PLAIN_SIZE: Final = 3
"""Octets that transparency leaves alone: start, identity, control."""

OVERHEAD: Final = HEADER_SIZE + CRC_SIZE
MAX_DATA_SIZE: Final = 8183
MIN_PACKET_SIZE: Final = 64
MAX_PACKET_SIZE: Final = MAX_DATA_SIZE + OVERHEAD
TRANSPARENCY: Final = 0x10
"""The bit of the control octet that says so."""

CONTROL: Final = BitStruct(
    "multiple" / Flag * "part of a message of several packets",
    "first" / Flag * "the first of them",
    "toggle" / Flag * "turned for each new packet, kept for a repeated one",
    "transparent" / Flag,
    "acknowledgement" / BitsInteger(2) * "of the packet before, inside this one",
    "data_format" / BitsInteger(2) * "0 C12.18 and C12.21, 1 C12.22",
)
PACKET: Final = Struct(
    "start" / Const(START, Int8ub),
    "identity" / Int8ub,
    "control" / Int8ub * "CONTROL",
    "sequence" / Int8ub * "packets of the message still to come",
    "length" / Rebuild(Int16ub, len_(this.data)),
    "data" / Bytes(this.length),
    "crc" / Int16ul * "of everything before it",
)
_PACKET: Final = lower(PACKET, CODEC)


class Acknowledgement(IntEnum):
    """What a packet says of the one before it, in its control octet (C12.22 local port)."""

    NONE = 0
    POSITIVE = 1
    NEGATIVE = 2
    UNACKNOWLEDGED = 3


@dataclass(frozen=True, slots=True)
class Control:
    """The control octet, taken apart."""

    multiple: bool = False
    first: bool = False
    toggle: bool = False
    transparent: bool = False
    acknowledgement: Acknowledgement = Acknowledgement.NONE
    data_format: int = 0


def _decode_control(octet: int) -> Control:
    parsed: Any = CONTROL.parse(bytes((octet,)))
    fields = {name: parsed[name] for name in Control.__dataclass_fields__}
    return Control(**fields | {"acknowledgement": Acknowledgement(parsed["acknowledgement"])})


def _encode_control(control: Control) -> int:
    return CONTROL.build({name: getattr(control, name) for name in _CONTROL_FIELDS})[0]


_CONTROL_FIELDS: Final = tuple(Control.__dataclass_fields__)
# The declaration, run once for all there are.
_CONTROLS: Final = tuple(map(_decode_control, range(256)))
_CONTROL_OCTETS: Final = {control: octet for octet, control in enumerate(_CONTROLS)}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: ``data`` of 0 to 8183 octets; ``sequence`` (u8) counts down to 0.

    ``crc`` is the one that a packet came with.
    """

    data: bytes
    control: Control = Control()
    sequence: int = 0
    identity: int = 0
    crc: int | None = field(default=None, compare=False, repr=False)

    def encode(self) -> bytes:
        """Return the packet as octets, made transparent when its control octet says so.

        Raises `CodecError` when a field does not fit.
        """
        if len(self.data) > MAX_DATA_SIZE:
            raise CodecError(f"{len(self.data)} octets", codec=CODEC, path="data")
        control = _CONTROL_OCTETS.get(self.control)
        if control is None:
            raise CodecError(f"{self.control}", codec=CODEC, path="control")
        fields = {"identity": self.identity, "sequence": self.sequence, "data": self.data}
        octets = _PACKET.build(fields | {"control": control, "crc": 0})[:-CRC_SIZE]
        octets += packet_crc(octets).to_bytes(CRC_SIZE, "little")
        return escape(octets) if self.control.transparent else octets

    @classmethod
    def decode(cls, octets: bytes) -> Packet:
        """Return exactly one packet; raises `CodecError`: cut, left over or a wrong CRC."""
        plain = unescape(octets) if _is_transparent(octets) else octets
        packet, end = decode_plain(plain)
        if packet is None:
            raise CodecError("wrong", codec=CODEC, path="crc")
        if end != len(plain):
            raise CodecError(f"{len(plain) - end} trailing octets", codec=CODEC)
        return packet


def decode_plain(octets: bytes) -> tuple[Packet | None, int]:
    """Return the packet at the start of unescaped ``octets`` and its end.

    The packet is ``None`` when its CRC is wrong. Raises `CodecError` when it is cut.
    """
    fields, end = _PACKET.parse_from(octets)
    if fields["crc"] != packet_crc(octets[: end - CRC_SIZE]):
        return None, end
    control = _CONTROLS[fields["control"]]
    sequence, identity, crc = fields["sequence"], fields["identity"], fields["crc"]
    return Packet(fields["data"], control, sequence, identity, crc), end


def escape(octets: bytes) -> bytes:
    """Return a packet's ``octets`` made transparent."""
    body = octets[PLAIN_SIZE:].replace(b"\x1b", b"\x1b\x3b").replace(b"\xee", b"\x1b\xce")
    return octets[:PLAIN_SIZE] + body


def unescape(octets: bytes, size: int | None = None) -> bytes:
    """Return transparent ``octets`` as they were, up to ``size`` of them when it is given."""
    plain, escaped = bytearray(octets[:PLAIN_SIZE]), False
    for octet in octets[PLAIN_SIZE:]:
        if len(plain) == size:
            break
        if octet == ESCAPE and not escaped:
            escaped = True
        else:
            plain.append(octet ^ ESCAPE_BIT if escaped else octet)
            escaped = False
    return bytes(plain)


def _is_transparent(octets: bytes) -> bool:
    return len(octets) >= PLAIN_SIZE and bool(octets[2] & TRANSPARENCY)
