"""What the emulator must know of an Ethernet frame: whose it is, and which connection's.

Nothing is decoded that is not needed, and nothing that a frame may hold raises: what is no IPv4
packet of a concentrator has no address here and is passed on as it is. Sources: RFC 791 (IPv4),
RFC 9293 and RFC 768 (ports), IEEE 802.3 (the frame, without its check sequence).
"""

from __future__ import annotations

from typing import Final

ETHERNET_OCTETS: Final = 14
"""Two addresses of 6 octets and the type."""
SHORTEST_IPV4_FRAME: Final = ETHERNET_OCTETS + 20
_TYPE: Final = slice(12, 14)
_IPV4: Final = b"\x08\x00"
SOURCE: Final = slice(26, 30)
DESTINATION: Final = slice(30, 34)
_ADDRESSES: Final = slice(26, 34)
_ADDRESSES_AND_PORTS: Final = slice(26, 38)
_VERSION_AND_LENGTH: Final = ETHERNET_OCTETS
_PLAIN: Final = 0x45
"""IPv4 with a header of 20 octets: no options, so that the ports follow the addresses."""
_FRAGMENT: Final = slice(20, 22)
_NO_FRAGMENT: Final = frozenset((b"\x00\x00", b"\x40\x00"))
_PROTOCOL: Final = 23
_TCP: Final = 6
_UDP: Final = 17


def is_ipv4(frame: bytes) -> bool:
    """Return whether ``frame`` carries IPv4 with a whole header."""
    return frame[_TYPE] == _IPV4 and len(frame) >= SHORTEST_IPV4_FRAME


def is_tcp(frame: bytes) -> bool:
    """Return whether the IPv4 packet in ``frame`` is of TCP, a fragment of one included."""
    return frame[_PROTOCOL] == _TCP


def connection_of(frame: bytes) -> bytes:
    """Return what names the connection of the IPv4 packet in ``frame``, in this direction.

    Addresses and ports of TCP and UDP. Fragments, packets with IP options and other protocols,
    whose ports are not at hand, go by protocol and addresses.
    """
    protocol = frame[_PROTOCOL]
    if (
        protocol in (_TCP, _UDP)
        and frame[_VERSION_AND_LENGTH] == _PLAIN
        and frame[_FRAGMENT] in _NO_FRAGMENT
    ):
        return frame[_ADDRESSES_AND_PORTS]
    return bytes((protocol,)) + frame[_ADDRESSES]
