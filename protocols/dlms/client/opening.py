"""The client's half of opening an association: the AARQ it sends, the AARE it believes.

IEC 62056-5-3 (Green Book 9.4.2 and 9.4.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aare,
    Aarq,
    AssociationResult,
    ConfirmedServiceError,
    Conformance,
    InitiateRequest,
    InitiateResponse,
    MechanismName,
    ServiceUserDiagnostic,
)
from protocols.dlms.ciphering import Cipher, Envelope, overhead, refusal_kind
from protocols.dlms.client.events import AssociationFailed
from protocols.dlms.client.settings import ClientSettings
from protocols.dlms.hls import CHALLENGE_SIZES
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import SecurityError
from protocols.dlms.wrapper import MAX_APDU_SIZE
from protocols.errors import CodecError, RemoteProtocolError

SYSTEM_TITLE_SIZE: Final = 8


class Unbelievable(RemoteProtocolError):
    """The answer to our proposal is a refusal, or not to be trusted."""

    def __init__(self, failure: AssociationFailed) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server agreed to. ``challenge`` is the server's (HLS only)."""

    conformance: Conformance
    max_send_pdu_size: int
    server_system_title: bytes
    challenge: bytes
    cipher: Cipher | None

    def room(self, envelope: Envelope) -> int:
        """Return how many octets a request in ``envelope`` may have."""
        return min(self.max_send_pdu_size, MAX_APDU_SIZE) - overhead(envelope)


def proposal(
    settings: ClientSettings, cipher: Cipher | None, challenge: bytes
) -> tuple[bytes, int | None]:
    """Return the AARQ and the invocation counter of what is ciphered in it, if anything is."""
    counter = None
    initiate = apdu.encode_apdu(
        InitiateRequest(
            conformance=settings.conformance, max_receive_pdu_size=settings.max_pdu_size
        )
    )
    if cipher is not None and settings.envelope is not Envelope.PLAIN:
        initiate, counter = cipher.seal(initiate, settings.envelope, settings.protection)
    authenticated = settings.mechanism is not MechanismName.LOWEST
    value = challenge if settings.mechanism is MechanismName.HLS_GMAC else settings.secret
    aarq = Aarq(
        application_context_name=settings.context,
        calling_ap_title=settings.security.system_title if settings.security else None,
        sender_acse_requirements=authenticated,
        mechanism_name=settings.mechanism.value if authenticated else None,
        calling_authentication_value=value if authenticated else None,
        user_information=initiate,
    )
    return apdu.encode_apdu(aarq), counter


def believe(aare: Aare, settings: ClientSettings) -> Terms:
    """Return what the server agreed to, or raise `Unbelievable`."""
    if aare.result != AssociationResult.ACCEPTED:
        raise Unbelievable(_refusal(aare))
    title = aare.responding_ap_title or b""
    cipher = None
    if settings.security is not None and _needs_title(settings):
        if len(title) != SYSTEM_TITLE_SIZE:
            raise _unbelievable(RefusalKind.SYSTEM_TITLE_MISSING, "no responding-AP-title", aare)
        cipher = Cipher(settings.security, title)
    challenge = _challenge(aare, settings)
    initiate = _open_initiate(aare, settings, cipher)
    size = initiate.max_receive_pdu_size or 0xFFFF
    conformance = initiate.conformance & settings.conformance
    return Terms(conformance, size, title, challenge, cipher)


def _needs_title(settings: ClientSettings) -> bool:
    return settings.envelope is not Envelope.PLAIN or settings.mechanism is MechanismName.HLS_GMAC


def _challenge(aare: Aare, settings: ClientSettings) -> bytes:
    if settings.mechanism is not MechanismName.HLS_GMAC:
        return b""
    challenge = aare.responding_authentication_value or b""
    required = aare.diagnostic == ServiceUserDiagnostic.AUTHENTICATION_REQUIRED
    if not required or len(challenge) not in CHALLENGE_SIZES:
        # Without its challenge the server would never prove itself to us.
        detail = f"challenge of {len(challenge)} octets, diagnostic {aare.diagnostic}"
        raise _unbelievable(RefusalKind.AUTHENTICATION_FAILED, detail, aare)
    return challenge


def _open_initiate(aare: Aare, settings: ClientSettings, cipher: Cipher | None) -> InitiateResponse:
    try:
        message = apdu.decode_apdu(aare.user_information or b"")
        if settings.envelope is not Envelope.PLAIN and cipher is not None:
            if not isinstance(message, (apdu.GloApdu, apdu.GeneralGloCiphering)):
                detail = "initiate response in clear"
                raise _unbelievable(RefusalKind.NOT_PROTECTED_ENOUGH, detail, aare)
            opened = cipher.open(message)
            if settings.protection & ~opened.protection:
                detail = f"initiate response only {opened.protection!r}"
                raise _unbelievable(RefusalKind.NOT_PROTECTED_ENOUGH, detail, aare)
            message = apdu.decode_apdu(opened.octets)
    except SecurityError as problem:
        raise _unbelievable(refusal_kind(problem), str(problem), aare) from problem
    except CodecError as problem:
        raise _unbelievable(RefusalKind.MALFORMED_APDU, str(problem), aare) from problem
    if not isinstance(message, InitiateResponse):
        raise _unbelievable(RefusalKind.INITIATE_REFUSED, f"user information {message!r}", aare)
    return message


def _refusal(aare: Aare) -> AssociationFailed:
    error = None
    if aare.user_information:
        try:
            message = apdu.decode_apdu(aare.user_information)
        except CodecError:
            message = None
        error = message if isinstance(message, ConfirmedServiceError) else None
    detail = f"result {aare.result}, diagnostic {aare.diagnostic}"
    kind = RefusalKind.REFUSED_BY_PEER
    return AssociationFailed(kind, detail, int(aare.result), int(aare.diagnostic), error)


def _unbelievable(kind: RefusalKind, detail: str, aare: Aare) -> Unbelievable:
    failure = AssociationFailed(kind, detail, int(aare.result), int(aare.diagnostic))
    return Unbelievable(failure)
