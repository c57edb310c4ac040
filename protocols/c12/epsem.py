"""EPSEM: the control octet, and the services that one APDU carries.

Source: ANSI C12.22 (EPSEM)::

    control | [ed-class, 4 octets] | (length, service)* | [MAC, 4 octets]
    control: b7 always 1 | b6 recovery session | b5 proxy service used | b4 ed-class included |
             b3-2 security mode | b1-0 response control

The control octet is never encrypted; ed-class is, together with the services.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocols.c12 import ber
from protocols.errors import CodecError

CODEC: Final = "EPSEM"
ED_CLASS_SIZE: Final = 4
MAX_SERVICES: Final = 256
_RESERVED: Final = 0x80
_RECOVERY: Final = 0x40
_PROXY: Final = 0x20
_ED_CLASS: Final = 0x10
_SECURITY_SHIFT: Final = 2
_TWO_BITS: Final = 0x03


class SecurityMode(IntEnum):
    """How the services are protected; a greater one protects more."""

    CLEAR = 0
    AUTHENTICATED = 1
    CIPHERED = 2


class ResponseControl(IntEnum):
    """When the sender wants an answer."""

    ALWAYS = 0
    ON_EXCEPTION = 1
    NEVER = 2


@dataclass(frozen=True, slots=True)
class Control:
    """The control octet, but for the bit that says that an ed-class follows."""

    security: SecurityMode = SecurityMode.CLEAR
    response: ResponseControl = ResponseControl.ALWAYS
    recovery: bool = False
    proxy: bool = False

    def to_octet(self, *, has_ed_class: bool) -> int:
        """Return the octet."""
        return (
            _RESERVED
            | _RECOVERY * self.recovery
            | _PROXY * self.proxy
            | _ED_CLASS * has_ed_class
            | self.security << _SECURITY_SHIFT
            | self.response
        )


@dataclass(frozen=True, slots=True)
class Epsem:
    """What one APDU carries: services, each as its octets. ``ed_class`` is 4 octets or none."""

    services: tuple[bytes, ...]
    control: Control = Control()
    ed_class: bytes | None = None

    def control_octet(self) -> int:
        """Return the control octet."""
        return self.control.to_octet(has_ed_class=self.ed_class is not None)

    def content(self) -> bytes:
        """Return what the control octet is followed by, in clear; raises `CodecError`."""
        if self.ed_class is not None and len(self.ed_class) != ED_CLASS_SIZE:
            raise CodecError(f"{len(self.ed_class)} octets", codec=CODEC, path="ed_class")
        parts = [self.ed_class or b""]
        for service in self.services:
            parts += (ber.length(len(service)), service)
        return b"".join(parts)


def decode_control(octet: int) -> tuple[Control, bool]:
    """Return what ``octet`` (u8) says, and whether an ed-class follows; raises `CodecError`."""
    known = _CONTROLS.get(octet)
    if known is None:
        raise CodecError(f"{octet:#04x}", codec=CODEC, path="control")
    return known


def decode_content(control: Control, has_ed_class: bool, content: bytes) -> Epsem:
    """Return the EPSEM whose control octet is followed by ``content``, in clear.

    Raises:
        CodecError: cut short, or more than `MAX_SERVICES` services.
    """
    start = ED_CLASS_SIZE if has_ed_class else 0
    if len(content) < start:
        raise CodecError(f"{len(content)} octets", codec=CODEC, path="ed_class")
    services: list[bytes] = []
    offset, end = start, len(content)
    while offset < end:
        if len(services) == MAX_SERVICES:
            raise CodecError(f"more than {MAX_SERVICES}", codec=CODEC, path="services")
        first, offset = ber.read_size(content, offset, end, f"services[{len(services)}]")
        services.append(content[first:offset])
    return Epsem(tuple(services), control, content[:start] if has_ed_class else None)


def _controls() -> dict[int, tuple[Control, bool]]:
    found = {}
    for octet in range(_RESERVED, 256):
        security, response = octet >> _SECURITY_SHIFT & _TWO_BITS, octet & _TWO_BITS
        if security <= SecurityMode.CIPHERED and response <= ResponseControl.NEVER:
            control = Control(
                SecurityMode(security),
                ResponseControl(response),
                bool(octet & _RECOVERY),
                bool(octet & _PROXY),
            )
            found[octet] = control, bool(octet & _ED_CLASS)
    return found


_CONTROLS: Final = _controls()
