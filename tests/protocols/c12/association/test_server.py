"""A node as server: what each request and each misdeed is answered with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.acse import AuthenticationValue, Header, SegmentPosition, encode_apdu
from protocols.c12.association import (
    ClosingCause,
    RefusalKind,
    Refused,
    SessionClosed,
    SessionOpened,
)
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import Oversized
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.message import Message, Sealed, encode_message, read_message
from protocols.c12.options import ChannelOptions, ServerOptions, SessionAuthentication
from protocols.c12.services import (
    Dialect,
    Disconnect,
    FullRead,
    FullWrite,
    Identify,
    Logoff,
    Logon,
    LogonBody,
    Negotiate,
    Request,
    Response,
    ResponseCode,
    Security,
    SizeLimitBody,
    Terminate,
    Wait,
    decode_response,
    encode_request,
    ok,
    read_response,
)
from tests.support.c12_nodes import HEAD_END, KEY, METER, PASSWORD, UTC_S, Pair, events_of

HEADER = Header(METER, HEAD_END, b"\x01")
CLEAR = Control()
CIPHERED = Control(SecurityMode.CIPHERED)
READ = FullRead(1)
LOGON = Logon(1, b"user".ljust(10), 60)
TABLE = read_response(bytes(range(50)))


def _message(
    *requests: Request,
    control: Control = CLEAR,
    invocation: int = 1,
    vector: int | None = UTC_S,
    header: Header = HEADER,
    ed_class: bytes | None = None,
) -> Message:
    authentication = None
    if control.security is not SecurityMode.CLEAR and vector is not None:
        authentication = AuthenticationValue(vector, 3)
    header = replace(header, calling_invocation=bytes((invocation,)), authentication=authentication)
    services = tuple(encode_request(request, Dialect.C12_22) for request in requests)
    return Message(header, Epsem(services, control, ed_class))


def _ask(pair: Pair, message: Message | bytes, now: float = 0.0, key: bytes = KEY) -> list[Sealed]:
    octets = message if isinstance(message, bytes) else encode_message(message, key)
    pair.meter.receive_apdu(octets, now)
    return [read_message(answer) for answer in pair.meter.data_to_send()]


def _responses(sealed: Sealed, implied: AuthenticationValue | None = None) -> list[Response]:
    opened = sealed.open(KEY, implied=implied)
    return [decode_response(service) for service in opened.epsem.services]


def _only(
    pair: Pair, message: Message | bytes, now: float = 0.0, key: bytes = KEY
) -> list[Response]:
    (answer,) = _ask(pair, message, now, key)
    return _responses(answer)


@pytest.mark.parametrize("mode", SecurityMode)
def test_a_message_stands_alone(mode: SecurityMode) -> None:
    pair = Pair()
    message = _message(Security(PASSWORD, 2), READ, FullRead(99), control=Control(mode))
    (answer,) = _ask(pair, message)
    assert _responses(answer) == [
        ok(),
        TABLE,
        Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED),
    ]
    assert answer.control.security is mode
    assert answer.header.called == HEAD_END
    assert answer.header.calling == METER
    assert answer.header.called_invocation == b"\x01"
    assert pair.peers == [HEAD_END.absolute()]
    # Who proved himself in one message is a stranger in the next.
    assert pair.application.sessions_ended == 1


def test_the_answer_octet_by_octet() -> None:
    pair = Pair()
    pair.meter.receive_apdu(encode_message(_message(Terminate())), 0.0)
    assert pair.meter.data_to_send() == [
        bytes.fromhex(
            "60 1f  a2 04 80 02 03 01  a4 03 02 01 01  a6 04 80 02 02 01  a8 03 02 01 01"
            "  be 07 28 05 81 03 80 01 00"
        )
    ]


def test_invocation_ids_are_echoed_as_they_came() -> None:
    pair = Pair()
    message = _message(READ)
    padded = Message(replace(message.header, calling_invocation=b"\0\0\xff\x01"), message.epsem)
    (answer,) = _ask(pair, padded)
    assert answer.header.called_invocation == b"\0\0\xff\x01"


def test_titles_come_back_in_the_form_they_came_in() -> None:
    pair = Pair()
    header = replace(HEADER, called=METER.absolute())
    (answer,) = _ask(pair, _message(READ, header=header))
    assert answer.header.calling == METER.absolute()
    assert answer.header.called == HEAD_END


def test_without_a_called_title_it_is_for_us() -> None:
    (answer,) = _ask(Pair(), _message(READ, header=replace(HEADER, called=None)))
    assert answer.header.calling == METER.absolute()


@pytest.mark.parametrize("mode", SecurityMode)
@pytest.mark.parametrize(
    ("control", "request_", "answers"),
    [
        (ResponseControl.ALWAYS, READ, 1),
        (ResponseControl.ALWAYS, FullRead(9), 1),
        (ResponseControl.ON_EXCEPTION, READ, 0),
        (ResponseControl.ON_EXCEPTION, FullRead(9), 1),
        (ResponseControl.NEVER, READ, 0),
        (ResponseControl.NEVER, FullRead(9), 0),
    ],
)
def test_response_control(
    mode: SecurityMode, control: ResponseControl, request_: Request, answers: int
) -> None:
    pair = Pair()
    assert len(_ask(pair, _message(request_, control=Control(mode, control)))) == answers
    assert pair.application.handled == [request_]


def test_whether_security_is_answered_is_a_switch() -> None:
    silent = Pair(server=ServerOptions(answers_to_security=False))
    assert _only(silent, _message(Security(PASSWORD, 2), READ)) == [TABLE]
    # A wrong password is told all the same.
    wrong = _message(Security(bytes(20), 2), READ, invocation=2)
    assert _only(silent, wrong) == [Response(ResponseCode.ERROR), TABLE]


def test_bits_of_the_request_come_back() -> None:
    pair = Pair(server=ServerOptions(ed_class=b"MTST"))
    control = Control(SecurityMode.CIPHERED, recovery=True, proxy=True)
    (answer,) = _ask(pair, _message(READ, control=control, ed_class=b"TEMP"))
    assert (answer.control.recovery, answer.control.proxy) == (True, True)
    assert answer.open(KEY).epsem.ed_class == b"MTST"
    (answer,) = _ask(pair, _message(READ, invocation=2))
    assert answer.open(KEY).epsem.ed_class is None


def test_services_of_the_association() -> None:
    pair = Pair()
    identity = ok(ServerOptions().identity)
    message = _message(Identify(), Negotiate(64, 1, b""), Wait(5), Logoff(), Terminate())
    assert _only(pair, message) == [
        identity,
        Response(ResponseCode.SERVICE_NOT_SUPPORTED),
        Response(ResponseCode.INVALID_SERVICE_SEQUENCE_STATE),
        Response(ResponseCode.INVALID_SERVICE_SEQUENCE_STATE),
        ok(),
    ]
    assert pair.application.handled == []


@pytest.mark.parametrize(
    ("service", "code", "kind"),
    [
        (b"\x99", ResponseCode.SERVICE_NOT_SUPPORTED, RefusalKind.UNKNOWN_SERVICE),
        (
            b"\x30\x00",
            ResponseCode.INAPPROPRIATE_ACTION_REQUESTED,
            RefusalKind.MALFORMED_SERVICE,
        ),
        (b"", ResponseCode.INAPPROPRIATE_ACTION_REQUESTED, RefusalKind.MALFORMED_SERVICE),
    ],
)
def test_one_bad_service_spoils_no_other(
    service: bytes, code: ResponseCode, kind: RefusalKind
) -> None:
    pair = Pair()
    message = Message(HEADER, Epsem((service, b"\x30\x00\x01")))
    assert _only(pair, message) == [Response(code), TABLE]
    assert pair.refused == {kind: 1}


# --- misdeeds


def _refused(pair: Pair, kind: RefusalKind) -> bool:
    events = [event for event in events_of(pair.meter) if isinstance(event, Refused)]
    return pair.refused[kind] == 1 and [event.kind for event in events] == [kind]


def test_a_wrong_mac() -> None:
    pair = Pair()
    message = _message(READ, control=CIPHERED)
    (answer,) = _ask(pair, message, key=bytes(16))
    assert answer.control.security is SecurityMode.CLEAR
    assert _responses(answer) == [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    assert _refused(pair, RefusalKind.WRONG_MAC)
    assert pair.application.handled == []
    # The service goes on, and the refused vector was not used up.
    assert _only(pair, message) == [TABLE]


def test_an_unknown_key() -> None:
    pair = Pair(meter_key=None)
    expected = [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    assert _only(pair, _message(READ, control=CIPHERED)) == expected
    assert _refused(pair, RefusalKind.UNKNOWN_KEY)


def test_no_vector_and_no_session() -> None:
    pair = Pair()
    message = _message(READ, control=CIPHERED, vector=None)
    octets = encode_message(message, KEY, implied=AuthenticationValue(1, 3))
    assert _only(pair, octets) == [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    assert _refused(pair, RefusalKind.NO_VECTOR)


def test_an_unknown_called_title() -> None:
    pair = Pair()
    stranger = replace(HEADER, called=HEAD_END)
    expected = [Response(ResponseCode.UNKNOWN_APPLICATION_TITLE)]
    assert _only(pair, _message(READ, header=stranger)) == expected
    assert _refused(pair, RefusalKind.UNKNOWN_TITLE)


@pytest.mark.parametrize("mode", SecurityMode)
@pytest.mark.parametrize(
    ("response", "answers"),
    [(ResponseControl.ALWAYS, 1), (ResponseControl.ON_EXCEPTION, 1), (ResponseControl.NEVER, 0)],
)
def test_whether_an_unknown_called_title_is_answered_is_up_to_the_request(
    mode: SecurityMode, response: ResponseControl, answers: int
) -> None:
    pair = Pair()
    message = _message(
        READ, control=Control(mode, response), header=replace(HEADER, called=HEAD_END)
    )
    assert len(_ask(pair, message)) == answers
    assert _refused(pair, RefusalKind.UNKNOWN_TITLE)


@pytest.mark.parametrize("information", [b"", b"\x00"])
def test_an_unknown_called_title_is_answered_where_nothing_says_otherwise(
    information: bytes,
) -> None:
    stranger = replace(HEADER, called=HEAD_END)
    expected = [Response(ResponseCode.UNKNOWN_APPLICATION_TITLE)]
    assert _only(Pair(), encode_apdu(stranger, information)) == expected
    segment = encode_apdu(stranger, b"aa", SegmentPosition(100, 0))
    assert _only(Pair(), segment) == expected


def test_a_repeated_vector() -> None:
    pair = Pair()
    assert _only(pair, _message(READ, control=CIPHERED)) == [TABLE]
    replayed = _message(READ, control=CIPHERED)
    assert _only(pair, replayed) == [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    older = _message(READ, control=CIPHERED, vector=UTC_S - 1, invocation=3)
    assert _only(pair, older) == [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    assert pair.refused == {RefusalKind.REPEATED_VECTOR: 2}
    assert pair.application.handled == [READ]


@pytest.mark.parametrize(
    ("rule", "vector", "code"),
    [
        (ReplayRule.WINDOW, UTC_S, ResponseCode.OK),
        (ReplayRule.WINDOW, UTC_S - 901, ResponseCode.SECURITY_MECHANISM_ERROR),
        (ReplayRule.OFF, 1, ResponseCode.OK),
    ],
)
def test_replay_is_a_switch(rule: ReplayRule, vector: int, code: ResponseCode) -> None:
    pair = Pair(meter_channel=ChannelOptions(replay=rule))
    for invocation in (1, 2):
        message = _message(READ, control=CIPHERED, vector=vector, invocation=invocation)
        assert _only(pair, message)[0].code is code


@pytest.mark.parametrize(
    ("rule", "asked"), [(ReplayRule.STRICT, 0), (ReplayRule.WINDOW, 1), (ReplayRule.OFF, 0)]
)
def test_a_request_asks_the_time_only_where_the_rule_needs_it(rule: ReplayRule, asked: int) -> None:
    pair = Pair(meter_channel=ChannelOptions(replay=rule))
    times: list[float] = []

    def utc_s() -> float:
        times.append(UTC_S)
        return UTC_S

    pair.meter_channel.node = replace(pair.meter_channel.node, utc_s=utc_s)
    unanswered = Control(SecurityMode.CIPHERED, ResponseControl.NEVER)
    assert _ask(pair, _message(READ, control=unanswered)) == []
    assert pair.application.handled == [READ]
    assert len(times) == asked


def test_less_protection_than_required() -> None:
    options = ChannelOptions(required_security=SecurityMode.AUTHENTICATED)
    pair = Pair(meter_channel=options)
    expected = [Response(ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE)]
    assert _only(pair, _message(READ)) == expected
    assert _refused(pair, RefusalKind.NOT_PROTECTED)
    assert _only(pair, _message(READ, control=CIPHERED)) == [TABLE]


def test_an_oversized_apdu_that_the_framing_skipped() -> None:
    pair = Pair()
    octets = encode_apdu(HEADER, bytes(5000))
    pair.meter.receive_oversized(Oversized(len(octets), octets[:256]))
    (answer,) = (read_message(apdu) for apdu in pair.meter.data_to_send())
    limit = SizeLimitBody(2048).encode()
    assert _responses(answer) == [Response(ResponseCode.REQUEST_TOO_LARGE, limit)]
    assert _refused(pair, RefusalKind.OVERSIZED)
    pair.meter.receive_oversized(Oversized(3000, b"\x60\x82\x0b\xb4\xff"))
    assert pair.meter.data_to_send() == []
    assert pair.refused[RefusalKind.OVERSIZED] == 2


def test_an_oversized_apdu_in_segments() -> None:
    pair = Pair()
    expected = [Response(ResponseCode.REQUEST_TOO_LARGE, SizeLimitBody(2048).encode())]
    assert _only(pair, encode_apdu(HEADER, b"aa", SegmentPosition(2049, 0))) == expected
    assert _refused(pair, RefusalKind.OVERSIZED)


def test_segments_that_contradict() -> None:
    pair = Pair()
    assert _ask(pair, encode_apdu(HEADER, b"aa", SegmentPosition(100, 0))) == []
    contradiction = encode_apdu(HEADER, b"bb", SegmentPosition(100, 1))
    assert _only(pair, contradiction) == [Response(ResponseCode.SEGMENTATION_ERROR)]
    assert _refused(pair, RefusalKind.SEGMENT_INCONSISTENT)


@pytest.mark.parametrize("inner", [b"aa", encode_apdu(replace(HEADER, calling=None), b"\x80")])
def test_segments_of_something_else(inner: bytes) -> None:
    pair = Pair()
    octets = encode_apdu(HEADER, inner, SegmentPosition(len(inner), 0))
    assert _only(pair, octets) == [Response(ResponseCode.SEGMENTATION_ERROR)]


def test_a_lost_segment_is_counted_when_its_time_is_up() -> None:
    pair = Pair()
    _ask(pair, encode_apdu(HEADER, b"aa", SegmentPosition(100, 0)), now=5.0)
    assert pair.meter.deadline == 65.0
    pair.meter.handle_deadline(64.9)
    assert not pair.refused
    pair.meter.handle_deadline(65.0)
    assert pair.meter.deadline is None
    assert _refused(pair, RefusalKind.SEGMENT_LOST)


def test_a_doubled_segment_is_counted() -> None:
    pair = Pair()
    for _ in range(2):
        _ask(pair, encode_apdu(HEADER, b"aa", SegmentPosition(100, 0)))
    assert _refused(pair, RefusalKind.SEGMENT_DOUBLED)


def test_more_reassemblies_than_there_may_be() -> None:
    pair = Pair(meter_channel=ChannelOptions(max_reassemblies=1))
    _ask(pair, encode_apdu(HEADER, b"aa", SegmentPosition(100, 0)))
    other = encode_apdu(replace(HEADER, calling_invocation=b"\x02"), b"a", SegmentPosition(9, 0))
    assert _only(pair, other) == [Response(ResponseCode.DEVICE_BUSY)]
    assert _refused(pair, RefusalKind.TOO_MANY_REASSEMBLIES)


def test_a_response_that_would_be_too_large() -> None:
    pair = Pair(server=ServerOptions(max_response_size=60))
    limit = SizeLimitBody(60).encode()
    assert _only(pair, _message(READ)) == [Response(ResponseCode.RESPONSE_TOO_LARGE, limit)]
    assert _refused(pair, RefusalKind.RESPONSE_TOO_LARGE)


def test_a_response_that_cannot_be_segmented() -> None:
    pair = Pair(meter_channel=ChannelOptions(max_send_size=33))
    assert _only(pair, _message(READ)) == [Response(ResponseCode.SEGMENTATION_NOT_POSSIBLE)]
    assert _refused(pair, RefusalKind.CANNOT_SEGMENT)
    speechless = Pair(meter_channel=ChannelOptions(max_send_size=32))
    assert _ask(speechless, _message(READ)) == []
    assert _refused(speechless, RefusalKind.CANNOT_SEGMENT)


def test_malformed_epsem() -> None:
    pair = Pair()
    for information in (b"", b"\x00", b"\x80\x05\x20"):
        octets = encode_apdu(HEADER, information)
        assert _only(pair, octets) == [Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)]
    assert pair.refused == {RefusalKind.MALFORMED_SERVICE: 3}


def test_who_wants_no_answer_gets_none_for_misdeeds_either() -> None:
    pair = Pair()
    control = Control(SecurityMode.CIPHERED, ResponseControl.NEVER)
    assert _ask(pair, _message(READ, control=control), key=bytes(16)) == []
    assert _refused(pair, RefusalKind.WRONG_MAC)


def test_nobody_to_answer() -> None:
    pair = Pair()
    assert _ask(pair, b"\x60\x00") == []
    assert _ask(pair, encode_apdu(replace(HEADER, calling=None), b"\x80")) == []
    assert pair.refused == {RefusalKind.MALFORMED: 2}


def test_answers_are_never_answered() -> None:
    pair = Pair()
    header = replace(HEADER, called_invocation=b"\x01")
    assert _ask(pair, encode_apdu(header, b"\x80")) == []
    assert _ask(pair, encode_apdu(replace(header, called=HEAD_END), b"\x80")) == []
    assert pair.refused.total() == 2


# --- repetitions


def test_a_repeated_request_is_answered_again_and_not_executed_again() -> None:
    pair = Pair()
    write = FullWrite(5, b"x")
    for vector in (UTC_S, UTC_S + 1):
        message = _message(Security(PASSWORD, 2), write, control=CIPHERED, vector=vector)
        assert _only(pair, message) == [ok(), ok()]
    assert pair.application.handled.count(write) == 1
    assert pair.refused == {RefusalKind.REPEATED_REQUEST: 1}


@pytest.mark.parametrize(
    ("options", "second", "now"),
    [
        (ServerOptions(), _message(FullRead(2)), 0.0),
        (ServerOptions(), _message(READ, invocation=2), 0.0),
        (ServerOptions(), _message(READ), 60.0),
        (ServerOptions(remembered_answers=0), _message(READ), 0.0),
    ],
)
def test_what_is_no_repetition(options: ServerOptions, second: Message, now: float) -> None:
    pair = Pair(server=options)
    _ask(pair, _message(READ))
    _ask(pair, second, now)
    assert len(pair.application.handled) == 2


def test_few_answers_are_remembered() -> None:
    pair = Pair(server=ServerOptions(remembered_answers=2))
    for invocation in (1, 2, 3, 1):
        _ask(pair, _message(READ, invocation=invocation))
    assert len(pair.application.handled) == 4


# --- sessions

SESSION = AuthenticationValue(UTC_S, 3)


def _logged_on(pair: Pair, control: Control = CIPHERED, now: float = 0.0) -> AuthenticationValue:
    (answer,) = _ask(pair, _message(LOGON, control=control), now)
    assert _responses(answer) == [ok(LogonBody(60))]
    assert events_of(pair.meter) == [SessionOpened(HEAD_END.absolute(), 60)]
    return answer.header.authentication or SESSION


def _in_session(*requests: Request, invocation: int) -> bytes:
    message = _message(*requests, control=CIPHERED, vector=None, invocation=invocation)
    return encode_message(message, KEY, implied=SESSION)


def test_a_session_from_logon_to_logoff() -> None:
    pair = Pair()
    implied = _logged_on(pair)
    # Invocation ids start again, and nobody says key and vector any more.
    (answer,) = _ask(pair, _in_session(Security(PASSWORD), invocation=1))
    assert answer.header.authentication is None
    assert _responses(answer, implied) == [ok()]
    (answer,) = _ask(pair, _in_session(FullWrite(5, b"x"), READ, invocation=2))
    assert _responses(answer, implied) == [ok(), read_response(b"x")]
    assert pair.peers == [HEAD_END.absolute()]
    (answer,) = _ask(pair, _in_session(Logoff(), invocation=3))
    assert _responses(answer, implied) == [ok()]
    assert events_of(pair.meter) == [SessionClosed(HEAD_END.absolute(), ClosingCause.LOGGED_OFF)]
    assert pair.server.sessions == 0


def test_every_message_may_say_its_vector() -> None:
    options = ChannelOptions(session_authentication=SessionAuthentication.EVERY)
    pair = Pair(meter_channel=options)
    _logged_on(pair)
    (answer,) = _ask(pair, _in_session(READ, invocation=1))
    assert answer.header.authentication is not None
    assert _responses(answer) == [TABLE]


def test_who_says_his_vector_is_told_ours() -> None:
    pair = Pair()
    _logged_on(pair)
    (answer,) = _ask(pair, _message(READ, control=CIPHERED, vector=UTC_S + 1, invocation=9))
    assert answer.header.authentication is not None
    assert _responses(answer) == [TABLE]


def test_a_replay_in_a_session() -> None:
    pair = Pair(server=ServerOptions(remembered_answers=1))
    _logged_on(pair)
    for invocation in (1, 2):
        _ask(pair, _in_session(READ, invocation=invocation))
    (answer,) = _ask(pair, _in_session(READ, invocation=1))
    assert _responses(answer) == [Response(ResponseCode.SECURITY_MECHANISM_ERROR)]
    assert pair.refused == {RefusalKind.REPEATED_INVOCATION: 1}


@pytest.mark.parametrize(
    ("logon", "message", "taken"),
    [(logon, message, message >= logon) for logon in SecurityMode for message in SecurityMode],
)
def test_a_session_takes_nothing_less_protected_than_its_logon(
    logon: SecurityMode, message: SecurityMode, taken: bool
) -> None:
    pair = Pair()
    _ask(pair, _message(LOGON, Security(PASSWORD), control=Control(logon)))
    write = _message(FullWrite(5, b"x"), control=Control(message), vector=UTC_S + 1, invocation=2)
    code = ResponseCode.OK if taken else ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE
    assert _only(pair, write) == [Response(code)]
    assert (pair.application.table == b"x") is taken
    assert pair.refused[RefusalKind.NOT_PROTECTED] == (not taken)
    assert pair.server.sessions == 1


def test_nobody_ends_or_prolongs_a_protected_session_in_clear() -> None:
    pair = Pair()
    _logged_on(pair, now=0.0)
    requests: tuple[Request, ...] = (Wait(100), Logoff(), Terminate(), Disconnect())
    for invocation, request in enumerate(requests, 2):
        _ask(pair, _message(request, invocation=invocation), now=30.0)
    # Nor is the Logon repeated so that its session has no protection any more.
    _ask(pair, _message(LOGON), now=30.0)
    assert pair.refused == {RefusalKind.NOT_PROTECTED: 5}
    assert pair.meter.deadline == 60.0


def test_a_forged_invocation_id_locks_nobody_out() -> None:
    pair = Pair()
    implied = _logged_on(pair)
    forged = replace(HEADER, calling_invocation=b"\xff\xff\xff\xff")
    _ask(pair, Message(forged, _message(READ).epsem))
    (answer,) = _ask(pair, _in_session(READ, invocation=1))
    assert _responses(answer, implied) == [TABLE]


def test_a_repeated_logon_gets_the_same_session() -> None:
    pair = Pair()
    _logged_on(pair)
    (again,) = _ask(pair, _message(LOGON, control=CIPHERED, vector=UTC_S + 1))
    assert _responses(again) == [ok(LogonBody(60))]
    implied = again.header.authentication
    assert implied is not None
    message = _message(READ, control=CIPHERED, vector=None)
    octets = encode_message(message, KEY, implied=AuthenticationValue(UTC_S + 1, 3))
    (answer,) = _ask(pair, octets)
    assert _responses(answer, implied) == [TABLE]


def test_silence_ends_a_session() -> None:
    pair = Pair()
    _logged_on(pair, now=100.0)
    assert pair.meter.deadline == 160.0
    _ask(pair, _in_session(READ, invocation=1), now=150.0)
    assert pair.meter.deadline == 210.0
    pair.meter.handle_deadline(209.9)
    assert pair.server.sessions == 1
    pair.meter.handle_deadline(210.0)
    assert events_of(pair.meter) == [SessionClosed(HEAD_END.absolute(), ClosingCause.IDLE)]
    assert pair.application.sessions_ended == 1
    assert pair.meter.deadline is None


def test_wait_makes_the_silence_longer() -> None:
    pair = Pair()
    _logged_on(pair)
    _ask(pair, _in_session(Wait(100), invocation=1), now=10.0)
    assert pair.meter.deadline == 170.0


@pytest.mark.parametrize(
    ("request_", "cause"),
    [(Terminate(), ClosingCause.TERMINATED), (Disconnect(), ClosingCause.DISCONNECTED)],
)
def test_ending_at_once(request_: Request, cause: ClosingCause) -> None:
    pair = Pair()
    _logged_on(pair)
    _ask(pair, _in_session(request_, invocation=1))
    assert events_of(pair.meter) == [SessionClosed(HEAD_END.absolute(), cause)]
    assert pair.application.sessions_ended == 1


def test_the_end_of_the_transport_ends_sessions() -> None:
    pair = Pair()
    _logged_on(pair)
    pair.server.end()
    pair.server.end()
    assert pair.application.sessions_ended == 1


def test_logon_in_a_session_is_out_of_place() -> None:
    pair = Pair()
    _logged_on(pair)
    (answer,) = _ask(pair, _message(LOGON, control=CIPHERED, vector=UTC_S + 5, invocation=7))
    assert _responses(answer) == [Response(ResponseCode.INVALID_SERVICE_SEQUENCE_STATE)]


def test_a_refused_logon_opens_nothing() -> None:
    pair = Pair()
    pair.application.logon = Response(ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE)
    assert _only(pair, _message(LOGON)) == [pair.application.logon]
    assert pair.server.sessions == 0
    assert pair.application.sessions_ended == 1


@pytest.mark.parametrize(("asked", "granted"), [(0, 100), (60, 60), (65535, 100)])
def test_timeouts_are_bounded(asked: int, granted: int) -> None:
    pair = Pair(server=ServerOptions(max_session_timeout_s=100))
    logon = Logon(1, bytes(10), asked)
    assert _only(pair, _message(logon)) == [ok(LogonBody(granted))]


def test_sessions_are_bounded() -> None:
    pair = Pair(server=ServerOptions(max_sessions=1))
    _logged_on(pair)
    other = replace(HEADER, calling=METER)
    assert _only(pair, _message(LOGON, header=other)) == [Response(ResponseCode.DEVICE_BUSY)]
    assert pair.refused == {RefusalKind.TOO_MANY_SESSIONS: 1}


def test_answers_of_before_the_session_are_no_answers_in_it() -> None:
    pair = Pair()
    _ask(pair, _message(READ))
    _ask(pair, _message(LOGON, invocation=9))
    pair.application.table = b"new"
    assert _only(pair, _message(READ)) == [read_response(b"new")]
    _ask(pair, _message(Logoff(), invocation=2))
    pair.application.table = b"newer"
    assert _only(pair, _message(READ)) == [read_response(b"newer")]


@settings(max_examples=200)
@given(st.data())
def test_garbage_never_raises(data: st.DataObject) -> None:
    pair = Pair()
    octets = bytearray(encode_message(_message(LOGON, READ, control=CIPHERED), KEY))
    for _ in range(data.draw(st.integers(0, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    pair.meter.receive_apdu(bytes(octets), 0.0)
    pair.meter.receive_apdu(data.draw(st.binary(max_size=60)), 1.0)
    pair.meter.handle_deadline(1e6)
