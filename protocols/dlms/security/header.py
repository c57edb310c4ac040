"""The security header: security control and invocation counter.

Source: IEC 62056-5-3 (Green Book 9.2.7.2.4.1). Security control, one octet::

    bit 7 compression | 6 key set (broadcast) | 5 encryption | 4 authentication | 3..0 suite
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from protocols.dlms.security.errors import TruncatedError
from protocols.errors import CodecError

SUITE_MASK: Final = 0x0F
AUTHENTICATION: Final = 0x10
ENCRYPTION: Final = 0x20
BROADCAST_KEY: Final = 0x40
COMPRESSION: Final = 0x80

HEADER: Final = Struct(">BI")


@dataclass(frozen=True, slots=True)
class SecurityControl:
    """How an APDU is protected; ``suite`` is 0..15."""

    authentication: bool = True
    encryption: bool = True
    suite: int = 0
    broadcast_key: bool = False
    compression: bool = False

    def to_octet(self) -> int:
        """Return the octet; raises `CodecError` for a suite that does not fit."""
        if not 0 <= self.suite <= SUITE_MASK:
            raise CodecError(f"suite {self.suite}", codec="security", path="security_control")
        return (
            self.suite
            | AUTHENTICATION * self.authentication
            | ENCRYPTION * self.encryption
            | BROADCAST_KEY * self.broadcast_key
            | COMPRESSION * self.compression
        )

    @classmethod
    def from_octet(cls, octet: int) -> SecurityControl:
        """Return what ``octet`` (u8) says."""
        return _CONTROLS[octet]


_CONTROLS: Final = tuple(
    SecurityControl(
        authentication=bool(octet & AUTHENTICATION),
        encryption=bool(octet & ENCRYPTION),
        suite=octet & SUITE_MASK,
        broadcast_key=bool(octet & BROADCAST_KEY),
        compression=bool(octet & COMPRESSION),
    )
    for octet in range(256)
)

AUTHENTICATED: Final = SecurityControl(encryption=False)
ENCRYPTED: Final = SecurityControl(authentication=False)
AUTHENTICATED_AND_ENCRYPTED: Final = SecurityControl()


@dataclass(frozen=True, slots=True)
class SecurityHeader:
    """What a ciphered APDU says about itself before anything is deciphered."""

    control: SecurityControl
    invocation_counter: int


def read_header(content: bytes) -> SecurityHeader:
    """Return the header of ``content``; nothing of it is authenticated yet.

    Raises:
        TruncatedError: fewer than five octets.
    """
    if len(content) < HEADER.size:
        raise TruncatedError(f"{len(content)} octets are no security header")
    octet, counter = HEADER.unpack_from(content)
    return SecurityHeader(_CONTROLS[octet], counter)
