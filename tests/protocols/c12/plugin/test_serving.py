"""A relay and its meters answer whoever asks, and what is wrong gets the standard's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.association import (
    Answered,
    Channel,
    ClientAssociation,
    Delivery,
    Endpoint,
    Event,
    Node,
    RequestRefused,
)
from protocols.c12.epsem import SecurityMode
from protocols.c12.framing import MAX_SKIPPED, ApduReader
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.meter import command_procedure, meter_schema
from protocols.c12.options import ChannelOptions, SessionAuthentication
from protocols.c12.plugin.naming import key_id_of
from protocols.c12.plugin.serving import IDLE_S, C12ServedSession
from protocols.c12.services import (
    Deregister,
    FullRead,
    FullWrite,
    Identify,
    Logoff,
    Logon,
    ReadBody,
    Register,
    Request,
    Resolve,
    ResolveBody,
    ResponseCode,
    Security,
    Trace,
    TraceBody,
)
from protocols.c12.titles import ApTitle, decode_title
from protocols.plugin import Command, CommandKind, Credentials, SessionOptions
from tests.support.c12_conversation import HEAD_END, PARTICULAR, Place, options
from tests.support.c12_meter_model import CAPTURED, AnsiConcentrator
from tests.support.c12_vectors import SendVectors, VectorMemory
from tests.support.concentrator_model import FIRST_STAMP_S, STEP_S

METER: Final = 1


@dataclass
class Caller:
    """A client of any node behind one served session."""

    place: Place = field(default_factory=Place)
    max_send_size: int = 2_048
    security: SecurityMode = SecurityMode.CIPHERED
    session_authentication: SessionAuthentication = SessionAuthentication.FIRST

    def __post_init__(self) -> None:
        self.session = self.place.served()
        node = Node(
            decode_title(HEAD_END).absolute(),
            lambda peer, _key_id: self.key(peer),
            SendVectors(FIRST_STAMP_S),
            VectorMemory(),
            lambda: FIRST_STAMP_S,
        )
        ways = ChannelOptions(
            max_apdu_size=1 << 16,
            max_send_size=self.max_send_size,
            replay=ReplayRule.OFF,
            session_authentication=self.session_authentication,
        )
        channel = Channel(node, ways)
        self.client = ClientAssociation(channel)
        self.endpoint = Endpoint(channel, client=self.client)

    def node(self, meter: int | None) -> Credentials:
        device = self.place.device
        return device if meter is None else device.members[meter]

    def key(self, peer: ApTitle) -> bytes | None:
        nodes = [self.place.device, *self.place.device.members]
        keys: dict[ApTitle, bytes] = {
            decode_title(one.system_title).absolute(): one.encryption_key for one in nodes
        }
        return keys.get(peer)

    def send(self, meter: int | None, *requests: Request) -> list[bytes]:
        """Return the APDUs of a message to a meter, or to the relay."""
        node = self.node(meter)
        delivery = Delivery(self.security, key_id_of(node.system_title))
        called = decode_title(node.system_title)
        self.client.request(called, requests, now=0.0, delivery=delivery)
        return self.endpoint.data_to_send()

    def hear(self, octets: bytes, now: float = 1.0) -> Event | None:
        """Give the session octets; return the first thing its answer makes the client report."""
        self.session.receive_data(octets, now=now)
        reader = ApduReader(max_apdu_size=1 << 16)
        reader.feed(self.session.data_to_send())
        while isinstance(apdu := reader.next_apdu(), bytes):
            self.endpoint.receive_apdu(apdu, now)
        first = self.endpoint.next_event()
        while self.endpoint.next_event() is not None:
            pass
        return first

    def ask(self, meter: int | None, *requests: Request) -> Event | None:
        return self.hear(b"".join(self.send(meter, *requests)))

    def bodies(self, meter: int | None, *requests: Request) -> Sequence[bytes]:
        """Return the bodies of the answers, all of which must be OK."""
        event = self.ask(meter, *requests)
        assert isinstance(event, Answered)
        assert {response.code for response in event.responses} == {ResponseCode.OK}
        return [response.body for response in event.responses]


def security(meter: int) -> Security:
    return Security((b"secret%d" % meter).ljust(20), 1)


def test_every_meter_answers_for_itself() -> None:
    caller = Caller()
    for meter in range(3):
        _, body = caller.bodies(meter, security(meter), FullRead(5))
        name = bytes(caller.place.model.meter_names[meter])
        assert ReadBody.decode(body).data == name.ljust(20)
    assert not caller.session.refusals()


def test_the_relay_says_who_it_is_and_where_its_nodes_are() -> None:
    caller = Caller()
    meter, relay = caller.node(METER).system_title, caller.node(None).system_title
    identity, way, address, own = caller.bodies(
        None, Identify(), Trace((HEAD_END,)), Resolve(meter), Resolve(relay)
    )
    assert identity[0] == 3
    assert TraceBody.decode(way).titles == (HEAD_END, relay)
    assert ResolveBody.decode(address).address == b"\0\1"
    assert ResolveBody.decode(own).address == b""


def test_the_relay_does_not_do_what_is_not_its_own() -> None:
    caller = Caller()
    stranger = ApTitle.parse(".2.99").encode()
    register = Register(0x20, 0, bytes(4), stranger, stranger, b"", 60, None)
    event = caller.ask(None, Resolve(stranger), register, Deregister(stranger), FullRead(1))
    assert isinstance(event, Answered)
    assert [response.code for response in event.responses] == [
        ResponseCode.UNKNOWN_APPLICATION_TITLE,
        ResponseCode.NETWORK_NOT_REACHABLE,
        ResponseCode.NETWORK_NOT_REACHABLE,
        ResponseCode.SERVICE_NOT_SUPPORTED,
    ]
    assert list(caller.session.refusals()) == [
        "unknown application title",
        "network not reachable",
        "network not reachable",
        "service not supported",
    ]


def test_a_title_that_is_not_here_is_unknown() -> None:
    caller = Caller()
    caller.place.device = Place(AnsiConcentrator(meters=5)).device
    event = caller.ask(4, Identify())
    assert isinstance(event, RequestRefused)
    assert event.code is ResponseCode.UNKNOWN_APPLICATION_TITLE
    assert list(caller.session.refusals()) == ["unknown ApTitle"]


def test_one_flipped_bit_is_a_wrong_mac_and_the_next_request_is_served() -> None:
    caller = Caller()
    (apdu,) = caller.send(METER, security(METER), FullRead(5))
    event = caller.hear(apdu[:-1] + bytes([apdu[-1] ^ 1]))
    assert isinstance(event, RequestRefused)
    assert event.code is ResponseCode.SECURITY_MECHANISM_ERROR
    assert list(caller.session.refusals()) == ["wrong MAC"]
    assert isinstance(caller.ask(METER, security(METER), FullRead(5)), Answered)


def test_less_protection_than_agreed_is_refused() -> None:
    caller = Caller(security=SecurityMode.AUTHENTICATED)
    event = caller.ask(METER, Identify())
    assert isinstance(event, RequestRefused)
    assert event.code is ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE
    assert list(caller.session.refusals()) == ["not protected"]


@pytest.mark.parametrize(
    ("replay", "refusals"),
    [
        ("strict", ["repeated vector"]),
        ("window", ["repeated request"]),
        ("off", ["repeated request"]),
    ],
)
def test_a_request_that_comes_twice_is_never_executed_twice(
    replay: str, refusals: list[str]
) -> None:
    caller = Caller(Place(options=options(replay=replay)))
    octets = b"".join(caller.send(METER, security(METER), FullRead(64)))
    assert isinstance(caller.hear(octets), Answered)
    handed = len(caller.place.model.handed)
    caller.hear(octets)
    assert list(caller.session.refusals()) == refusals
    assert len(caller.place.model.handed) == handed == 1


def test_commands_of_one_session_count_under_vectors_of_their_own() -> None:
    caller = Caller(session_authentication=SessionAuthentication.EVERY)
    schema = meter_schema(CAPTURED, STEP_S)
    caller.bodies(METER, Logon(1, b"SOMEBODY".ljust(10), 60), security(METER))
    for number in range(2):
        procedure = command_procedure(schema, Command(CommandKind.DISCONNECT), number)
        caller.bodies(METER, FullWrite(7, procedure))
    caller.bodies(METER, Logoff())
    counters = [execution.counter for _, execution in caller.place.model.executed]
    assert counters == [FIRST_STAMP_S + 2, FIRST_STAMP_S + 3]


def test_strict_remembers_over_connections_and_by_meter() -> None:
    caller = Caller()
    octets = b"".join(caller.send(METER, Identify()))
    assert isinstance(caller.hear(octets), Answered)
    caller.session = caller.place.served()
    caller.hear(octets)
    assert list(caller.session.refusals()) == ["repeated vector"]
    other = Caller(caller.place)
    assert isinstance(other.ask(2, Identify()), Answered)


def test_window_refuses_what_is_far_from_its_clock() -> None:
    place = Place(options=options(replay="window"))
    caller = Caller(place)
    (late,) = caller.send(METER, Identify())
    place.device_counters.stamps[place.device.members[METER].system_title] = FIRST_STAMP_S + 1_000
    event = caller.hear(late)
    assert isinstance(event, RequestRefused)
    assert list(caller.session.refusals()) == ["repeated vector"]


def test_a_request_in_segments_is_served_whole() -> None:
    caller = Caller(max_send_size=60)
    segments = caller.send(METER, security(METER), FullRead(5))
    assert len(segments) > 1
    assert isinstance(caller.hear(b"".join(reversed(segments))), Answered)


def test_a_lost_segment_is_counted_when_its_time_is_over() -> None:
    caller = Caller(max_send_size=60)
    segments = caller.send(METER, security(METER), FullRead(5))
    assert caller.hear(b"".join(segments[:-1] + segments[:1])) is None
    assert list(caller.session.refusals()) == ["segment doubled"]
    deadline = caller.session.deadline
    assert deadline is not None
    assert deadline < IDLE_S
    caller.session.handle_deadline(deadline)
    assert list(caller.session.refusals()) == ["segment lost"]
    assert caller.session.deadline == 1.0 + IDLE_S
    assert isinstance(caller.ask(METER, Identify()), Answered)


def test_an_oversized_request_is_answered_and_the_stream_goes_on() -> None:
    caller = Caller(max_send_size=1 << 16)
    long = [FullRead(5)] * 200
    too_long = caller.send(METER, *long, *long, *long)
    assert len(too_long[0]) > 2_048
    event = caller.hear(too_long[0])
    assert isinstance(event, RequestRefused)
    assert event.code is ResponseCode.REQUEST_TOO_LARGE
    assert list(caller.session.refusals()) == ["oversized"]
    assert isinstance(caller.ask(METER, Identify()), Answered)


def test_pipelined_requests_are_answered_in_order() -> None:
    caller = Caller()
    octets = [apdu for meter in (2, 0, 1) for apdu in caller.send(meter, Identify())]
    caller.session.receive_data(b"".join(octets), now=1.0)
    reader = ApduReader()
    reader.feed(caller.session.data_to_send())
    peers = []
    while isinstance(apdu := reader.next_apdu(), bytes):
        caller.endpoint.receive_apdu(apdu, 1.0)
        event = caller.endpoint.next_event()
        assert isinstance(event, Answered)
        peers.append(event.peer.relative_to())
    assert peers == [decode_title(caller.node(meter).system_title) for meter in (2, 0, 1)]


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=10))
def test_any_split_of_the_stream_is_answered_alike(cuts: list[int]) -> None:
    whole, split = Caller(), Caller()
    octets = b"".join(apdu for m in range(3) for apdu in whole.send(m, security(m), FullRead(5)))
    whole.session.receive_data(octets, now=1.0)
    edges = sorted({0, len(octets), *(min(cut, len(octets)) for cut in cuts)})
    for start, stop in pairwise(edges):
        split.session.receive_data(octets[start:stop], now=1.0)
    assert split.session.data_to_send() == whole.session.data_to_send()


# The connection


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1", b"\x60\x84" + (MAX_SKIPPED + 1).to_bytes(4, "big")]
)
def test_a_stream_that_has_lost_its_framing_is_closed(garbage: bytes) -> None:
    session = Place().served()
    session.receive_data(garbage, now=1.0)
    assert list(session.refusals()) == ["malformed"]
    assert session.deadline is not None
    assert session.deadline < 0
    session.handle_deadline(1.0)
    assert session.deadline is None


@settings(max_examples=60)
@given(garbage=st.binary(max_size=200), tagged=st.booleans())
def test_garbage_never_raises(garbage: bytes, tagged: bool) -> None:
    session = Place().served()
    octets = b"\x60" + bytes([min(len(garbage), 127)]) + garbage if tagged else garbage
    session.receive_data(octets, now=1.0)
    session.data_to_send()
    session.receive_eof()


def test_the_end_of_the_stream_may_cut_a_request() -> None:
    caller = Caller()
    (apdu,) = caller.send(METER, Identify())
    caller.session.receive_data(apdu[:-1], now=1.0)
    caller.session.receive_eof()
    assert list(caller.session.refusals()) == ["truncated"]
    assert caller.session.deadline is None


def test_a_silent_connection_is_closed() -> None:
    caller = Caller()
    assert caller.session.deadline == IDLE_S
    assert isinstance(caller.ask(METER, Identify()), Answered)
    assert caller.session.deadline == 1.0 + IDLE_S
    caller.session.handle_deadline(IDLE_S)
    assert caller.session.deadline == 1.0 + IDLE_S
    caller.session.handle_deadline(1.0 + IDLE_S)
    assert caller.session.deadline is None


def test_time_comes_first() -> None:
    place = Place()
    session = C12ServedSession(
        place.model, place.device, place.device_counters, place.options, bytes
    )
    assert session.deadline is not None
    assert session.deadline < 0


def test_in_clear_nothing_needs_a_key() -> None:
    place = Place(options=SessionOptions(protection="clear", particular=PARTICULAR))
    caller = Caller(place, security=SecurityMode.CLEAR)
    assert caller.bodies(METER, security(METER), FullRead(5))
