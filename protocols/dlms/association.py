"""The application association: who may say what, and when.

Theory of operation
-------------------
An association has two parties but one state. `Event` classes are what either party can do;
`TRANSITIONS` is the whole rule book (IEC 62056-5-3, Green Book 9.3.2 to 9.3.5 and 9.4.2). An
event without an entry for the current state is an error: ours (`LocalProtocolError`) if we are
the party acting, theirs (`RemoteProtocolError`) otherwise. A refused event changes nothing.

This machine sees no bytes: the sessions decode APDUs into events, and keep block transfer
(`protocols.dlms.blocks`) and security counters apart, so that their states do not multiply.

* An association may be proposed again at any time after the first: the client may have lost the
  old one without the server noticing, and the new proposal ends what was there.
* A notification may come in the middle of a request (9.3.10); it moves nothing.
* A pre-established association (Green Book 9.3.2.3) exists without AARQ and cannot be released.

Time is data: `deadline` says when the association must be told the time, `handle_deadline`
tells it. A silent client is dropped after ``inactivity_timeout_s``, a server that owes an answer
after ``response_timeout_s``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from protocols.errors import LocalProtocolError, RemoteProtocolError


class Role(Enum):
    """Which party an engine plays."""

    CLIENT = auto()
    SERVER = auto()

    @property
    def peer(self) -> Role:
        """The other party."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class State(Enum):
    """Where the association stands, seen by both parties alike."""

    IDLE = auto()
    ASSOCIATING = auto()
    HLS_PENDING = auto()
    HLS_REPLYING = auto()
    ASSOCIATED = auto()
    AWAITING_RESPONSE = auto()
    RELEASING = auto()
    PRE_ESTABLISHED = auto()
    PRE_ESTABLISHED_AWAITING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """Base of everything a party can do."""


class AssociationRequest(Event):
    """AARQ: the client proposes an association."""


class AssociationAccepted(Event):
    """AARE, accepted, nothing left to prove."""


class AssociationPending(Event):
    """AARE, accepted, authentication required: two HLS passes are still to come."""


class AssociationRejected(Event):
    """AARE, rejected; or the proposal could not be answered with an association."""


class HlsReply(Event):
    """The client's answer to the server's challenge (ACTION reply_to_HLS_authentication)."""


class HlsAccepted(Event):
    """The server took the answer and proved itself."""


class HlsRejected(Event):
    """The server did not take the answer."""


class ServiceRequest(Event):
    """A confirmed GET, SET or ACTION request, or the next block of one."""


class ServiceResponse(Event):
    """The answer to a `ServiceRequest`, an ExceptionResponse included."""


class UnconfirmedRequest(Event):
    """A SET or ACTION that is not answered."""


class Notification(Event):
    """DataNotification or EventNotification from the server."""


class NotificationConfirm(Event):
    """The client confirms a notification."""


class ReleaseRequest(Event):
    """RLRQ: the client asks to end the association."""


class ReleaseResponse(Event):
    """RLRE: the server agrees."""


class Aborted(Event):
    """One side gives the association up; the transport may live on."""


class Disconnected(Event):
    """The transport is gone. Either party may cause it at any time."""


Rules: TypeAlias = Mapping[tuple[Role, type[Event]], State]

C, S = Role.CLIENT, Role.SERVER

_ENDINGS: Final[Rules] = {
    (C, Aborted): State.IDLE,
    (S, Aborted): State.IDLE,
    (C, Disconnected): State.CLOSED,
    (S, Disconnected): State.CLOSED,
}

TRANSITIONS: Final[Mapping[State, Rules]] = {
    State.IDLE: {
        (C, AssociationRequest): State.ASSOCIATING,
        (C, Disconnected): State.CLOSED,
        (S, Disconnected): State.CLOSED,
    },
    State.ASSOCIATING: {
        (S, AssociationAccepted): State.ASSOCIATED,
        (S, AssociationPending): State.HLS_PENDING,
        (S, AssociationRejected): State.IDLE,
        **_ENDINGS,
    },
    State.HLS_PENDING: {
        (C, HlsReply): State.HLS_REPLYING,
        (C, AssociationRequest): State.ASSOCIATING,
        **_ENDINGS,
    },
    State.HLS_REPLYING: {
        (S, HlsAccepted): State.ASSOCIATED,
        (S, HlsRejected): State.IDLE,
        **_ENDINGS,
    },
    State.ASSOCIATED: {
        (C, ServiceRequest): State.AWAITING_RESPONSE,
        (C, UnconfirmedRequest): State.ASSOCIATED,
        (S, Notification): State.ASSOCIATED,
        (C, NotificationConfirm): State.ASSOCIATED,
        (C, ReleaseRequest): State.RELEASING,
        (C, AssociationRequest): State.ASSOCIATING,
        **_ENDINGS,
    },
    State.AWAITING_RESPONSE: {
        (S, ServiceResponse): State.ASSOCIATED,
        (S, Notification): State.AWAITING_RESPONSE,
        (C, NotificationConfirm): State.AWAITING_RESPONSE,
        **_ENDINGS,
    },
    State.RELEASING: {
        (S, ReleaseResponse): State.IDLE,
        (S, Notification): State.RELEASING,
        **_ENDINGS,
    },
    State.PRE_ESTABLISHED: {
        (C, ServiceRequest): State.PRE_ESTABLISHED_AWAITING,
        (C, UnconfirmedRequest): State.PRE_ESTABLISHED,
        (S, Notification): State.PRE_ESTABLISHED,
        (C, NotificationConfirm): State.PRE_ESTABLISHED,
        (C, Disconnected): State.CLOSED,
        (S, Disconnected): State.CLOSED,
    },
    State.PRE_ESTABLISHED_AWAITING: {
        (S, ServiceResponse): State.PRE_ESTABLISHED,
        (S, Notification): State.PRE_ESTABLISHED_AWAITING,
        (C, NotificationConfirm): State.PRE_ESTABLISHED_AWAITING,
        (C, Disconnected): State.CLOSED,
        (S, Disconnected): State.CLOSED,
    },
    State.CLOSED: {},
}

AWAITED: Final[Mapping[State, Role]] = {
    State.ASSOCIATING: S,
    State.HLS_REPLYING: S,
    State.AWAITING_RESPONSE: S,
    State.PRE_ESTABLISHED_AWAITING: S,
    State.RELEASING: S,
}
"""Whose turn it is, in the states where one party owes an answer."""

READY: Final = frozenset({State.ASSOCIATED, State.PRE_ESTABLISHED})
"""The states in which the client may ask for something."""


class Association:
    """The state of one association, and its timer.

    ``inactivity_timeout_s`` counts from the last event of either party while nothing is owed;
    ``response_timeout_s`` while an answer is owed. ``None`` switches a timer off.
    """

    __slots__ = ("_inactivity_timeout_s", "_response_timeout_s", "deadline", "role", "state")

    def __init__(
        self,
        role: Role,
        *,
        pre_established: bool = False,
        inactivity_timeout_s: float | None = 120.0,
        response_timeout_s: float | None = None,
    ) -> None:
        self.role = role
        self.state = State.PRE_ESTABLISHED if pre_established else State.IDLE
        self.deadline: float | None = None
        self._inactivity_timeout_s = inactivity_timeout_s
        self._response_timeout_s = response_timeout_s

    def allows(self, actor: Role, event: type[Event]) -> bool:
        """Return whether ``actor`` may do ``event`` now."""
        return (actor, event) in TRANSITIONS[self.state]

    def apply(self, actor: Role, event: type[Event], now: float) -> None:
        """Let ``actor`` do ``event`` at ``now``.

        Raises `LocalProtocolError` if we may not, `RemoteProtocolError` if the peer may not; in
        both cases nothing has changed.
        """
        target = TRANSITIONS[self.state].get((actor, event))
        if target is None:
            error = LocalProtocolError if actor is self.role else RemoteProtocolError
            raise error(f"{actor.name} cannot do {event.__name__} in {self.state.name}")
        self.state = target
        self._restart_timer(now)

    def close(self, actor: Role) -> bool:
        """End with the transport; return whether it was still open. Safe to call twice."""
        if self.state is State.CLOSED:
            return False
        self.state = TRANSITIONS[self.state][actor, Disconnected]
        self.deadline = None
        return True

    def expired(self, now: float) -> bool:
        """Return whether the deadline has passed; the caller then decides what ends."""
        return self.deadline is not None and now >= self.deadline

    def _restart_timer(self, now: float) -> None:
        timeout_s = self._inactivity_timeout_s
        if AWAITED.get(self.state) is self.role.peer:
            timeout_s = self._response_timeout_s
        idle = self.state in (State.IDLE, State.CLOSED)
        self.deadline = None if idle or timeout_s is None else now + timeout_s


def mermaid(transitions: Mapping[State, Rules] = TRANSITIONS) -> str:
    """Return the rule book as a Mermaid state diagram."""
    return "\n".join(("stateDiagram-v2", *_arrows(transitions))) + "\n"


def _arrows(transitions: Mapping[State, Rules]) -> Iterator[str]:
    for state, rules in transitions.items():
        for (actor, event), target in rules.items():
            label = f"{actor.name.lower()} {event.__name__}"
            yield f"    {state.name} --> {target.name}: {label}"
