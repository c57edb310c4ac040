"""A device: which service when, what is answered, what ends a session."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.application import SessionState
from protocols.c12.psem import (
    C12_18_DEVICE,
    C12_21_DEVICE,
    Authentication,
    BaudRateChosen,
    Control,
    Fault,
    Packet,
    PsemServer,
    Served,
    ServerOptions,
    SessionEnded,
    encrypt_ticket,
)
from protocols.c12.services import (
    Authenticate,
    AuthenticateBody,
    AuthenticationTicket,
    DefaultRead,
    Dialect,
    Disconnect,
    FullRead,
    FullWrite,
    Identify,
    IdentifyBody,
    IndexRead,
    IndexWrite,
    Logoff,
    Logon,
    Negotiate,
    NegotiateBody,
    OffsetRead,
    OffsetWrite,
    Request,
    Response,
    ResponseCode,
    Security,
    SizeLimitBody,
    Standard,
    Terminate,
    TimingSetup,
    TimingSetupBody,
    Wait,
    decode_response,
    encode_request,
    ok,
    read_response,
)
from tests.protocols.c12.psem.line import Tables

ACK = b"\x06"
KEY = bytes.fromhex("133457799bbcdff1")
WITH_KEY = replace(C12_21_DEVICE, authentication=Authentication(keys={1: KEY}))
ISSS = ResponseCode.INVALID_SERVICE_SEQUENCE_STATE
BASE, IDENTIFIED, LOGGED_ON = SessionState


class Talk:
    """A client by hand: one packet out, one packet in, acknowledged."""

    def __init__(self, options: ServerOptions = C12_18_DEVICE) -> None:
        self.application = Tables({1: bytes(range(32)), 5: b"old"})
        self.server = PsemServer(
            self.application, random_bytes=lambda size: bytes(range(size)), options=options
        )
        self.dialect = options.dialect
        self.toggle = False
        self.now = 0.0

    def send(self, octets: bytes) -> bytes:
        """Send one packet of ``octets`` and return the octets that come back."""
        packet = Packet(octets, Control(toggle=self.toggle))
        self.toggle = not self.toggle
        self.server.receive_data(packet.encode(), self.now)
        return self.server.data_to_send()

    def ask_octets(self, octets: bytes) -> Response:
        answer = self.send(octets)
        assert answer[:1] == ACK
        parts, rest = [], answer[1:]
        while rest:
            packet = Packet.decode(rest)
            parts.append(packet.data)
            self.server.receive_data(ACK, self.now)
            rest = self.server.data_to_send()
        return decode_response(b"".join(parts))

    def ask(self, *requests: Request) -> Response:
        """Ask one after the other and return the last answer."""
        response = Response(ResponseCode.ERROR)
        for request in requests:
            response = self.ask_octets(encode_request(request, self.dialect))
        return response

    def events(self) -> list[object]:
        taken: list[object] = []
        while (event := self.server.next_event()) is not None:
            taken.append(event)
        return taken

    def state(self) -> SessionState:
        return self.server.state


LOGON, SECURITY = Logon(2, b"0000      "), Security(b" " * 20)
WAYS: dict[SessionState, tuple[Request, ...]] = {
    BASE: (),
    IDENTIFIED: (Identify(),),
    LOGGED_ON: (Identify(), LOGON),
}

# Each service: the states that allow it, and where it leads from there (None: it stays).
SERVICES: list[tuple[Request, set[SessionState], SessionState | None]] = [
    (Identify(), {BASE}, IDENTIFIED),
    (Terminate(), {BASE, IDENTIFIED, LOGGED_ON}, BASE),
    (Disconnect(), {BASE, IDENTIFIED, LOGGED_ON}, BASE),
    (Negotiate(128, 4), {IDENTIFIED}, None),
    (TimingSetup(30, 1, 4, 3), {IDENTIFIED}, None),
    (Wait(60), {IDENTIFIED, LOGGED_ON}, None),
    (LOGON, {IDENTIFIED}, LOGGED_ON),
    (Authenticate(1, encrypt_ticket(KEY, bytes(range(8)))), {IDENTIFIED, LOGGED_ON}, None),
    (SECURITY, {LOGGED_ON}, None),
    (FullRead(1), {LOGGED_ON}, None),
    (IndexRead(1, (0,), 1), {LOGGED_ON}, None),
    (OffsetRead(1, 0, 1), {LOGGED_ON}, None),
    (DefaultRead(), {LOGGED_ON}, None),
    (FullWrite(5, b"x"), {LOGGED_ON}, None),
    (IndexWrite(5, (0,), b"x"), {LOGGED_ON}, None),
    (OffsetWrite(5, 0, b"x"), {LOGGED_ON}, None),
    (Logoff(), {LOGGED_ON}, IDENTIFIED),
]


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize(
    ("request_", "states", "after"), SERVICES, ids=lambda part: type(part).__name__
)
def test_every_service_in_every_state(
    request_: Request,
    states: set[SessionState],
    after: SessionState | None,
    state: SessionState,
) -> None:
    talk = Talk(WITH_KEY)
    talk.ask(*WAYS[state])
    before = len(talk.application.asked)
    code = talk.ask(request_).code
    if state in states:
        assert code != ISSS
        allowed = code is ResponseCode.OK
        assert talk.state() == (after if allowed and after is not None else state)
    else:
        assert code == ISSS
        assert talk.state() == state
        assert talk.server.faults == {Fault.OUT_OF_STATE: 1}
        assert len(talk.application.asked) == before


@pytest.mark.parametrize("code", [code for code in ResponseCode if code is not ResponseCode.OK])
def test_every_refusal_of_the_application_gets_across_and_moves_nothing(
    code: ResponseCode,
) -> None:
    talk = Talk()
    talk.application.answers = {Logon: Response(code, b"\x00\x00\x00\x40")}
    assert talk.ask(Identify(), LOGON) == Response(code, b"\x00\x00\x00\x40")
    assert talk.state() is IDENTIFIED


def test_the_frames_of_a_first_exchange() -> None:
    server = Talk().server
    server.receive_data(bytes.fromhex("ee0000000001201310"), 0.0)
    assert server.data_to_send().hex() == "06" + "ee00000000050000020000a25a"
    # Not acknowledged, and the request again: an ACK, and the answer again in its own time.
    server.receive_data(bytes.fromhex("ee0000000001201310"), 1.0)
    assert server.data_to_send().hex() == "06"
    server.handle_deadline(2.0)
    assert server.data_to_send().hex() == "ee00000000050000020000a25a"
    server.receive_data(ACK, 2.1)
    server.receive_data(bytes.fromhex("ee0020000005610400ff06ce5a"), 2.2)
    assert server.data_to_send()[1:].hex().startswith("ee00200000050004001006")


def test_identify_says_what_the_device_is() -> None:
    assert IdentifyBody.decode(Talk().ask(Identify()).body) == IdentifyBody(Standard.C12_18, 2, 0)


def test_a_modem_s_device_lists_a_ticket_though_it_knows_no_key() -> None:
    talk = Talk(C12_21_DEVICE)
    body = IdentifyBody.decode(talk.ask(Identify()).body)
    ticket = bytes(range(8))
    assert body == IdentifyBody(Standard.C12_21, 1, 0, (AuthenticationTicket(1, 0, ticket),))
    proof = Authenticate(0, encrypt_ticket(KEY, ticket))
    assert talk.ask(proof) == Response(ResponseCode.ERROR)
    assert talk.server.faults == {Fault.AUTHENTICATION_FAILED: 1}
    assert talk.application.asked == []


def test_a_right_ticket_reaches_the_application_and_is_proved_back() -> None:
    talk = Talk(WITH_KEY)
    talk.ask(Identify(), LOGON)
    proof = encrypt_ticket(KEY, bytes(range(8)))
    request = Authenticate(1, proof)
    body = AuthenticateBody.decode(talk.ask(request).body)
    assert body == AuthenticateBody(1, encrypt_ticket(KEY, proof))
    assert talk.application.asked[-1] == request


def test_without_authentication_the_service_is_not_there() -> None:
    talk = Talk(replace(C12_21_DEVICE, authentication=None))
    talk.ask(Identify())
    request = Authenticate(0, bytes(8))
    assert talk.ask(request).code is ResponseCode.SERVICE_NOT_SUPPORTED


@pytest.mark.parametrize("code", [*range(0x72, 0x78), 0x23, 0x24, 0x27, 0x6C, 0x78, 0xFF, 0x00])
def test_what_nobody_knows_is_not_supported(code: int) -> None:
    talk = Talk()
    talk.ask(Identify())
    assert talk.ask_octets(bytes((code,))) == Response(ResponseCode.SERVICE_NOT_SUPPORTED)
    assert talk.server.faults == {Fault.UNKNOWN_SERVICE: 1}


@pytest.mark.parametrize("octets", ["3000", "40000700030300", "4000070003030000ff", "500002"])
def test_what_is_malformed_is_an_error(octets: str) -> None:
    talk = Talk()
    talk.ask(Identify(), LOGON)
    assert talk.ask_octets(bytes.fromhex(octets)) == Response(ResponseCode.ERROR)
    assert talk.server.faults == {Fault.MALFORMED_SERVICE: 1}
    assert talk.ask(FullRead(1)) == read_response(bytes(range(32)))


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        (Negotiate(128, 4), NegotiateBody(128, 4, 6)),
        (Negotiate(8192, 255, b"\x01"), NegotiateBody(1024, 16, 6)),
        (Negotiate(64, 1, b"\x06\x08\x07"), NegotiateBody(64, 1, 8)),
        (Negotiate(64, 1, b"\x0e\x0b\x0a"), NegotiateBody(64, 1, 10)),
    ],
)
def test_negotiate_agrees_on_the_smaller_and_the_faster(
    asked: Negotiate, agreed: NegotiateBody
) -> None:
    assert NegotiateBody.decode(Talk().ask(Identify(), asked).body) == agreed


@pytest.mark.parametrize("asked", [Negotiate(63, 1), Negotiate(0, 1), Negotiate(64, 0)])
def test_negotiate_below_the_standard_s_minimum(asked: Negotiate) -> None:
    assert Talk().ask(Identify(), asked) == Response(ResponseCode.ERROR)


def test_a_new_rate_is_told_and_the_old_one_comes_back_with_the_end() -> None:
    talk = Talk()
    talk.ask(Identify(), Negotiate(64, 1, b"\x0a"), Terminate())
    rates = [event for event in talk.events() if isinstance(event, BaudRateChosen)]
    assert rates == [BaudRateChosen(57_600), BaudRateChosen(9600)]


def test_a_long_answer_comes_in_packets_once_negotiated() -> None:
    talk = Talk()
    talk.application.tables[64] = bytes(range(200))
    # Code, count, 200 octets and checksum: 204 octets do not go into 1 packet, nor 3 of 64.
    too_large = ResponseCode.RESPONSE_TOO_LARGE
    talk.ask(Identify(), LOGON)
    assert talk.ask(FullRead(64)) == Response(too_large, SizeLimitBody(56).encode())
    talk.ask(Logoff(), Negotiate(64, 3), LOGON)
    assert talk.ask(FullRead(64)) == Response(too_large, SizeLimitBody(168).encode())
    talk.ask(Logoff(), Negotiate(64, 4), LOGON)
    assert talk.ask(FullRead(64)) == read_response(bytes(range(200)))
    assert talk.server.faults == {Fault.RESPONSE_TOO_LARGE: 2}


def test_what_is_too_large_can_have_an_older_code() -> None:
    code = ResponseCode.OPERATION_NOT_POSSIBLE
    talk = Talk(replace(C12_18_DEVICE, too_large_response=code))
    talk.application.tables[64] = bytes(200)
    assert talk.ask(Identify(), LOGON, FullRead(64)).code is code


def test_a_request_of_too_many_packets_is_too_large() -> None:
    link = replace(C12_18_DEVICE.link, packet_size=64, packets=2)
    talk = Talk(replace(C12_18_DEVICE, link=link))
    for sequence in (2, 1, 0):
        control = Control(multiple=True, first=sequence == 2, toggle=sequence == 1)
        talk.server.receive_data(Packet(bytes(56), control, sequence).encode(), 0.0)
    answer = talk.server.data_to_send()
    assert answer[:3] == ACK * 3
    response = decode_response(Packet.decode(answer[3:]).data)
    assert response == Response(ResponseCode.REQUEST_TOO_LARGE, SizeLimitBody(112).encode())
    assert talk.server.faults == {Fault.OVERSIZED_MESSAGE: 1}


def test_timing_setup_holds_from_then_on_and_a_time_of_0_changes_nothing() -> None:
    talk = Talk(C12_21_DEVICE)
    body = TimingSetupBody.decode(talk.ask(Identify(), TimingSetup(60, 0, 2, 0)).body)
    assert body == TimingSetupBody(60, 1, 2, 0)
    talk.now = 1.0
    talk.send(b"\x70\x01")
    assert talk.server.deadline == 3.0
    talk.server.handle_deadline(3.0)
    assert talk.events()[-1] == SessionEnded(Fault.LINK_FAILED)


# What ends a session.


def test_silence_ends_a_session_and_the_next_one_begins_anew() -> None:
    talk = Talk()
    talk.ask(Identify(), Negotiate(128, 4), LOGON)
    assert talk.server.deadline == 6.0
    talk.server.handle_deadline(5.9)
    assert talk.state() is LOGGED_ON
    talk.server.handle_deadline(6.0)
    assert (talk.state(), talk.application.ended) == (BASE, 1)
    assert talk.events()[-1] == SessionEnded(Fault.TRAFFIC_TIMEOUT)
    assert talk.server.faults == {Fault.TRAFFIC_TIMEOUT: 1}
    talk.toggle = False  # Any toggle bit may come, also that of the last packet.
    assert talk.ask(Identify()).code is ResponseCode.OK
    assert talk.ask(LOGON, FullRead(1)).code is ResponseCode.OK


def test_whatever_is_heard_keeps_the_session() -> None:
    talk = Talk()
    talk.ask(Identify(), LOGON)
    for now in (5.0, 10.0):
        talk.now = now
        talk.ask(FullRead(1))
    talk.server.handle_deadline(15.9)
    assert talk.state() is LOGGED_ON


def test_noise_does_not_keep_the_session() -> None:
    talk = Talk()
    talk.ask(Identify())
    talk.server.receive_data(b"\x55", 5.9)
    talk.server.handle_deadline(6.5)
    assert talk.state() is BASE


def test_a_wait_keeps_the_session_for_so_long_and_ends_with_the_next_request() -> None:
    talk = Talk()
    talk.ask(Identify(), Wait(60))
    talk.server.handle_deadline(59.9)
    assert talk.state() is IDENTIFIED
    talk.now = 59.9
    talk.ask(LOGON)
    talk.server.handle_deadline(65.9)
    assert talk.state() is BASE


def test_a_wait_that_is_not_followed_ends_the_session_too() -> None:
    talk = Talk()
    talk.ask(Identify(), Wait(60))
    talk.server.handle_deadline(60.0)
    assert talk.state() is BASE


def test_an_answer_that_nobody_acknowledges_ends_the_session() -> None:
    talk = Talk()
    talk.send(b"\x20")
    for now in (2.0, 4.0):
        talk.server.handle_deadline(now)
    talk.server.receive_data(b"\x15", 5.0)
    talk.server.handle_deadline(7.0)
    assert talk.events()[-1] == SessionEnded(Fault.LINK_FAILED)
    assert (talk.state(), talk.server.deadline) == (BASE, None)


def test_terminate_and_logoff_in_due_form() -> None:
    talk = Talk()
    talk.ask(Identify(), LOGON, Logoff())
    assert (talk.state(), talk.application.ended) == (IDENTIFIED, 0)
    talk.ask(LOGON, Terminate())
    assert (talk.state(), talk.application.ended) == (BASE, 1)
    assert talk.events()[-2:] == [
        Served(Terminate(), ResponseCode.OK),
        SessionEnded(None),
    ]
    assert talk.ask(FullRead(1)).code == ISSS
    assert not talk.server.closed
    assert talk.server.faults == {Fault.OUT_OF_STATE: 1}


def test_the_next_session_has_small_packets_again() -> None:
    talk = Talk()
    talk.application.tables[64] = bytes(200)
    talk.ask(Identify(), Negotiate(64, 4), Terminate(), Identify(), LOGON)
    assert talk.ask(FullRead(64)).body == SizeLimitBody(56).encode()


def test_an_answer_under_way_is_not_cut_short_by_the_traffic_time() -> None:
    talk = Talk()
    talk.send(b"\x20")
    for now in (2.0, 4.0, 6.0):
        talk.server.handle_deadline(now)
    assert talk.state() is IDENTIFIED
    talk.server.receive_data(ACK, 7.9)
    assert talk.server.deadline == 13.9


def test_terminate_again_because_the_answer_was_lost_is_answered_and_ends_nothing() -> None:
    talk = Talk()
    talk.ask(Identify(), Terminate(), Terminate())
    assert talk.application.ended == 1


def test_disconnect_closes_the_line_once_it_is_acknowledged() -> None:
    talk = Talk(C12_21_DEVICE)
    talk.ask(Identify())
    assert talk.send(b"\x22")[1:] == Packet(b"\x00", Control(toggle=True)).encode()
    assert not talk.server.closed
    talk.server.receive_data(ACK, 0.0)
    assert talk.server.closed
    assert talk.server.deadline is None


def test_the_transport_s_end_is_the_session_s() -> None:
    talk = Talk()
    talk.ask(Identify(), LOGON)
    talk.server.receive_eof()
    talk.server.receive_eof()
    assert talk.application.ended == 1
    assert talk.server.closed
    assert talk.events()[-1] == SessionEnded(Fault.TRANSPORT_CLOSED)


@pytest.mark.parametrize("restarts", [False, True])
def test_identify_in_a_session(restarts: bool) -> None:
    talk = Talk(replace(C12_18_DEVICE, identify_restarts=restarts))
    code = talk.ask(Identify(), LOGON, Identify()).code
    assert code is (ResponseCode.OK if restarts else ISSS)
    assert talk.state() is (IDENTIFIED if restarts else LOGGED_ON)
    assert talk.application.ended == restarts


def test_identify_in_a_session_brings_small_packets_back() -> None:
    talk = Talk(replace(C12_18_DEVICE, identify_restarts=True))
    talk.application.tables[64] = bytes(200)
    talk.ask(Identify(), Negotiate(64, 4), LOGON, Identify(), LOGON)
    assert talk.ask(FullRead(64)).body == SizeLimitBody(56).encode()


def test_two_requests_at_once_are_both_answered() -> None:
    talk = Talk()
    one = Packet(b"\x20").encode()
    two = Packet(encode_request(Wait(1), Dialect.C12_18), Control(toggle=True)).encode()
    talk.server.receive_data(one + two, 0.0)
    assert [type(event) for event in talk.events()] == [Served, Served]
    talk.server.receive_data(ACK, 0.0)
    assert talk.server.deadline == 6.0


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_request_is_answered_and_nothing_raises(requests: list[bytes]) -> None:
    talk = Talk()
    for octets in requests:
        if octets:
            talk.ask_octets(octets)
    assert talk.ask(Terminate()) == ok()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_octets_raise_nothing(pieces: list[bytes]) -> None:
    talk = Talk()
    for number, piece in enumerate(pieces):
        talk.server.receive_data(piece, number * 0.1)
        talk.server.data_to_send()
    while (now := talk.server.deadline) is not None:
        talk.server.handle_deadline(now)
        assert talk.server.deadline is None or talk.server.deadline > now
