"""Networked batteries in the three dialects of the public code: both ends, without any I/O."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from protocols.asking import Failed
from protocols.batteries.client import Answered, BatteryClient, ClientEvent, Refused
from protocols.batteries.dialect import Dialect
from protocols.batteries.faults import Fault
from protocols.batteries.server import BatteryServer
from protocols.batteries.v1 import V1
from protocols.batteries.v2 import V2
from protocols.batteries.v3 import V3
from protocols.batteries.values import (
    Connect,
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Remove,
    Reply,
    Request,
    SetCurrent,
    SetSchedule,
    SetStatus,
    Status,
    wants_status,
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {dialect.name: dialect for dialect in (V1, V2, V3)}
)
"""All of them, by name."""

__all__ = [
    "DIALECTS",
    "V1",
    "V2",
    "V3",
    "Answered",
    "BatteryClient",
    "BatteryServer",
    "ClientEvent",
    "Connect",
    "Dialect",
    "Done",
    "Failed",
    "Fault",
    "GetStatus",
    "Refresh",
    "Refusal",
    "Refused",
    "Remove",
    "Reply",
    "Request",
    "SetCurrent",
    "SetSchedule",
    "SetStatus",
    "Status",
    "wants_status",
]
