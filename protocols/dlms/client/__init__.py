"""The client's side of DLMS/COSEM over the TCP wrapper, sans-IO."""

from __future__ import annotations

from protocols.dlms.client.events import (
    ActionAnswer,
    Associated,
    AssociationFailed,
    ClientEvent,
    Disconnected,
    GetListResult,
    GetResult,
    Notified,
    Refused,
    Released,
    ServiceRefused,
    SetResult,
    TimedOut,
)
from protocols.dlms.client.session import ClientSession
from protocols.dlms.client.settings import ClientSettings

__all__ = [
    "ActionAnswer",
    "Associated",
    "AssociationFailed",
    "ClientEvent",
    "ClientSession",
    "ClientSettings",
    "Disconnected",
    "GetListResult",
    "GetResult",
    "Notified",
    "Refused",
    "Released",
    "ServiceRefused",
    "SetResult",
    "TimedOut",
]
