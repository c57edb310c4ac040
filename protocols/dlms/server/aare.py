"""The AARE: how a proposal is accepted or refused (Green Book 9.4.2)."""

from __future__ import annotations

from typing import Final

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aare,
    ApplicationContextName,
    AssociationResult,
    ServiceUserDiagnostic,
)
from protocols.dlms.server.opening import Agreement

AARQ_TAG: Final = b"\x60"


def accepted(
    agreement: Agreement, challenge: bytes, system_title: bytes | None, initiate: bytes
) -> bytes:
    """Return the AARE that accepts; a ``challenge`` asks for two more passes (HLS).

    ``initiate`` is the initiate response, ciphered as the proposal was.
    """
    required = ServiceUserDiagnostic.AUTHENTICATION_REQUIRED
    return apdu.encode_apdu(
        Aare(
            application_context_name=agreement.context,
            result=AssociationResult.ACCEPTED,
            diagnostic=required if challenge else ServiceUserDiagnostic.NULL,
            responding_ap_title=system_title,
            responder_acse_requirements=bool(challenge),
            mechanism_name=agreement.mechanism if challenge else None,
            responding_authentication_value=challenge or None,
            user_information=initiate,
        )
    )


def rejected(
    diagnostic: ServiceUserDiagnostic, error: apdu.ConfirmedServiceError | None = None
) -> bytes:
    """Return an AARE that refuses for good; with an initiate error when that is the reason."""
    return apdu.encode_apdu(
        Aare(
            application_context_name=ApplicationContextName.LOGICAL_NAME.value,
            result=AssociationResult.REJECTED_PERMANENT,
            diagnostic=diagnostic,
            user_information=None if error is None else apdu.encode_apdu(error),
        )
    )
