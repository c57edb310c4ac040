"""What a server session reports: typed, for counters, monitoring and the device's own record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
)
from protocols.dlms.cosem.access import Level
from protocols.dlms.refusals import RefusalKind


class Service(Enum):
    """The three confirmed services."""

    GET = auto()
    SET = auto()
    ACTION = auto()


class ClosingCause(Enum):
    """Why an association ended."""

    RELEASED = auto()
    REPLACED = auto()
    INACTIVE = auto()
    AUTHENTICATION_FAILED = auto()
    SECURITY = auto()
    DISCONNECTED = auto()


@dataclass(frozen=True, slots=True)
class Pair:
    """The two wPorts of an association."""

    client_sap: int
    server_sap: int


@dataclass(frozen=True, slots=True)
class AssociationOpened:
    """An association stands; for HLS, after the fourth pass."""

    pair: Pair
    level: Level
    ciphered: bool
    client_system_title: bytes


@dataclass(frozen=True, slots=True)
class AssociationRefused:
    """A proposal or an HLS answer was refused, and answered so."""

    pair: Pair
    reason: RefusalKind
    detail: str


@dataclass(frozen=True, slots=True)
class AssociationClosed:
    """An association that stood is gone."""

    pair: Pair
    cause: ClosingCause


@dataclass(frozen=True, slots=True)
class RequestServed:
    """One attribute or method was asked for and answered (one event per item of a list).

    ``invocation_counter`` is the counter that the request came under; ``None`` in clear.
    """

    pair: Pair
    service: Service
    target: CosemAttributeDescriptor | CosemMethodDescriptor
    result: DataAccessResult | ActionResult | int
    invocation_counter: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Something was refused without ending the service; ``pair`` is unknown for a bad frame."""

    pair: Pair | None
    kind: RefusalKind
    detail: str


ServerEvent: TypeAlias = (
    AssociationOpened | AssociationRefused | AssociationClosed | RequestServed | Refused
)
