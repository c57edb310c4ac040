"""The xDLMS Initiate service: InitiateRequest (0x01), InitiateResponse (0x08).

They travel as user-information of AARQ and AARE (Green Book 9.4.4, 9.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

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
