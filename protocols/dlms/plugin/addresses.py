"""Where things are in a concentrator: logical devices, client SAPs, logical names.

docs/explanation/concentrator.md says which concentrators on the market this follows.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.concentrator_profile import NAME_SIZE
from protocols.dlms.security.suites import SYSTEM_TITLE_SIZE

MANAGEMENT_DEVICE: Final = 1
"""wPort of the management logical device (Blue Book 4.1.8.3)."""
FIRST_METER_DEVICE: Final = 256
"""wPort of the logical device of meter 0; those below are the concentrator's or reserved."""
LAST_DEVICE: Final = 0xFFFF

PREFIX_SIZE: Final = 3
"""Octets of the manufacturer's code, with which a device's name and system title begin."""


def logical_name(code: str) -> bytes:
    """Return the six octets of an OBIS code written ``A-B:C.D.E.F``."""
    return bytes(int(group) for group in code.replace("-", ".").replace(":", ".").split("."))


CLOCK: Final = logical_name("0-0:1.0.0.255")
ACTIVE_RATE: Final = logical_name("0-0:96.14.0.255")
BREAKER: Final = logical_name("0-0:96.3.10.255")
CONTROL_LOG: Final = logical_name("0-0:99.98.2.255")
EVENT_CODE: Final = logical_name("0-0:96.11.2.255")
EVENT_PARAMETER: Final = logical_name("0-0:128.11.2.255")
INVOCATION_COUNTER: Final = logical_name("0-0:43.1.0.255")
LOAD_PROFILE: Final = logical_name("1-0:99.1.0.255")
METER_LIST: Final = logical_name("0-1:128.0.0.255")
"""Where Elvaco's CMe3100 has it: a manufacturer-specific code, there is no standard one."""
READING_STATUS: Final = logical_name("0-0:96.10.1.255")
SAP_ASSIGNMENT: Final = logical_name("0-0:41.0.0.255")
SECURITY_SETUP: Final = logical_name("0-0:43.0.0.255")
TARIFF_SCRIPTS: Final = logical_name("0-0:10.0.100.255")


def meter_address(meter: int) -> int:
    """Return the wPort of a meter's logical device; ``meter`` counts within the concentrator."""
    return FIRST_METER_DEVICE + meter


def switch_name(segment: int) -> bytes:
    """Return the logical name of the breaker (segment 0) or of a consumption segment (1..8).

    Segment k is channel k: 0-k:96.3.10.255.
    """
    return bytes((BREAKER[0], segment)) + BREAKER[2:]


def system_title_of(name: bytes) -> bytes | None:
    """Return the system title of the device called ``name``; ``None`` for names of other kinds.

    Both hold the manufacturer's code and the device's number: 13 digits in a logical device name
    of 16 octets, 5 octets in a system title.
    """
    digits = name[PREFIX_SIZE:]
    if len(name) != NAME_SIZE or not digits.isdigit() or int(digits) >> 40:
        return None
    return name[:PREFIX_SIZE] + int(digits).to_bytes(SYSTEM_TITLE_SIZE - PREFIX_SIZE, "big")


def name_of(system_title: bytes) -> bytes:
    """Return the logical device name that goes with a system title of 8 octets."""
    number = int.from_bytes(system_title[PREFIX_SIZE:], "big")
    return system_title[:PREFIX_SIZE] + b"%013d" % number
