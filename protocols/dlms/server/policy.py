"""Who may associate, how, and what the device proves itself with. All of it is data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocols.dlms.apdu import Conformance, MechanismName
from protocols.dlms.ciphering import NO_PROTECTION, Protection, SecurityContext
from protocols.dlms.cosem.access import Level

PUBLIC_CLIENT: Final = 16
MANAGEMENT_CLIENT: Final = 1

LEVELS: Final[Mapping[bytes, Level]] = {
    MechanismName.LOWEST.value: Level.PUBLIC,
    MechanismName.LLS.value: Level.LOW,
    MechanismName.HLS_GMAC.value: Level.HIGH,
}
"""The mechanisms we have, and the level each one gives."""

CONFORMANCE: Final = (
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
"""What the engines can do."""

MAX_PDU_SIZE: Final = 0xFFFF
MIN_PDU_SIZE: Final = 128
"""A client that takes less could not be sent a ciphered block worth the name."""


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """What one client SAP must bring.

    ``mechanisms`` are those allowed; ``protection`` is the least a request must carry.
    ``max_pdu_size`` (octets) is what the server takes in one APDU. With ``drop_on_wrong_key``
    the connection ends at the first frame whose authentication fails.
    """

    mechanisms: frozenset[MechanismName]
    protection: Protection = NO_PROTECTION
    conformance: Conformance = CONFORMANCE
    max_pdu_size: int = MAX_PDU_SIZE
    drop_on_wrong_key: bool = False


DEFAULT_POLICIES: Final[Mapping[int, ClientPolicy]] = {
    PUBLIC_CLIENT: ClientPolicy(frozenset({MechanismName.LOWEST})),
    MANAGEMENT_CLIENT: ClientPolicy(frozenset({MechanismName.LLS, MechanismName.HLS_GMAC})),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the device knows: the LLS secret and, for GMAC and ciphering, its security context.

    The context's counters live with the caller and survive connections.
    """

    secret: bytes | None = None
    security: SecurityContext | None = None
