"""The numbers of the services and of their answers (C12.18, C12.21, C12.22)."""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final


class Dialect(Enum):
    """Which standard's bodies are spoken, where they differ."""

    C12_18 = auto()
    C12_21 = auto()
    C12_22 = auto()


class ResponseCode(IntEnum):
    """The first octet of every response; `abbreviation` gives the standard's letters."""

    OK = 0x00
    ERROR = 0x01
    SERVICE_NOT_SUPPORTED = 0x02
    INSUFFICIENT_SECURITY_CLEARANCE = 0x03
    OPERATION_NOT_POSSIBLE = 0x04
    INAPPROPRIATE_ACTION_REQUESTED = 0x05
    DEVICE_BUSY = 0x06
    DATA_NOT_READY = 0x07
    DATA_LOCKED = 0x08
    RENEGOTIATE_REQUEST = 0x09
    INVALID_SERVICE_SEQUENCE_STATE = 0x0A
    SECURITY_MECHANISM_ERROR = 0x0B
    UNKNOWN_APPLICATION_TITLE = 0x0C
    NETWORK_TIMEOUT = 0x0D
    NETWORK_NOT_REACHABLE = 0x0E
    REQUEST_TOO_LARGE = 0x0F
    RESPONSE_TOO_LARGE = 0x10
    SEGMENTATION_NOT_POSSIBLE = 0x11
    SEGMENTATION_ERROR = 0x12

    @property
    def abbreviation(self) -> str:
        """The standard's name for it: ``"isc"``, ``"onp"`` and so on."""
        return _ABBREVIATIONS[self]


_ABBREVIATIONS: Final = (
    "ok", "err", "sns", "isc", "onp", "iar", "bsy", "dnr", "dlk", "rno",
    "isss", "sme", "uat", "nett", "netr", "rqtl", "rstl", "sgnp", "sgerr",
)  # fmt: skip


class ServiceCode(IntEnum):
    """The first octet of every request; codes above a base up to its last carry a count."""

    IDENTIFY = 0x20
    TERMINATE = 0x21
    DISCONNECT = 0x22
    DEREGISTER = 0x24
    RESOLVE = 0x25
    TRACE = 0x26
    REGISTER = 0x27
    FULL_READ = 0x30
    DEFAULT_READ = 0x3E
    OFFSET_READ = 0x3F
    FULL_WRITE = 0x40
    OFFSET_WRITE = 0x4F
    LOGON = 0x50
    SECURITY = 0x51
    LOGOFF = 0x52
    AUTHENTICATE = 0x53
    NEGOTIATE = 0x60
    WAIT = 0x70
    TIMING_SETUP = 0x71
    GET_CONFIGURATION = 0x72
    LINK_CONTROL = 0x73
    SEND_MESSAGE = 0x74
    GET_STATUS = 0x75
    GET_REGISTRATION_STATUS = 0x76
    SEND_SHORT_MESSAGE = 0x77


MAX_INDEXES: Final = 9
"""How many indexes one read or write by index may carry (31 to 39, 41 to 49)."""

MAX_BAUD_CODES: Final = 11
"""How many baud rates one Negotiate may offer (60 to 6B)."""

BAUD_RATES: Final = {
    1: 300, 2: 600, 3: 1200, 4: 2400, 5: 4800, 6: 9600, 7: 14_400, 8: 19_200, 9: 28_800,
    10: 57_600, 11: 38_400, 12: 115_200, 13: 128_000, 14: 256_000,
}  # fmt: skip
"""Bits per second by baud code; 11 to 14 are C12.22's."""
