"""Opening and closing an association: AARQ, AARE, RLRQ, RLRE.

Source: IEC 62056-5-3 (Green Book 9.4.2), ACSE of ISO/IEC 8650-1 in BER. Names of contexts and
mechanisms are object identifiers and stay octets: one that we do not know must reach the server,
which refuses it with its own diagnostic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from protocols.dlms.data import BitString

_CONTEXT_ARC: Final = bytes.fromhex("608574050801")
_MECHANISM_ARC: Final = bytes.fromhex("608574050802")


class ApplicationContextName(bytes, Enum):
    """Application contexts (content octets of the object identifier)."""

    LOGICAL_NAME = _CONTEXT_ARC + b"\x01"
    SHORT_NAME = _CONTEXT_ARC + b"\x02"
    LOGICAL_NAME_CIPHERED = _CONTEXT_ARC + b"\x03"
    SHORT_NAME_CIPHERED = _CONTEXT_ARC + b"\x04"


class MechanismName(bytes, Enum):
    """Authentication mechanisms (content octets of the object identifier)."""

    LOWEST = _MECHANISM_ARC + b"\x00"
    LLS = _MECHANISM_ARC + b"\x01"
    HLS = _MECHANISM_ARC + b"\x02"
    HLS_MD5 = _MECHANISM_ARC + b"\x03"
    HLS_SHA1 = _MECHANISM_ARC + b"\x04"
    HLS_GMAC = _MECHANISM_ARC + b"\x05"
    HLS_SHA256 = _MECHANISM_ARC + b"\x06"
    HLS_ECDSA = _MECHANISM_ARC + b"\x07"


class AssociationResult(IntEnum):
    """How the server answered."""

    ACCEPTED = 0
    REJECTED_PERMANENT = 1
    REJECTED_TRANSIENT = 2


class DiagnosticSource(IntEnum):
    """Who gives the diagnostic; also the number of the choice on the wire."""

    ACSE_SERVICE_USER = 1
    ACSE_SERVICE_PROVIDER = 2


class ServiceUserDiagnostic(IntEnum):
    """Diagnostics of the ACSE service user."""

    NULL = 0
    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AP_TITLE_NOT_RECOGNIZED = 3
    CALLING_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 4
    CALLING_AE_QUALIFIER_NOT_RECOGNIZED = 5
    CALLING_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 6
    CALLED_AP_TITLE_NOT_RECOGNIZED = 7
    CALLED_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 8
    CALLED_AE_QUALIFIER_NOT_RECOGNIZED = 9
    CALLED_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 10
    AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED = 11
    AUTHENTICATION_MECHANISM_NAME_REQUIRED = 12
    AUTHENTICATION_FAILURE = 13
    AUTHENTICATION_REQUIRED = 14


class ServiceProviderDiagnostic(IntEnum):
    """Diagnostics of the ACSE service provider."""

    NULL = 0
    NO_REASON_GIVEN = 1
    NO_COMMON_ACSE_VERSION = 2


class ReleaseReason(IntEnum):
    """Why a release is asked for (0, 1, 30) or how it was answered (0, 1, 30)."""

    NORMAL = 0
    URGENT_OR_NOT_FINISHED = 1
    USER_DEFINED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Aarq:
    """Asks for an association.

    ``sender_acse_requirements`` is the authentication functional unit. Invocation identifiers are
    i32. ``user_information`` is an encoded xDLMS APDU: InitiateRequest, plain or ciphered.
    """

    application_context_name: bytes
    protocol_version: BitString | None = None
    called_ap_title: bytes | None = None
    called_ae_qualifier: bytes | None = None
    called_ap_invocation_id: int | None = None
    called_ae_invocation_id: int | None = None
    calling_ap_title: bytes | None = None
    calling_ae_qualifier: bytes | None = None
    calling_ap_invocation_id: int | None = None
    calling_ae_invocation_id: int | None = None
    sender_acse_requirements: bool = False
    mechanism_name: bytes | None = None
    calling_authentication_value: bytes | None = None
    implementation_information: bytes | None = None
    user_information: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aare:
    """Answers an AARQ; ``diagnostic`` belongs to ``diagnostic_source``'s enumeration."""

    application_context_name: bytes
    result: AssociationResult | int
    diagnostic_source: DiagnosticSource = DiagnosticSource.ACSE_SERVICE_USER
    diagnostic: int = 0
    protocol_version: BitString | None = None
    responding_ap_title: bytes | None = None
    responding_ae_qualifier: bytes | None = None
    responding_ap_invocation_id: int | None = None
    responding_ae_invocation_id: int | None = None
    responder_acse_requirements: bool = False
    mechanism_name: bytes | None = None
    responding_authentication_value: bytes | None = None
    implementation_information: bytes | None = None
    user_information: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlrq:
    """Asks to release the association."""

    reason: ReleaseReason | int | None = None
    user_information: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlre:
    """Answers a release."""

    reason: ReleaseReason | int | None = None
    user_information: bytes | None = None
