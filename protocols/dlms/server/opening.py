"""Judging a proposal: from an AARQ to what was agreed, or to why not.

IEC 62056-5-3 (Green Book 9.4.2 for AARQ and AARE, 9.4.4 for the xDLMS initiate service).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aarq,
    ApplicationContextName,
    ConfirmedServiceError,
    Conformance,
    InitiateRequest,
    MechanismName,
    ServiceUserDiagnostic,
)
from protocols.dlms.ciphering import Cipher, Envelope, Opened, Protection, refusal_kind
from protocols.dlms.cosem.access import Level
from protocols.dlms.hls import CHALLENGE_SIZES
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import SecurityError
from protocols.dlms.server.policy import LEVELS, MIN_PDU_SIZE, ClientPolicy, Credentials
from protocols.errors import CodecError, RemoteProtocolError

SYSTEM_TITLE_SIZE: Final = 8
DLMS_VERSION: Final = 6
SERVICES: Final = Conformance.GET | Conformance.SET | Conformance.ACTION
CIPHERED_CONTEXT: Final = ApplicationContextName.LOGICAL_NAME_CIPHERED
CONTEXTS: Final = frozenset({ApplicationContextName.LOGICAL_NAME.value, CIPHERED_CONTEXT.value})

CIPHERED: Final = (apdu.GloApdu, apdu.GeneralGloCiphering)
INITIATE: Final = (1, 6)
"""ConfirmedServiceError: service initiate, error choice initiate."""
VERSION_TOO_LOW, INCOMPATIBLE_CONFORMANCE, PDU_SIZE_TOO_SHORT = 1, 2, 3


class Rejection(RemoteProtocolError):
    """The proposal is refused: with which diagnostic, and for the record why."""

    def __init__(
        self,
        kind: RefusalKind,
        detail: str,
        diagnostic: ServiceUserDiagnostic = ServiceUserDiagnostic.NO_REASON_GIVEN,
        error: ConfirmedServiceError | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.diagnostic = diagnostic
        self.error = error


@dataclass(frozen=True, slots=True)
class Agreement:
    """What client and server agreed on.

    ``max_send_pdu_size`` is what the client takes. ``challenge`` is the client's (HLS only).
    ``envelope`` and ``protection`` are how the proposal came, and so how the answer goes.
    """

    level: Level
    mechanism: bytes
    context: bytes
    client_system_title: bytes
    challenge: bytes
    conformance: Conformance
    max_send_pdu_size: int
    envelope: Envelope
    protection: Protection
    cipher: Cipher | None

    @property
    def ciphered(self) -> bool:
        """Whether the association's context is a ciphered one."""
        return self.context == CIPHERED_CONTEXT


def judge(aarq: Aarq, policy: ClientPolicy, credentials: Credentials) -> Agreement:
    """Return what is agreed, or raise `Rejection`."""
    context = aarq.application_context_name
    _check_context(context, policy, credentials)
    mechanism = _mechanism(aarq, policy)
    needs_title = context == CIPHERED_CONTEXT or mechanism == MechanismName.HLS_GMAC
    title = _system_title(aarq) if needs_title else b""
    _authenticate(aarq, mechanism, credentials)
    cipher = Cipher(credentials.security, title) if needs_title and credentials.security else None
    initiate, opened = _open_initiate(aarq, policy, cipher)
    conformance, max_send_pdu_size = _negotiate(initiate, policy)
    challenge = aarq.calling_authentication_value or b""
    return Agreement(
        LEVELS[mechanism],
        mechanism,
        context,
        title,
        challenge if mechanism == MechanismName.HLS_GMAC else b"",
        conformance,
        max_send_pdu_size,
        opened.envelope,
        opened.protection,
        cipher,
    )


def _check_context(context: bytes, policy: ClientPolicy, credentials: Credentials) -> None:
    if context == CIPHERED_CONTEXT:
        supported = credentials.security is not None
    else:
        supported = context in CONTEXTS and not policy.protection
    if not supported:
        raise Rejection(
            RefusalKind.CONTEXT_NOT_SUPPORTED,
            f"application context {context.hex()}",
            ServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        )


def _mechanism(aarq: Aarq, policy: ClientPolicy) -> bytes:
    mechanism = aarq.mechanism_name or MechanismName.LOWEST.value
    if mechanism in {allowed.value for allowed in policy.mechanisms}:
        return mechanism
    if mechanism == MechanismName.LOWEST:
        raise Rejection(
            RefusalKind.AUTHENTICATION_REQUIRED,
            "no authentication offered",
            ServiceUserDiagnostic.AUTHENTICATION_REQUIRED,
        )
    raise Rejection(
        RefusalKind.MECHANISM_NOT_SUPPORTED,
        f"mechanism {mechanism.hex()}",
        ServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
    )


def _system_title(aarq: Aarq) -> bytes:
    title = aarq.calling_ap_title
    if title is None or len(title) != SYSTEM_TITLE_SIZE:
        raise Rejection(
            RefusalKind.SYSTEM_TITLE_MISSING,
            "no system title of 8 octets in calling-AP-title",
            ServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED,
        )
    return title


def _authenticate(aarq: Aarq, mechanism: bytes, credentials: Credentials) -> None:
    """Check the LLS secret, or that an HLS challenge is fit to be answered."""
    offered = aarq.calling_authentication_value or b""
    if mechanism == MechanismName.LLS:
        right = credentials.secret is not None and hmac.compare_digest(offered, credentials.secret)
        detail = "wrong secret"
    elif mechanism == MechanismName.HLS_GMAC:
        right = credentials.security is not None and len(offered) in CHALLENGE_SIZES
        detail = f"challenge of {len(offered)} octets"
    else:
        return
    if not right:
        raise Rejection(
            RefusalKind.AUTHENTICATION_FAILED,
            detail,
            ServiceUserDiagnostic.AUTHENTICATION_FAILURE,
        )


def _open_initiate(
    aarq: Aarq, policy: ClientPolicy, cipher: Cipher | None
) -> tuple[InitiateRequest, Opened]:
    ciphered = aarq.application_context_name == CIPHERED_CONTEXT
    octets = aarq.user_information or b""
    try:
        outer = apdu.decode_apdu(octets)
        if isinstance(outer, InitiateRequest):
            if policy.protection:
                raise Rejection(RefusalKind.NOT_PROTECTED_ENOUGH, "initiate request in clear")
            return outer, Opened(octets, Envelope.PLAIN)
        if cipher is None or not ciphered or not isinstance(outer, CIPHERED):
            raise Rejection(RefusalKind.INITIATE_REFUSED, f"user information {outer!r}")
        opened = cipher.open(outer)
        inner = apdu.decode_apdu(opened.octets)
    except SecurityError as problem:
        raise Rejection(
            refusal_kind(problem), str(problem), ServiceUserDiagnostic.AUTHENTICATION_FAILURE
        ) from problem
    except CodecError as problem:
        raise Rejection(RefusalKind.MALFORMED_APDU, str(problem)) from problem
    if not isinstance(inner, InitiateRequest):
        raise Rejection(RefusalKind.INITIATE_REFUSED, f"user information {inner!r}")
    if policy.protection & ~opened.protection:
        raise Rejection(RefusalKind.NOT_PROTECTED_ENOUGH, f"only {opened.protection!r}")
    return inner, opened


def _negotiate(initiate: InitiateRequest, policy: ClientPolicy) -> tuple[Conformance, int]:
    """Return the common conformance and the PDU size that the client takes."""
    common = initiate.conformance & policy.conformance
    if initiate.dlms_version < DLMS_VERSION:
        raise _initiate_error(VERSION_TOO_LOW, f"DLMS version {initiate.dlms_version}")
    if not common & SERVICES:
        raise _initiate_error(INCOMPATIBLE_CONFORMANCE, f"{initiate.conformance!r}")
    size = initiate.max_receive_pdu_size or 0xFFFF  # 0: no limit but the transport's
    if size < MIN_PDU_SIZE:
        raise _initiate_error(PDU_SIZE_TOO_SHORT, f"{size} octets")
    return common, size


def _initiate_error(value: int, detail: str) -> Rejection:
    error = ConfirmedServiceError(*INITIATE, value)
    return Rejection(RefusalKind.INITIATE_REFUSED, detail, error=error)
