"""Why something that a peer sent was refused: one vocabulary for both roles, made to be counted."""

from __future__ import annotations

from enum import Enum, auto


class RefusalKind(Enum):
    """Why something a peer sent was not carried out."""

    BAD_FRAME = auto()
    TRUNCATED = auto()
    MALFORMED_APDU = auto()
    UNKNOWN_APDU = auto()
    OVERSIZED_APDU = auto()
    NOT_ASSOCIATED = auto()
    OUT_OF_TURN = auto()
    SERVICE_NOT_NEGOTIATED = auto()
    NOT_PROTECTED_ENOUGH = auto()
    WRONG_MAC = auto()
    REPLAYED = auto()
    WRONG_SYSTEM_TITLE = auto()
    SECURITY_NOT_SUPPORTED = auto()
    BLOCK_OUT_OF_TURN = auto()
    UNKNOWN_CLIENT = auto()
    UNKNOWN_DEVICE = auto()
    CONTEXT_NOT_SUPPORTED = auto()
    MECHANISM_NOT_SUPPORTED = auto()
    AUTHENTICATION_REQUIRED = auto()
    AUTHENTICATION_FAILED = auto()
    SYSTEM_TITLE_MISSING = auto()
    INITIATE_REFUSED = auto()
    TOO_MANY_ASSOCIATIONS = auto()
    REFUSED_BY_PEER = auto()
    COUNTER_USED_UP = auto()
