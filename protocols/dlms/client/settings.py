"""How a client presents itself to one server."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.dlms.apdu import ApplicationContextName, Conformance, MechanismName
from protocols.dlms.ciphering import (
    AUTHENTICATED_AND_ENCRYPTED,
    Envelope,
    Protection,
    SecurityContext,
)

CLIENT_CONFORMANCE = (
    Conformance.GENERAL_PROTECTION
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.DATA_NOTIFICATION
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The wPorts, how to authenticate, how to cipher, what to offer.

    ``secret`` is for LLS. ``security`` (keys, own system title, counters) is needed for HLS-GMAC
    and for any ``envelope`` but `Envelope.PLAIN`. ``max_pdu_size`` is what we take, in octets;
    ``max_transfer_size`` bounds a long answer. ``response_timeout_s`` counts from a request.
    """

    client_sap: int
    server_sap: int
    mechanism: MechanismName = MechanismName.LOWEST
    secret: bytes = b""
    security: SecurityContext | None = None
    envelope: Envelope = Envelope.PLAIN
    protection: Protection = AUTHENTICATED_AND_ENCRYPTED
    conformance: Conformance = CLIENT_CONFORMANCE
    max_pdu_size: int = 0xFFFF
    max_transfer_size: int = 64 << 20
    response_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        needs_security = (
            self.envelope is not Envelope.PLAIN or self.mechanism is MechanismName.HLS_GMAC
        )
        if needs_security and self.security is None:
            raise ValueError("HLS-GMAC and ciphering need a security context")

    @property
    def context(self) -> bytes:
        """The application context to ask for."""
        if self.envelope is Envelope.PLAIN:
            return ApplicationContextName.LOGICAL_NAME.value
        return ApplicationContextName.LOGICAL_NAME_CIPHERED.value
