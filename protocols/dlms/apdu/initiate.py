"""The xDLMS Initiate service: InitiateRequest (0x01), InitiateResponse (0x08).

They travel as user-information of AARQ and AARE (Green Book 9.4.4, 9.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

from construct import Const, ExprAdapter, Flag, Int8sb, Int8ub, Int16sb, Int16ub, Int24ub

from protocols.dlms.apdu.fields import OCTETS, Choice, optional
from protocols.dlms.apdu.layout import layout

DLMS_VERSION: Final = 6
VAA_NAME_LOGICAL_NAME: Final = 0x0007
VAA_NAME_SHORT_NAME: Final = -1536  # 0xFA00 as Integer16


class Conformance(IntFlag):
    """The services a side offers; bit 0 of the standard is the highest of 24 (IEC 62056-5-3)."""

    NONE = 0
    GENERAL_PROTECTION = 1 << 22
    GENERAL_BLOCK_TRANSFER = 1 << 21
    READ = 1 << 20
    WRITE = 1 << 19
    UNCONFIRMED_WRITE = 1 << 18
    DELTA_VALUE_ENCODING = 1 << 17
    ATTRIBUTE_0_SUPPORTED_WITH_SET = 1 << 15
    PRIORITY_MGMT_SUPPORTED = 1 << 14
    ATTRIBUTE_0_SUPPORTED_WITH_GET = 1 << 13
    BLOCK_TRANSFER_WITH_GET_OR_READ = 1 << 12
    BLOCK_TRANSFER_WITH_SET_OR_WRITE = 1 << 11
    BLOCK_TRANSFER_WITH_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    INFORMATION_REPORT = 1 << 8
    DATA_NOTIFICATION = 1 << 7
    ACCESS = 1 << 6
    PARAMETERIZED_ACCESS = 1 << 5
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    EVENT_NOTIFICATION = 1 << 1
    ACTION = 1 << 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateRequest:
    """What the client proposes; ``max_receive_pdu_size`` in octets, 0 for no limit."""

    conformance: Conformance
    max_receive_pdu_size: int
    dedicated_key: bytes | None = None
    response_allowed: bool = True
    quality_of_service: int | None = None
    dlms_version: int = DLMS_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateResponse:
    """What the server agrees to; ``max_receive_pdu_size`` in octets, 0 for no limit."""

    conformance: Conformance
    max_receive_pdu_size: int
    vaa_name: int = VAA_NAME_LOGICAL_NAME
    quality_of_service: int | None = None
    dlms_version: int = DLMS_VERSION


# [APPLICATION 31] IMPLICIT BIT STRING in BER: tag, 4 octets, no unused bits.
_CONFORMANCE_HEADER: Final = Const(b"\x5f\x1f\x04\x00")
_CONFORMANCE: Any = "conformance" / ExprAdapter(
    Int24ub, lambda bits, _: Conformance(bits), lambda flags, _: int(flags)
)
# BOOLEAN DEFAULT TRUE: absent means true, and absent is how we write it.
_RESPONSE_ALLOWED: Any = "response_allowed" / ExprAdapter(
    Choice({0: None, 1: Flag}, lambda allowed: int(allowed is not None)),
    lambda allowed, _: True if allowed is None else allowed,
    lambda allowed, _: None if allowed else False,
)
_QUALITY: Final = "quality_of_service" / optional(Int8sb)
_VERSION: Final = "dlms_version" / Int8ub
_PDU_SIZE: Final = "max_receive_pdu_size" / Int16ub

LAYOUTS: Final = (
    layout(
        InitiateRequest,
        b"\x01",
        "dedicated_key" / optional(OCTETS),
        _RESPONSE_ALLOWED,
        _QUALITY,
        _VERSION,
        _CONFORMANCE_HEADER,
        _CONFORMANCE,
        _PDU_SIZE,
    ),
    layout(
        InitiateResponse,
        b"\x08",
        _QUALITY,
        _VERSION,
        _CONFORMANCE_HEADER,
        _CONFORMANCE,
        _PDU_SIZE,
        "vaa_name" / Int16sb,
    ),
)
