"""Envelopes of ciphered APDUs; what is inside ``content`` is the security layer's.

Service-specific (glo- with the global key, ded- with the dedicated one): tag and content.
General: the originator's system title travels along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import Int8ub, OneOf

from protocols.dlms.apdu.fields import OCTETS
from protocols.dlms.apdu.layout import layout

GLO_TAGS: Final = {
    0x01: 0x21,  # initiate-request
    0x08: 0x28,  # initiate-response
    0x0E: 0x2E,  # confirmed-service-error
    0xC0: 0xC8,  # get-request
    0xC1: 0xC9,  # set-request
    0xC2: 0xCA,  # event-notification-request
    0xC3: 0xCB,  # action-request
    0xC4: 0xCC,  # get-response
    0xC5: 0xCD,  # set-response
    0xC7: 0xCF,  # action-response
}
"""Plain tag -> tag of its service-specific envelope under the global key."""

DED_TAGS: Final = {
    0xC0: 0xD0,
    0xC1: 0xD1,
    0xC2: 0xD2,
    0xC3: 0xD3,
    0xC4: 0xD4,
    0xC5: 0xD5,
    0xC7: 0xD7,
}
"""Plain tag -> tag of its service-specific envelope under the dedicated key."""

PLAIN_TAGS: Final = {
    **{ciphered: plain for plain, ciphered in GLO_TAGS.items()},
    **{ciphered: plain for plain, ciphered in DED_TAGS.items()},
}
"""Tag of a service-specific envelope -> tag of the APDU inside."""


@dataclass(frozen=True, slots=True)
class GloApdu:
    """A service-specific ciphered APDU, glo- or ded-: its tag says which service is inside."""

    tag: int
    content: bytes

    @property
    def plain_tag(self) -> int:
        """The tag that the APDU inside must have."""
        return PLAIN_TAGS[self.tag]

    @property
    def dedicated(self) -> bool:
        """Whether the dedicated key was used instead of the global one."""
        return self.tag in DED_TAGS.values()


@dataclass(frozen=True, slots=True)
class GeneralGloCiphering:
    """Any APDU under the global key of ``system_title`` (0 or 8 octets)."""

    system_title: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class GeneralDedCiphering:
    """Any APDU under the dedicated key of ``system_title`` (0 or 8 octets)."""

    system_title: bytes
    content: bytes


_CONTENT: Final = "content" / OCTETS
_SYSTEM_TITLE: Final = "system_title" / OCTETS

LAYOUTS: Final = (
    layout(GeneralGloCiphering, b"\xdb", _SYSTEM_TITLE, _CONTENT),
    layout(GeneralDedCiphering, b"\xdc", _SYSTEM_TITLE, _CONTENT),
    layout(GloApdu, b"", "tag" / OneOf(Int8ub, PLAIN_TAGS), _CONTENT),
)
