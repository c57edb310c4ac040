"""What an association reports: typed, for counters, monitoring and whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from protocols.c12.acse import AuthenticationValue
from protocols.c12.association.refusals import RefusalKind
from protocols.c12.epsem import SecurityMode
from protocols.c12.message import Message
from protocols.c12.services import Response, ResponseCode
from protocols.c12.titles import ApTitle


class ClosingCause(Enum):
    """Why a session ended."""

    LOGGED_OFF = auto()
    TERMINATED = auto()
    DISCONNECTED = auto()
    IDLE = auto()


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A Logon was accepted; the session ends after ``timeout_s`` of silence."""

    peer: ApTitle
    timeout_s: int


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A session that was open is gone. After DISCONNECTED close the transport, too."""

    peer: ApTitle
    cause: ClosingCause


@dataclass(frozen=True, slots=True)
class Refused:
    """Something was refused without ending the service; ``peer`` is what it claimed to be."""

    peer: ApTitle | None
    kind: RefusalKind
    detail: str


class Failure(Enum):
    """Why a request will not be answered."""

    TIMED_OUT = auto()
    """All attempts; the request may have been executed all the same."""
    SESSION_ENDED = auto()
    """The session it belonged to ended first."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request was answered: ``responses`` in the order of its services.

    ``security`` is how the answer was protected. ``vector`` is the one it came under.
    """

    invocation: int
    peer: ApTitle
    responses: tuple[Response, ...]
    security: SecurityMode
    vector: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was refused as a whole, by the peer or on the way: one error, perhaps in clear.

    ``by`` is who said so, not verified in clear. ``code`` is e.g. SECURITY_MECHANISM_ERROR,
    UNKNOWN_APPLICATION_TITLE, REQUEST_TOO_LARGE or NETWORK_NOT_REACHABLE; ``body`` what it brought.
    """

    invocation: int
    peer: ApTitle
    by: ApTitle
    code: ResponseCode
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """No answer came."""

    invocation: int
    peer: ApTitle
    failure: Failure


@dataclass(frozen=True, slots=True)
class NoException:
    """A request that wanted to hear of exceptions only heard of none in time."""

    invocation: int
    peer: ApTitle


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that may be believed as far as its security mode goes.

    ``peer`` is the absolute title of the sender. ``authentication`` is the value it came under,
    its own or its session's; ``None`` in clear.
    """

    message: Message
    peer: ApTitle
    authentication: AuthenticationValue | None

    @property
    def security(self) -> SecurityMode:
        """How it was protected."""
        return self.message.epsem.control.security


Event: TypeAlias = (
    SessionOpened
    | SessionClosed
    | Refused
    | Answered
    | RequestRefused
    | RequestFailed
    | NoException
)
