"""The capture format pcapng, as far as a capture of application messages needs it.

Every packet is one message of the application layer ("upper PDU", link type 252): no TCP or IP is
faked, and a dissector is found by the TCP port that the packet names. Addresses, ports and a
comment go with it. A capture is a section header, one interface, then packets (IETF draft
draft-ietf-opsawg-pcapng, clauses 4.1 to 4.3; tags as Wireshark's epan/exported_pdu.h numbers them).

Everything is little-endian but the tags of the upper PDU, which are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

import construct as c

LINK_TYPE_UPPER_PDU: Final = 252
SNAP_LENGTH: Final = 0x0004_0000

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE: Final = 0x0000_0001
_ENHANCED_PACKET: Final = 0x0000_0006
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_LENGTH_UNKNOWN: Final = 0xFFFF_FFFF_FFFF_FFFF
_BLOCK_OVERHEAD: Final = 12
_BLOCK_HEAD: Final = struct.Struct("<II")
"""Type and length of a block."""
_PORT_TYPE_TCP: Final = 2
_ALIGNMENT: Final = 4

_END: Final = 0
_COMMENT: Final = 1
_RESOLUTION: Final = 9
_TAG_TABLE: Final = 14
_TAG_SOURCE_IPV4: Final = 20
_TAG_DESTINATION_IPV4: Final = 21
_TAG_PORT_TYPE: Final = 24
_TAG_SOURCE_PORT: Final = 25
_TAG_DESTINATION_PORT: Final = 26
_TAG_TABLE_VALUE: Final = 32
_NANOSECONDS: Final = b"\x09"
"""Time stamps count units of 10 to the power of -9 seconds."""

Option: Final = c.Aligned(
    _ALIGNMENT,
    c.Struct("code" / c.Int16ul, "value" / c.Prefixed(c.Int16ul, c.GreedyBytes)),
)
Options: Final = c.GreedyRange(Option)
Tag: Final = c.Struct(
    "tag" / c.Int16ub,
    "value" / c.Prefixed(c.Int16ub, c.GreedyBytes),
)
"""A tag of the upper PDU; values are padded to a multiple of four, which counts."""
Block: Final = c.Struct(
    "type" / c.Int32ul,
    "total_length" / c.Rebuild(c.Int32ul, c.len_(c.this.body) + _BLOCK_OVERHEAD),
    "body" / c.Bytes(c.this.total_length - _BLOCK_OVERHEAD),
    "total_length_again" / c.Rebuild(c.Int32ul, c.this.total_length),
)
SectionHeader: Final = c.Struct(
    "byte_order_magic" / c.Const(_BYTE_ORDER_MAGIC, c.Int32ul),
    "major_version" / c.Const(1, c.Int16ul),
    "minor_version" / c.Const(0, c.Int16ul),
    "section_length" / c.Const(_LENGTH_UNKNOWN, c.Int64ul),
)
Interface: Final = c.Struct(
    "link_type" / c.Int16ul,
    "reserved" / c.Const(0, c.Int16ul),
    "snap_length" / c.Int32ul,
    "options" / Options,
)
EnhancedPacket: Final = c.Struct(
    "interface" / c.Const(0, c.Int32ul),
    "timestamp_high" / c.Int32ul,
    "timestamp_low" / c.Int32ul,
    "captured_length" / c.Rebuild(c.Int32ul, c.len_(c.this.octets)),
    "original_length" / c.Rebuild(c.Int32ul, c.len_(c.this.octets)),
    "octets" / c.Aligned(_ALIGNMENT, c.Bytes(c.this.captured_length)),
    "options" / Options,
)


@dataclass(frozen=True, slots=True)
class Packet:
    """One message as it crossed a link.

    ``at_ns`` POSIX nanoseconds; ``source`` and ``destination`` IPv4 address and TCP port;
    ``dissector_port`` the TCP port under which a dissector of the protocol is known.
    """

    at_ns: int
    source: tuple[str, int]
    destination: tuple[str, int]
    dissector_port: int
    octets: bytes
    comment: str = ""


def section() -> bytes:
    """Return the beginning of a capture: its section header and its only interface."""
    resolution = [{"code": _RESOLUTION, "value": _NANOSECONDS}, {"code": _END, "value": b""}]
    interface = {
        "link_type": LINK_TYPE_UPPER_PDU,
        "snap_length": SNAP_LENGTH,
        "options": resolution,
    }
    return _block(_SECTION_HEADER, SectionHeader.build({})) + _block(
        _INTERFACE, Interface.build(interface)
    )


def packet(item: Packet) -> bytes:
    """Return one packet of a capture."""
    high, low = divmod(item.at_ns, 1 << 32)
    comment = [{"code": _COMMENT, "value": item.comment.encode()}, {"code": _END, "value": b""}]
    body = {
        "timestamp_high": high,
        "timestamp_low": low,
        "octets": _tags(item) + item.octets,
        "options": comment if item.comment else [],
    }
    return _block(_ENHANCED_PACKET, EnhancedPacket.build(body))


def blocks(octets: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield each whole block of a capture, and whether it is a packet; ends at one that is cut off.

    So a capture can be read that is still being written, and one block parsed without the others.
    """
    start = 0
    while start + _BLOCK_OVERHEAD <= len(octets):
        kind, size = _BLOCK_HEAD.unpack_from(octets, start)
        if size < _BLOCK_OVERHEAD or start + size > len(octets):
            return
        yield kind == _ENHANCED_PACKET, octets[start : start + size]
        start += size


def read(octets: bytes) -> list[Packet]:
    """Return the packets of a capture that this module wrote.

    Raises:
        construct.ConstructError: it is none, or it is cut off.
    """
    parsed = c.GreedyRange(Block).parse(octets)
    if sum(block.total_length for block in parsed) != len(octets):
        raise c.StreamError("the capture is cut off")
    return [
        _packet(EnhancedPacket.parse(block.body))
        for block in parsed
        if block.type == _ENHANCED_PACKET
    ]


def _block(kind: int, body: bytes) -> bytes:
    octets: bytes = Block.build({"type": kind, "body": body})
    return octets


def _tags(item: Packet) -> bytes:
    table = b"tcp.port"
    values = {
        _TAG_TABLE: table,
        _TAG_TABLE_VALUE: item.dissector_port.to_bytes(4, "big"),
        _TAG_SOURCE_IPV4: IPv4Address(item.source[0]).packed,
        _TAG_DESTINATION_IPV4: IPv4Address(item.destination[0]).packed,
        _TAG_PORT_TYPE: _PORT_TYPE_TCP.to_bytes(4, "big"),
        _TAG_SOURCE_PORT: item.source[1].to_bytes(4, "big"),
        _TAG_DESTINATION_PORT: item.destination[1].to_bytes(4, "big"),
        _END: b"",
    }
    return b"".join(Tag.build({"tag": tag, "value": value}) for tag, value in values.items())


def _packet(found: c.Container) -> Packet:  # type: ignore[type-arg]
    stream, tags = found.octets, {}
    while True:
        tag = Tag.parse(stream)
        stream = stream[4 + len(tag.value) :]
        if tag.tag == _END:
            break
        tags[tag.tag] = tag.value
    ends = [
        (str(IPv4Address(tags[address])), int.from_bytes(tags[port], "big"))
        for address, port in (
            (_TAG_SOURCE_IPV4, _TAG_SOURCE_PORT),
            (_TAG_DESTINATION_IPV4, _TAG_DESTINATION_PORT),
        )
    ]
    comments = [option.value.decode() for option in found.options if option.code == _COMMENT]
    return Packet(
        at_ns=(found.timestamp_high << 32) + found.timestamp_low,
        source=ends[0],
        destination=ends[1],
        dissector_port=int.from_bytes(tags[_TAG_TABLE_VALUE], "big"),
        octets=stream,
        comment="".join(comments),
    )
