"""A node as client: many requests at once, and exactly one outcome for each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header, encode_apdu
from protocols.c12.association import (
    Answered,
    ClosingCause,
    Delivery,
    Failure,
    NoException,
    RefusalKind,
    Refused,
    RequestFailed,
    RequestRefused,
    SessionClosed,
    SessionOpened,
)
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Message, MissingKeyError, encode_message, read_message
from protocols.c12.options import (
    ChannelOptions,
    ClientOptions,
    ServerOptions,
    SessionAuthentication,
)
from protocols.c12.services import (
    FullRead,
    FullWrite,
    Logoff,
    Logon,
    LogonBody,
    Response,
    ResponseCode,
    Security,
    Terminate,
    encode_response,
    ok,
    read_response,
)
from protocols.c12.titles import ApTitle, meter_title, relay_title
from protocols.errors import LocalProtocolError
from tests.support.c12_nodes import HEAD_END, KEY, METER, PASSWORD, UTC_S, Pair, events_of

PEER = METER.absolute()
CIPHERED = Delivery(SecurityMode.CIPHERED, 3)
LOGON = Logon(1, b"user".ljust(10), 60)
TABLE = read_response(bytes(range(50)))
READ = [FullRead(1)]


def _lose(apdus: list[bytes]) -> list[bytes]:
    return []


@pytest.mark.parametrize("mode", SecurityMode)
def test_a_request_is_answered(mode: SecurityMode) -> None:
    pair = Pair()
    delivery = Delivery(mode, 3)
    pair.client.request(
        METER, [Security(PASSWORD, 2), FullWrite(5, b"x")], now=0.0, delivery=delivery
    )
    vector = None if mode is SecurityMode.CLEAR else UTC_S
    assert pair.run() == [Answered(1, PEER, (ok(), ok()), mode, vector)]
    assert pair.client.outstanding == 0
    assert pair.head_end.deadline is None


def test_the_request_octet_by_octet() -> None:
    pair = Pair()
    delivery = Delivery(
        response=ResponseControl.ON_EXCEPTION,
        qualifier=AeQualifier.NOTIFICATION,
        ed_class=b"TEMP",
        recovery=True,
        proxy=True,
    )
    pair.client.request(METER.absolute(), READ, now=0.0, delivery=delivery)
    assert pair.head_end.data_to_send() == [
        bytes.fromhex(
            "60 2d  a2 0c 06 0a 60 7c 86 f7 54 01 16 00 02 01  a6 04 80 02 03 01"
            "  a7 03 02 01 04  a8 03 02 01 01"
            "  be 0d 28 0b 81 09 f1 54 45 4d 50 03 30 00 01"
        )
    ]


def test_many_at_once_in_any_order() -> None:
    pair = Pair()
    for _ in range(3):
        pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    assert pair.client.outstanding == 3
    clear = Pair()
    for _ in range(3):
        clear.client.request(METER, READ, now=0.0)
    answered = clear.run(disturb_answers=lambda apdus: apdus[::-1])
    assert [event.invocation for event in answered if isinstance(event, Answered)] == [3, 2, 1]
    assert [type(event) for event in pair.run()] == [Answered] * 3


def test_the_title_is_all_that_matters() -> None:
    pair = Pair()
    other = meter_title(7)
    pair.client.request(METER, READ, now=0.0)
    pair.client.request(other, READ, now=0.0)
    assert pair.run() == [
        Answered(1, PEER, (TABLE,), SecurityMode.CLEAR),
        # Whoever got it is not meter 7, and says so in clear.
        RequestRefused(2, other.absolute(), PEER, ResponseCode.UNKNOWN_APPLICATION_TITLE),
    ]


def test_own_titles_may_be_absolute() -> None:
    pair = Pair(client=ClientOptions(relative_titles=False))
    pair.client.request(METER, READ, now=0.0)
    (apdu,) = pair.head_end.data_to_send()
    assert read_message(apdu).header.calling == HEAD_END.absolute()


def test_a_request_without_an_answer_is_not_waited_for() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0, delivery=Delivery(response=ResponseControl.NEVER))
    assert pair.client.outstanding == 0
    assert pair.run() == []


def test_silence_is_consent_where_only_exceptions_are_answered() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0, retries=5))
    delivery = Delivery(response=ResponseControl.ON_EXCEPTION)
    pair.client.request(METER, READ, now=0.0, delivery=delivery)
    pair.client.request(METER, [FullRead(9)], now=0.0, delivery=delivery)
    refusal = Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)
    assert pair.run() == [Answered(2, PEER, (refusal,), SecurityMode.CLEAR)]
    pair.head_end.handle_deadline(10.0)
    assert events_of(pair.head_end) == [NoException(1, PEER)]
    assert pair.head_end.data_to_send() == []


def test_time_runs_out() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0))
    pair.client.request(METER, READ, now=5.0)
    pair.client.request(METER, READ, now=5.0, delivery=Delivery(timeout_s=2.0))
    assert pair.head_end.deadline == 7.0
    pair.head_end.handle_deadline(7.0)
    assert events_of(pair.head_end) == [RequestFailed(2, PEER, Failure.TIMED_OUT)]
    assert pair.head_end.deadline == 15.0
    pair.head_end.handle_deadline(14.9)
    assert events_of(pair.head_end) == []
    pair.head_end.handle_deadline(15.0)
    assert events_of(pair.head_end) == [RequestFailed(1, PEER, Failure.TIMED_OUT)]
    assert pair.head_end.deadline is None


def test_a_retry_has_the_same_invocation_id_and_a_new_vector() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0, retries=1))
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    (first,) = pair.head_end.data_to_send()
    pair.head_end.handle_deadline(10.0)
    (second,) = pair.head_end.data_to_send()
    headers = [read_message(apdu).header for apdu in (first, second)]
    assert headers[0].calling_invocation == headers[1].calling_invocation
    assert [header.authentication for header in headers] == [
        AuthenticationValue(UTC_S, 3),
        AuthenticationValue(UTC_S + 1, 3),
    ]
    pair.head_end.handle_deadline(20.0)
    assert events_of(pair.head_end) == [RequestFailed(1, PEER, Failure.TIMED_OUT)]


def test_a_lost_answer_costs_a_retry_and_no_second_execution() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0, retries=1))
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    assert pair.run(disturb_answers=_lose) == []
    pair.head_end.handle_deadline(10.0)
    assert [type(event) for event in pair.run(10.0)] == [Answered]
    assert pair.application.handled == READ
    assert pair.refused == {RefusalKind.REPEATED_REQUEST: 1}


def test_a_doubled_answer_is_unexpected() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0)
    answered, refused = pair.run(disturb_answers=lambda apdus: apdus * 2)
    assert isinstance(answered, Answered)
    assert refused == Refused(PEER, RefusalKind.UNEXPECTED_RESPONSE, "invocation id 1")


def test_cancelled_requests_are_forgotten() -> None:
    pair = Pair()
    invocation = pair.client.request(METER, READ, now=0.0)
    assert pair.client.cancel(METER, invocation)
    assert not pair.client.cancel(METER, invocation)
    assert pair.head_end.deadline is None
    (event,) = pair.run()
    assert isinstance(event, Refused)


def test_requests_are_bounded() -> None:
    pair = Pair(client=ClientOptions(max_outstanding=1))
    pair.client.request(METER, READ, now=0.0)
    with pytest.raises(LocalProtocolError, match="outstanding"):
        pair.client.request(METER, READ, now=0.0)


# --- refusals and forgeries


def test_a_wrong_key_is_told_in_clear() -> None:
    pair = Pair(meter_key=bytes(16))
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    code = ResponseCode.SECURITY_MECHANISM_ERROR
    assert pair.run() == [RequestRefused(1, PEER, PEER, code)]


def test_clear_refusals_may_be_refused() -> None:
    pair = Pair(meter_key=bytes(16), client=ClientOptions(accepts_clear_refusals=False))
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    assert pair.run() == [Refused(PEER, RefusalKind.NOT_PROTECTED, "clear")]
    assert pair.client.outstanding == 1


def _answer(
    *responses: Response,
    invocation: bytes = b"\x01",
    calling: ApTitle = METER,
    security: SecurityMode = SecurityMode.CLEAR,
    vector: int = UTC_S,
) -> bytes:
    value = AuthenticationValue(vector, 3) if security is not SecurityMode.CLEAR else None
    header = Header(HEAD_END, calling, b"\x55", invocation, authentication=value)
    services = tuple(encode_response(response) for response in responses)
    return encode_message(Message(header, Epsem(services, Control(security))), KEY)


@pytest.mark.parametrize(
    "forged",
    [
        _answer(TABLE),
        _answer(ok()),
        _answer(Response(ResponseCode.DEVICE_BUSY), Response(ResponseCode.DEVICE_BUSY)),
        _answer(),
    ],
)
def test_data_in_clear_never_answers_a_protected_request(forged: bytes) -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    pair.head_end.receive_apdu(forged, 0.0)
    (event,) = events_of(pair.head_end)
    assert isinstance(event, Refused)
    assert event.kind is RefusalKind.NOT_PROTECTED
    assert [type(event) for event in pair.run()] == [Answered]


@pytest.mark.parametrize(
    ("code", "invocation", "count", "refused"),
    [
        (ResponseCode.NETWORK_NOT_REACHABLE, b"\x01", 1, True),
        (ResponseCode.NETWORK_TIMEOUT, b"\x01", 1, True),
        (ResponseCode.NETWORK_NOT_REACHABLE, b"\x02", 1, False),
        (ResponseCode.NETWORK_NOT_REACHABLE, b"\x01", 2, False),
        (ResponseCode.ERROR, b"\x01", 1, False),
        (ResponseCode.OK, b"\x01", 1, False),
    ],
)
def test_a_relay_may_refuse_what_it_cannot_deliver(
    code: ResponseCode, invocation: bytes, count: int, refused: bool
) -> None:
    pair = Pair()
    relay = relay_title(0)
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    answer = _answer(*[Response(code)] * count, invocation=invocation, calling=relay)
    pair.head_end.receive_apdu(answer, 0.0)
    (event,) = events_of(pair.head_end)
    if refused:
        assert event == RequestRefused(1, PEER, relay.absolute(), code)
    else:
        assert isinstance(event, Refused)
        assert event.kind is RefusalKind.UNEXPECTED_RESPONSE


def test_a_stranger_protected_by_his_own_key_refuses_nothing() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    code = ResponseCode.NETWORK_NOT_REACHABLE
    answer = _answer(Response(code), calling=relay_title(0), security=SecurityMode.CIPHERED)
    pair.head_end.receive_apdu(answer, 0.0)
    (event,) = events_of(pair.head_end)
    assert isinstance(event, Refused)


def test_a_tampered_answer_changes_nothing() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    (event,) = pair.run(disturb_answers=lambda apdus: [a[:-1] + b"\xff" for a in apdus])
    assert isinstance(event, Refused)
    assert event.kind is RefusalKind.WRONG_MAC
    assert pair.client.outstanding == 1
    # Nobody is told of a bad answer: that would be an answer to an answer.
    assert pair.head_end.data_to_send() == []


def test_a_replayed_answer_is_refused() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    pair.run()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    old = _answer(TABLE, invocation=b"\x02", security=SecurityMode.CIPHERED, vector=UTC_S)
    pair.head_end.receive_apdu(old, 0.0)
    (event,) = events_of(pair.head_end)
    assert isinstance(event, Refused)
    assert event.kind is RefusalKind.REPEATED_VECTOR


@pytest.mark.parametrize("services", [(b"\x99",), (b"",)])
def test_a_malformed_answer(services: tuple[bytes, ...]) -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0)
    header = Header(HEAD_END, METER, b"\x01", b"\x01")
    pair.head_end.receive_apdu(encode_message(Message(header, Epsem(services))), 0.0)
    (event,) = events_of(pair.head_end)
    assert isinstance(event, Refused)
    assert event.kind is RefusalKind.MALFORMED_SERVICE


def test_an_answer_from_nobody() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0)
    header = Header(HEAD_END, None, b"\x01", b"\x01")
    pair.head_end.receive_apdu(encode_apdu(header, b"\x80"), 0.0)
    assert events_of(pair.head_end)[0] == Refused(None, RefusalKind.MALFORMED, "no calling ApTitle")


# --- segments


def test_long_requests_and_answers_travel_in_segments() -> None:
    narrow = ChannelOptions(max_send_size=120)
    pair = Pair(meter_channel=narrow, head_end_channel=narrow)
    pair.application.table = bytes(1500)
    data = bytes(range(256)) * 3
    pair.client.request(
        METER, [FullRead(1), Security(PASSWORD, 2), FullWrite(5, data)], now=0.0, delivery=CIPHERED
    )

    def check(apdus: list[bytes]) -> list[bytes]:
        assert len(apdus) > 10
        assert max(map(len, apdus)) <= 120
        return apdus[::-1]

    (event,) = pair.run(disturb=check, disturb_answers=check)
    assert isinstance(event, Answered)
    assert event.responses == (read_response(bytes(1500)), ok(), ok())
    assert pair.application.table == data


def test_a_lost_segment_of_an_answer_fails_the_request_once() -> None:
    pair = Pair(meter_channel=ChannelOptions(max_send_size=60), client=ClientOptions(timeout_s=70))
    pair.client.request(METER, READ, now=0.0)
    assert pair.run(disturb_answers=lambda apdus: apdus[1:]) == []
    assert pair.head_end.deadline == 60.0
    pair.head_end.handle_deadline(60.0)
    (lost,) = events_of(pair.head_end)
    assert isinstance(lost, Refused)
    assert lost.kind is RefusalKind.SEGMENT_LOST
    pair.head_end.handle_deadline(70.0)
    assert events_of(pair.head_end) == [RequestFailed(1, PEER, Failure.TIMED_OUT)]


# --- sessions


def _log_on(pair: Pair, delivery: Delivery = CIPHERED) -> None:
    pair.client.request(METER, [LOGON], now=0.0, delivery=delivery)
    answered, opened = pair.run()
    assert isinstance(answered, Answered)
    assert answered.responses == (ok(LogonBody(60)),)
    assert opened == SessionOpened(PEER, 60)
    assert pair.client.has_session(METER)


@pytest.mark.parametrize("mode", SecurityMode)
@pytest.mark.parametrize("rule", SessionAuthentication)
def test_a_session_from_logon_to_logoff(mode: SecurityMode, rule: SessionAuthentication) -> None:
    channel = ChannelOptions(session_authentication=rule)
    pair = Pair(meter_channel=channel, head_end_channel=channel)
    delivery = Delivery(mode, 3)
    _log_on(pair, delivery)
    seen: list[bytes] = []

    def see(apdus: list[bytes]) -> list[bytes]:
        seen.extend(apdus)
        return apdus

    for requests in ([Security(PASSWORD)], READ, [Logoff()]):
        pair.client.request(METER, requests, now=0.0, delivery=delivery)
    *answers, closed = pair.run(disturb=see, disturb_answers=see)
    assert [event.invocation for event in answers if isinstance(event, Answered)] == [1, 2, 3]
    assert closed == SessionClosed(PEER, ClosingCause.LOGGED_OFF)
    said = [read_message(apdu).header.authentication is not None for apdu in seen]
    every = rule is SessionAuthentication.EVERY and mode is not SecurityMode.CLEAR
    assert said == [every] * 6
    assert not pair.client.has_session(METER)
    pair.client.request(METER, READ, now=0.0, delivery=delivery)
    (event,) = pair.run()
    assert isinstance(event, Answered)


def test_a_lost_answer_to_logon_is_made_good_by_a_retry() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0, retries=1))
    pair.client.request(METER, [LOGON], now=0.0, delivery=CIPHERED)
    assert pair.run(disturb_answers=_lose) == []
    pair.head_end.handle_deadline(10.0)
    assert [type(event) for event in pair.run(10.0)] == [Answered, SessionOpened]
    pair.client.request(METER, READ, now=10.0, delivery=CIPHERED)
    (event,) = pair.run(10.0)
    assert isinstance(event, Answered)
    assert event.responses == (TABLE,)


def test_a_lost_answer_in_a_session_is_made_good_by_a_retry() -> None:
    pair = Pair(client=ClientOptions(timeout_s=10.0, retries=1))
    _log_on(pair)
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    assert pair.run(disturb_answers=_lose) == []
    pair.head_end.handle_deadline(10.0)
    (event,) = pair.run(10.0)
    assert isinstance(event, Answered)
    assert pair.application.handled == [LOGON, *READ]


def test_silence_ends_a_session_on_both_sides() -> None:
    pair = Pair()
    _log_on(pair)
    pair.client.request(METER, READ, now=50.0, delivery=CIPHERED)
    pair.run(50.0)
    for endpoint in (pair.head_end, pair.meter):
        events_of(endpoint)
        endpoint.handle_deadline(109.9)
        assert events_of(endpoint) == []
        endpoint.handle_deadline(110.0)
        (closed,) = events_of(endpoint)
        assert isinstance(closed, SessionClosed)
        assert closed.cause is ClosingCause.IDLE
        assert endpoint.deadline is None


def test_what_is_outstanding_ends_with_its_session() -> None:
    pair = Pair()
    _log_on(pair)
    pair.client.request(METER, [Terminate()], now=0.0, delivery=CIPHERED)
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    terminate, _read = pair.head_end.data_to_send()
    pair.meter.receive_apdu(terminate, 0.0)
    for apdu in pair.meter.data_to_send():
        pair.head_end.receive_apdu(apdu, 0.0)
    assert events_of(pair.head_end)[1:] == [
        RequestFailed(2, PEER, Failure.SESSION_ENDED),
        SessionClosed(PEER, ClosingCause.TERMINATED),
    ]


def test_a_session_that_the_peer_has_lost() -> None:
    pair = Pair()
    _log_on(pair)
    pair.server.end()
    pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    code = ResponseCode.SECURITY_MECHANISM_ERROR
    assert pair.run() == [RequestRefused(1, PEER, PEER, code)]
    pair.client.forget_session(METER)
    pair.client.forget_session(METER)
    assert events_of(pair.head_end) == [SessionClosed(PEER, ClosingCause.TERMINATED)]
    _log_on(pair)


def test_logon_has_its_place() -> None:
    pair = Pair()
    pair.client.request(METER, READ, now=0.0)
    with pytest.raises(LocalProtocolError, match="1 requests"):
        pair.client.request(METER, [LOGON], now=0.0)
    pair.run()
    pair.client.request(METER, [LOGON], now=0.0)
    with pytest.raises(LocalProtocolError, match="Logon"):
        pair.client.request(METER, READ, now=0.0)
    pair.run()
    with pytest.raises(LocalProtocolError, match="already"):
        pair.client.request(METER, [LOGON], now=0.0)


def test_a_refused_logon_opens_nothing() -> None:
    pair = Pair(server=ServerOptions(max_sessions=0))
    pair.client.request(METER, [LOGON], now=0.0)
    (event,) = pair.run()
    assert isinstance(event, Answered)
    assert event.responses == (Response(ResponseCode.DEVICE_BUSY),)
    assert not pair.client.has_session(METER)


@pytest.mark.parametrize(("body", "opened"), [(b"\0\0", True), (b"", False)])
def test_what_logon_is_answered_with(body: bytes, opened: bool) -> None:
    pair = Pair()
    pair.client.request(METER, [LOGON], now=0.0)
    pair.head_end.receive_apdu(_answer(Response(ResponseCode.OK, body)), 0.0)
    assert pair.client.has_session(METER) is opened
    # No timeout is no timeout.
    assert pair.head_end.deadline is None
    # What the answer's own octets got wrong is nobody's request.
    pair.head_end.data_to_send()
    assert pair.head_end.data_to_send() == []


def test_no_key_no_request() -> None:
    pair = Pair()
    node = replace(pair.head_end_channel.node, keys=lambda peer, key_id: None)
    pair.head_end_channel.node = node
    with pytest.raises(MissingKeyError):
        pair.client.request(METER, READ, now=0.0, delivery=CIPHERED)
    assert pair.client.outstanding == 0


@given(st.data())
def test_garbage_never_raises(data: st.DataObject) -> None:
    pair = Pair()
    pair.client.request(METER, [LOGON, *READ], now=0.0, delivery=CIPHERED)

    def spoil(apdus: list[bytes]) -> list[bytes]:
        spoiled = []
        for apdu in apdus:
            octets = bytearray(apdu)
            for _ in range(data.draw(st.integers(0, 3))):
                octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
            spoiled.append(bytes(octets))
        return spoiled

    for event in pair.run(disturb=spoil, disturb_answers=spoil):
        if isinstance(event, Answered):
            # What is believed was protected, and says what the meter said.
            assert event.security is SecurityMode.CIPHERED
            assert event.responses == (ok(LogonBody(60)), TABLE)
    pair.head_end.handle_deadline(1e6)
    assert pair.client.outstanding == 0
