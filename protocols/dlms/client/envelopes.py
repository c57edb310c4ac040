"""What a server's APDUs come in, and whether that is what was agreed."""

from __future__ import annotations

from typing import Final

from protocols.dlms import apdu
from protocols.dlms.ciphering import Cipher, Envelope, Opened
from protocols.dlms.client.settings import ClientSettings
from protocols.errors import RemoteProtocolError

EXCEPTION_TAG: Final = 0xD8
GENERAL_GLO_TAG: Final = 0xDB
CLEAR_TAGS: Final = frozenset({0x61, 0x63, EXCEPTION_TAG})
"""AARE and RLRE protect what they carry themselves; an exception tells that ciphering failed."""


def open_envelope(octets: bytes, cipher: Cipher | None) -> Opened:
    """Return the APDU out of its envelope, if it is in one.

    Raises:
        RemoteProtocolError: nothing ciphered was agreed.
        SecurityError, CodecError: it is not what it should be.
    """
    tag = tag_of(octets)
    if tag not in apdu.PLAIN_TAGS and tag != GENERAL_GLO_TAG:
        return Opened(octets, Envelope.PLAIN)
    if cipher is None:
        raise RemoteProtocolError("a ciphered APDU without a ciphered association")
    message = apdu.decode_apdu(octets)
    assert isinstance(message, (apdu.GloApdu, apdu.GeneralGloCiphering))
    return cipher.open(message)


def lacks_protection(tag: int, opened: Opened, settings: ClientSettings) -> bool:
    """Return whether an APDU that came under ``tag`` has less protection than was agreed."""
    if settings.envelope is Envelope.PLAIN or tag in CLEAR_TAGS:
        return False
    return bool(settings.protection & ~opened.protection)


def tag_of(octets: bytes) -> int:
    """Return the first octet; -1 where there is none."""
    return octets[0] if octets else -1
