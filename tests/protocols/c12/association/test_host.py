"""A notification host: what nodes push, answered once it is durable."""

from __future__ import annotations

import pytest

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.association import Notification, RefusalKind, Refused
from protocols.c12.eax_prime import for_key
from protocols.c12.epsem import Control, ResponseControl, SecurityMode
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.message import MessageTemplate, read_message
from protocols.c12.options import ChannelOptions
from protocols.c12.services import (
    Dialect,
    FullWrite,
    Response,
    ResponseCode,
    decode_response,
    encode_request,
    ok,
)
from tests.support.c12_nodes import HEAD_END, KEY, METER, UTC_S, events_of, host

WRITE = FullWrite(64, bytes(8))
PEER = METER.absolute()


def _push(
    vector: int = UTC_S,
    invocation: bytes = b"\x01",
    security: SecurityMode = SecurityMode.CIPHERED,
    response: ResponseControl = ResponseControl.ALWAYS,
    service: bytes | None = None,
) -> bytes:
    value = AuthenticationValue(0, 3) if security is not SecurityMode.CLEAR else None
    header = Header(
        HEAD_END, METER, b"\0", qualifier=AeQualifier.NOTIFICATION, authentication=value
    )
    service = service or encode_request(WRITE, Dialect.C12_22)
    template = MessageTemplate(header, Control(security, response), ed_class=b"MTST")
    return template.build((service,), invocation, vector, for_key(KEY))


def test_a_push_is_answered_when_it_is_durable() -> None:
    channel, notifications, endpoint = host()
    endpoint.receive_apdu(_push(), 0.0)
    (event,) = events_of(endpoint)
    assert isinstance(event, Notification)
    assert (event.peer, event.requests) == (PEER, (WRITE,))
    assert (event.vector, event.security) == (UTC_S, SecurityMode.CIPHERED)
    assert event.is_notification
    assert endpoint.data_to_send() == []
    assert channel.node.accepted.last_accepted(PEER.octets) is None
    notifications.confirm(event)
    (answer,) = endpoint.data_to_send()
    opened = read_message(answer).open(KEY)
    assert opened.header.called_invocation == b"\x01"
    assert opened.header.called == METER
    assert [decode_response(service) for service in opened.epsem.services] == [ok()]
    assert channel.node.accepted.last_accepted(PEER.octets) == UTC_S
    assert endpoint.deadline is None


@pytest.mark.parametrize(
    ("control", "code", "answered"),
    [
        (ResponseControl.ALWAYS, ResponseCode.OK, True),
        (ResponseControl.ON_EXCEPTION, ResponseCode.OK, False),
        (ResponseControl.ON_EXCEPTION, ResponseCode.DEVICE_BUSY, True),
        (ResponseControl.NEVER, ResponseCode.DEVICE_BUSY, False),
    ],
)
def test_response_control(control: ResponseControl, code: ResponseCode, answered: bool) -> None:
    _, notifications, endpoint = host()
    endpoint.receive_apdu(_push(response=control), 0.0)
    (event,) = events_of(endpoint)
    assert isinstance(event, Notification)
    notifications.confirm(event, Response(code))
    assert bool(endpoint.data_to_send()) is answered


def test_a_replay_is_refused_before_and_after_the_answer() -> None:
    channel, notifications, endpoint = host()
    endpoint.receive_apdu(_push(), 0.0)
    endpoint.receive_apdu(_push(), 0.0)
    event, refused = events_of(endpoint)
    assert isinstance(event, Notification)
    assert isinstance(refused, Refused)
    notifications.confirm(event)
    endpoint.receive_apdu(_push(), 0.0)
    assert channel.counts == {RefusalKind.REPEATED_VECTOR: 2}
    sealed = [read_message(apdu) for apdu in endpoint.data_to_send()]
    errors = [s for s in sealed if s.control.security is SecurityMode.CLEAR]
    assert len(errors) == 2


def test_answers_in_another_order() -> None:
    channel, notifications, endpoint = host()
    for at in range(3):
        endpoint.receive_apdu(_push(UTC_S + at, bytes((at,))), 0.0)
    events = [event for event in events_of(endpoint) if isinstance(event, Notification)]
    for at in (2, 0, 1):
        notifications.confirm(events[at])
    assert channel.node.accepted.last_accepted(PEER.octets) == UTC_S + 2
    assert len(endpoint.data_to_send()) == 3


def test_without_the_strict_rule_vectors_may_repeat() -> None:
    _, _, endpoint = host(ChannelOptions(replay=ReplayRule.OFF))
    for _ in range(2):
        endpoint.receive_apdu(_push(), 0.0)
    assert [type(event) for event in events_of(endpoint)] == [Notification] * 2


def test_a_push_in_clear() -> None:
    channel, notifications, endpoint = host()
    endpoint.receive_apdu(_push(security=SecurityMode.CLEAR), 0.0)
    (event,) = events_of(endpoint)
    assert isinstance(event, Notification)
    assert event.vector is None
    notifications.confirm(event)
    (answer,) = endpoint.data_to_send()
    assert read_message(answer).control.security is SecurityMode.CLEAR
    assert channel.node.accepted.last_accepted(PEER.octets) is None


@pytest.mark.parametrize(
    ("service", "code"),
    [
        (b"\x40\x00", ResponseCode.INAPPROPRIATE_ACTION_REQUESTED),
        (b"\x99", ResponseCode.SERVICE_NOT_SUPPORTED),
    ],
)
def test_a_service_that_cannot_be_read(service: bytes, code: ResponseCode) -> None:
    _, _, endpoint = host()
    endpoint.receive_apdu(_push(service=service), 0.0)
    (answer,) = endpoint.data_to_send()
    (octets,) = read_message(answer).open(KEY).epsem.services
    assert decode_response(octets) == Response(code)


def test_a_host_answers_no_client_and_a_client_no_request() -> None:
    channel, _, endpoint = host()
    endpoint.handle_deadline(1.0)
    endpoint.receive_apdu(bytes.fromhex("600ca403020101a803020101be00"), 0.0)
    assert endpoint.data_to_send() == []
    assert channel.counts.total() == 1
