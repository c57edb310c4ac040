"""The association's rule book: every cell, then what the standard says about it."""

from __future__ import annotations

from itertools import product

import pytest

from protocols.dlms.association import (
    TRANSITIONS,
    Aborted,
    Association,
    AssociationAccepted,
    AssociationPending,
    AssociationRejected,
    AssociationRequest,
    Disconnected,
    Event,
    HlsAccepted,
    HlsRejected,
    HlsReply,
    Notification,
    NotificationConfirm,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    ServiceRequest,
    ServiceResponse,
    State,
    UnconfirmedRequest,
    mermaid,
)
from protocols.errors import LocalProtocolError, RemoteProtocolError

C, S = Role.CLIENT, Role.SERVER
Walk = list[tuple[Role, type[Event]]]


def machine(role: Role = S, *, pre_established: bool = False) -> Association:
    return Association(
        role, pre_established=pre_established, inactivity_timeout_s=120.0, response_timeout_s=10.0
    )


def walk(engine: Association, steps: Walk, now: float = 0.0) -> State:
    for actor, event in steps:
        engine.apply(actor, event, now)
    return engine.state


OPEN: Walk = [(C, AssociationRequest), (S, AssociationAccepted)]
OPEN_HLS: Walk = [
    (C, AssociationRequest),
    (S, AssociationPending),
    (C, HlsReply),
    (S, HlsAccepted),
]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("state", "actor", "event"), list(product(State, Role, Event.__subclasses__()))
)
def test_every_cell_of_the_rule_book(
    state: State, actor: Role, event: type[Event], role: Role
) -> None:
    engine = machine(role)
    engine.state = state
    target = TRANSITIONS[state].get((actor, event))
    assert engine.allows(actor, event) is (target is not None)
    if target is not None:
        engine.apply(actor, event, 0.0)
        assert engine.state is target
        return
    error = LocalProtocolError if actor is role else RemoteProtocolError
    with pytest.raises(error, match=f"{actor.name} cannot do {event.__name__} in {state.name}"):
        engine.apply(actor, event, 5.0)
    assert engine.state is state  # a refused event changes nothing
    assert engine.deadline is None


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        # Green Book 9.4.2: AARQ is answered by AARE, accepted or rejected.
        pytest.param(OPEN, State.ASSOCIATED, id="accepted"),
        pytest.param(
            [(C, AssociationRequest), (S, AssociationRejected)], State.IDLE, id="rejected"
        ),
        # Green Book 9.2.2.2.2.4: HLS takes four passes; after two the association is pending.
        pytest.param(OPEN_HLS[:2], State.HLS_PENDING, id="HLS after two passes"),
        pytest.param(OPEN_HLS, State.ASSOCIATED, id="HLS after four passes"),
        pytest.param([*OPEN_HLS[:3], (S, HlsRejected)], State.IDLE, id="HLS refused"),
        # Green Book 9.3.6: one confirmed service, one answer.
        pytest.param([*OPEN, (C, ServiceRequest)], State.AWAITING_RESPONSE, id="asked"),
        pytest.param(
            [*OPEN, (C, ServiceRequest), (S, ServiceResponse)], State.ASSOCIATED, id="answered"
        ),
        pytest.param([*OPEN, (C, UnconfirmedRequest)], State.ASSOCIATED, id="unconfirmed"),
        # Green Book 9.3.10: a notification may come while an answer is owed.
        pytest.param(
            [*OPEN, (C, ServiceRequest), (S, Notification), (C, NotificationConfirm)],
            State.AWAITING_RESPONSE,
            id="notified while waiting",
        ),
        # Green Book 9.3.4: A-RELEASE ends the association, not the transport.
        pytest.param([*OPEN, (C, ReleaseRequest), (S, ReleaseResponse)], State.IDLE, id="released"),
        pytest.param([*OPEN, (C, AssociationRequest)], State.ASSOCIATING, id="proposed anew"),
        # Green Book 9.3.5: A-ABORT.
        pytest.param([*OPEN, (S, Aborted)], State.IDLE, id="aborted"),
        pytest.param([*OPEN, (C, Disconnected)], State.CLOSED, id="disconnected"),
    ],
)
def test_conversations_of_the_standard(steps: Walk, state: State) -> None:
    assert walk(machine(), steps) is state


@pytest.mark.parametrize(
    ("steps", "actor", "event"),
    [
        pytest.param([], C, ServiceRequest, id="a request without an association"),
        pytest.param(OPEN_HLS[:2], C, ServiceRequest, id="a request before HLS is through"),
        pytest.param(OPEN, C, HlsReply, id="an HLS reply nobody asked for"),
        pytest.param([*OPEN, (C, ServiceRequest)], C, ServiceRequest, id="a second request"),
        pytest.param(OPEN, S, ServiceResponse, id="an answer to nothing"),
        pytest.param([(C, AssociationRequest)], C, AssociationRequest, id="a second AARQ"),
    ],
)
def test_what_the_standard_does_not_allow(steps: Walk, actor: Role, event: type[Event]) -> None:
    engine = machine()
    before = walk(engine, steps)
    with pytest.raises((LocalProtocolError, RemoteProtocolError)):
        engine.apply(actor, event, 0.0)
    assert engine.state is before


def test_a_pre_established_association_needs_no_aarq_and_cannot_be_released() -> None:
    # Green Book 9.3.2.3: pre-established associations cannot be released.
    engine = machine(pre_established=True)
    assert walk(engine, [(S, Notification)]) is State.PRE_ESTABLISHED
    assert walk(engine, [(C, ServiceRequest), (S, ServiceResponse)]) is State.PRE_ESTABLISHED
    with pytest.raises(RemoteProtocolError):
        engine.apply(C, ReleaseRequest, 0.0)


def test_hearing_the_client_and_answering_it_both_restart_the_inactivity_time() -> None:
    engine = machine()
    walk(engine, OPEN, now=0.0)
    assert engine.deadline == 120.0
    engine.apply(C, ServiceRequest, 100.0)
    assert engine.deadline == 220.0
    engine.apply(S, ServiceResponse, 150.0)
    assert engine.deadline == 270.0
    assert not engine.expired(269.9)
    assert engine.expired(270.0)


def test_a_client_waits_for_the_response_time_only() -> None:
    engine = machine(C)
    engine.apply(C, AssociationRequest, 0.0)
    assert engine.deadline == 10.0
    engine.apply(S, AssociationAccepted, 4.0)
    assert engine.deadline == 124.0


def test_an_idle_association_has_no_deadline() -> None:
    engine = machine()
    walk(engine, [*OPEN, (C, ReleaseRequest), (S, ReleaseResponse)])
    assert engine.deadline is None


def test_closing_twice_closes_once() -> None:
    engine = machine()
    walk(engine, OPEN)
    assert engine.close(C) is True
    assert engine.close(S) is False
    assert engine.state is State.CLOSED
    assert engine.deadline is None


def test_the_diagram_has_one_arrow_per_rule() -> None:
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    IDLE --> ASSOCIATING: client AssociationRequest" in lines
    assert len(lines) == 1 + sum(len(rules) for rules in TRANSITIONS.values())
