"""Security suite 0: protecting APDUs, HLS with GMAC, invocation counters, keys."""

from __future__ import annotations

from protocols.dlms.security.counters import ReceiveCounter, SendCounter
from protocols.dlms.security.errors import (
    DecipherError,
    ReplayError,
    SecurityError,
    SecurityPolicyError,
    TruncatedError,
    UnsupportedSuiteError,
)
from protocols.dlms.security.header import (
    AUTHENTICATED,
    AUTHENTICATED_AND_ENCRYPTED,
    ENCRYPTED,
    SecurityControl,
    SecurityHeader,
    read_header,
)
from protocols.dlms.security.keys import SecurityKeys, unwrap_key, wrap_key
from protocols.dlms.security.protection import gmac, protect, unprotect, verify_gmac

__all__ = [
    "AUTHENTICATED",
    "AUTHENTICATED_AND_ENCRYPTED",
    "ENCRYPTED",
    "DecipherError",
    "ReceiveCounter",
    "ReplayError",
    "SecurityControl",
    "SecurityError",
    "SecurityHeader",
    "SecurityKeys",
    "SecurityPolicyError",
    "SendCounter",
    "TruncatedError",
    "UnsupportedSuiteError",
    "gmac",
    "protect",
    "read_header",
    "unprotect",
    "unwrap_key",
    "verify_gmac",
    "wrap_key",
]
