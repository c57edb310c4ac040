"""What a client session reports: answers, typed, and everything that went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocols.dlms.apdu import (
    ActionResult,
    ConfirmedServiceError,
    Conformance,
    DataAccessResult,
    DataNotification,
    EventNotificationRequest,
    ExceptionResponse,
    GetDataResult,
)
from protocols.dlms.cosem.base import Encoded
from protocols.dlms.refusals import RefusalKind


@dataclass(frozen=True, slots=True)
class Associated:
    """The association stands; for HLS, both sides have proved themselves."""

    conformance: Conformance
    max_send_pdu_size: int
    server_system_title: bytes


@dataclass(frozen=True, slots=True)
class AssociationFailed:
    """The server refused, or could not prove itself; the numbers are the standard's.

    ``result`` and ``diagnostic`` are the AARE's where one came.
    """

    kind: RefusalKind
    detail: str
    result: int | None = None
    diagnostic: int | None = None
    error: ConfirmedServiceError | None = None


@dataclass(frozen=True, slots=True)
class GetResult:
    """The attribute (`Encoded` when asked so), or the server's result code."""

    value: GetDataResult | Encoded


@dataclass(frozen=True, slots=True)
class GetListResult:
    """One value or result code per attribute, in the order asked."""

    values: tuple[GetDataResult, ...]


@dataclass(frozen=True, slots=True)
class SetResult:
    """How the write ended."""

    result: DataAccessResult | int


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """How the action ended and what it returned."""

    result: ActionResult | int
    returned: GetDataResult | None


@dataclass(frozen=True, slots=True)
class ServiceRefused:
    """The server answered a request with an ExceptionResponse; the association goes on."""

    response: ExceptionResponse | ConfirmedServiceError


@dataclass(frozen=True, slots=True)
class Notified:
    """The server sent something unasked."""

    notification: DataNotification | EventNotificationRequest


@dataclass(frozen=True, slots=True)
class Released:
    """The association was released as asked."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The server owed an answer and did not give it; the session is closed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The transport is gone, or what came over it could not be trusted to have boundaries."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something the server sent was not believed: it is ignored and the wait goes on."""

    kind: RefusalKind
    detail: str


ClientEvent: TypeAlias = (
    Associated
    | AssociationFailed
    | GetResult
    | GetListResult
    | SetResult
    | ActionAnswer
    | ServiceRefused
    | Notified
    | Released
    | TimedOut
    | Disconnected
    | Refused
)
