"""The server's side of DLMS/COSEM over the TCP wrapper, sans-IO."""

from __future__ import annotations

from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server.events import (
    AssociationClosed,
    AssociationOpened,
    AssociationRefused,
    ClosingCause,
    Pair,
    Refused,
    RequestServed,
    ServerEvent,
    Service,
)
from protocols.dlms.server.policy import (
    CONFORMANCE,
    DEFAULT_POLICIES,
    MANAGEMENT_CLIENT,
    PUBLIC_CLIENT,
    ClientPolicy,
    Credentials,
)
from protocols.dlms.server.session import ServerSession

__all__ = [
    "CONFORMANCE",
    "DEFAULT_POLICIES",
    "MANAGEMENT_CLIENT",
    "PUBLIC_CLIENT",
    "AssociationClosed",
    "AssociationOpened",
    "AssociationRefused",
    "ClientPolicy",
    "ClosingCause",
    "Credentials",
    "Pair",
    "RefusalKind",
    "Refused",
    "RequestServed",
    "ServerEvent",
    "ServerSession",
    "Service",
]
