"""Native addresses of C12.22 nodes on IP, and what their connection flags allow (RFC 6142).

An address is the octets of an IPv4 or IPv6 address, then a port (u16), then a transport (u8);
transport, or port and transport, may be left out: 4, 6 or 7 octets, 16, 18 or 19. In tables
addresses are padded with zeros to ACT_NETWORK_TBL.NATIVE_ADDRESS_LEN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, IntEnum, IntFlag, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from protocols.c12.framing import PORT
from protocols.errors import CodecError

CODEC: Final = "native address"
MULTICAST_IPV4: Final = IPv4Address("224.0.2.4")
_IPV4_SIZE: Final = 4
_IPV6_SIZE: Final = 16
_PORT_SIZE: Final = 2
_TAIL_SIZE: Final = 3


def multicast_ipv6(scope: int) -> IPv6Address:
    """Return the group of all nodes, FF0x::204, in ``scope`` (0..15; 5 is site-local)."""
    if not 0 <= scope <= 0x0F:
        raise CodecError(f"{scope}", codec=CODEC, path="scope")
    return IPv6Address((0xFF00 | scope) << 112 | 0x0204)


class Transport(IntEnum):
    """The transport, by its IP protocol number."""

    TCP = 6
    UDP = 17


@dataclass(frozen=True, slots=True)
class NativeAddress:
    """Where a node is reached. Without a port it is 1153; without a transport either one."""

    host: IPv4Address | IPv6Address
    port: int | None = None
    transport: Transport | None = None

    @property
    def port_or_default(self) -> int:
        """The port to use."""
        return self.port or PORT

    @classmethod
    def parse(
        cls, host: str, port: int | None = None, transport: Transport | None = None
    ) -> NativeAddress:
        """Return the address with ``host`` in text; raises `CodecError`."""
        try:
            return cls(ip_address(host), port, transport)
        except ValueError as exc:
            raise CodecError(str(exc), codec=CODEC, path="host") from exc

    def encode(self, padded_size: int | None = None) -> bytes:
        """Return the octets, with zeros up to ``padded_size`` where that is given.

        Raises:
            CodecError: a port that does not fit, a transport without a port, or an address that
                is longer than ``padded_size``.
        """
        octets = self.host.packed
        if self.port is not None:
            if not 1 <= self.port <= 0xFFFF:
                raise CodecError(f"{self.port}", codec=CODEC, path="port")
            octets += self.port.to_bytes(_PORT_SIZE, "big")
            if self.transport is not None:
                octets += bytes((self.transport,))
        elif self.transport is not None:
            raise CodecError("a transport goes behind a port", codec=CODEC, path="transport")
        if padded_size is None:
            return octets
        if len(octets) > padded_size:
            raise CodecError(f"{len(octets)} octets in {padded_size}", codec=CODEC)
        return octets.ljust(padded_size, b"\0")

    @classmethod
    def decode(cls, octets: bytes) -> NativeAddress:
        """Return the address that ``octets`` are, not padded; raises `CodecError`."""
        for size in (_IPV4_SIZE, _IPV6_SIZE):
            if len(octets) - size in (0, _PORT_SIZE, _TAIL_SIZE):
                return _decode(octets, size)
        raise CodecError(f"{len(octets)} octets", codec=CODEC)

    @classmethod
    def decode_padded(cls, octets: bytes) -> NativeAddress:
        """Return the address in a table's field; raises `CodecError`.

        Nothing but zeros behind the first 7 octets means IPv4: an IPv6 address with as many of
        them would be a subnet, not a node.
        """
        size = _IPV6_SIZE if any(octets[_IPV4_SIZE + _TAIL_SIZE :]) else _IPV4_SIZE
        if len(octets) < size or any(octets[size + _TAIL_SIZE :]):
            raise CodecError(f"no address: {octets[:32].hex()}", codec=CODEC)
        return _decode(octets[: size + _TAIL_SIZE], size)


def _decode(octets: bytes, size: int) -> NativeAddress:
    host = ip_address(octets[:size])
    port = int.from_bytes(octets[size : size + _PORT_SIZE], "big")
    transport = octets[size + _PORT_SIZE] if len(octets) == size + _TAIL_SIZE else 0
    if not port and transport:
        raise CodecError("a transport without a port", codec=CODEC, path="transport")
    try:
        return NativeAddress(host, port or None, Transport(transport) if transport else None)
    except ValueError as exc:
        raise CodecError(f"{transport}", codec=CODEC, path="transport") from exc


class ConnectionType(IntFlag):
    """The connection type of a registration (u8); bit 3 is reserved."""

    BROADCAST = 0x01
    ACCEPTS_WINDOW = 0x02
    PLAYBACK_REJECTION = 0x04
    CONNECTIONLESS = 0x10
    ACCEPTS_CONNECTIONLESS = 0x20
    CONNECTIONS = 0x40
    ACCEPTS_CONNECTIONS = 0x80


class TransportMode(Flag):
    """What a node may do on IP."""

    SENDS_DATAGRAMS = auto()
    TAKES_DATAGRAMS = auto()
    """Also such as are no answers."""
    OPENS_CONNECTIONS = auto()
    LISTENS = auto()


_CL: Final = ConnectionType.CONNECTIONLESS
_ACCEPTS_CL: Final = ConnectionType.ACCEPTS_CONNECTIONLESS
_CO: Final = ConnectionType.CONNECTIONS
_ACCEPTS_CO: Final = ConnectionType.ACCEPTS_CONNECTIONS
_FLAGS: Final = _CL | _ACCEPTS_CL | _CO | _ACCEPTS_CO
_UDP_OUT: Final = TransportMode.SENDS_DATAGRAMS
_UDP: Final = TransportMode.SENDS_DATAGRAMS | TransportMode.TAKES_DATAGRAMS
_TCP_OUT: Final = TransportMode.OPENS_CONNECTIONS
_TCP: Final = TransportMode.OPENS_CONNECTIONS | TransportMode.LISTENS

ALLOWED_MODES: Final[dict[ConnectionType, TransportMode]] = {
    _CL: _UDP_OUT,
    _CL | _ACCEPTS_CL: _UDP,
    _CO: _TCP_OUT,
    _CO | _ACCEPTS_CO: _TCP,
    _CL | _CO: _UDP_OUT | _TCP_OUT,
    _CL | _ACCEPTS_CL | _CO: _UDP | _TCP_OUT,
    _CL | _CO | _ACCEPTS_CO: _UDP_OUT | _TCP,
    _CL | _ACCEPTS_CL | _CO | _ACCEPTS_CO: _UDP | _TCP,
}
"""Which flags allow what; every other combination is invalid.

RFC 6142, table 1, has eight valid rows. These eight follow from the meaning of the flags: to accept
presupposes to use, and a node does something. The table's own words were not at hand.
"""


def allowed_modes(connection_type: int) -> TransportMode:
    """Return what a node of ``connection_type`` (u8) may do; raises `CodecError` if invalid."""
    modes = ALLOWED_MODES.get(ConnectionType(connection_type) & _FLAGS)
    if modes is None:
        raise CodecError(f"{connection_type:#04x}", codec=CODEC, path="connection_type")
    return modes
