"""Dialect v3: messages written out by hand after protobuf's own encoding rules."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries.dialect import Rejection
from protocols.batteries.faults import Fault
from protocols.batteries.v3 import MAX_MESSAGE_SIZE, V3Client, V3Server
from protocols.batteries.values import (
    Connect,
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Remove,
    Reply,
    Request,
    SetCurrent,
    SetSchedule,
    SetStatus,
    Status,
)
from protocols.errors import CodecError, LocalProtocolError, ProtocolError

SNAPSHOT = Status(51_200, -36_667, 27_500, 110_000, 20_000, 30_000, 1_700_000_000_123)
STATUS_FIELDS = (
    "09 000000000000e940"  # 1, double: 51,200 mV
    "11 0000000060e7e1c0"  # 2: -36,667 mA
    "19 0000000000dbda40"  # 3: 27,500 mAh
    "21 0000000000dbfa40"  # 4: 110,000 mAh
    "29 000000000088d340"  # 5: 20,000 mA of charge
    "31 00000000004cdd40"  # 6: 30,000 mA of discharge
    "38 fbd095ffbc31"  # 7, varint: milliseconds
)
SET = SetCurrent("shed", 36_667, 1_700_000_000_123, 1_700_000_001_000)
VECTORS: list[tuple[Request, str]] = [
    #                       length   | field 1, string
    (Connect("shed"), "00000006 0a 04 73686564"),
    # The command set current is 0, so it is not there: only field 3 and what it holds.
    (SET, "00000019 1a 17 09 0000000060e7e140 10 fbd095ffbc31 18 e8d795ffbc31"),
    (GetStatus("shed"), "00000002 08 01"),
    (Remove("shed"), "00000002 08 02"),
    (SetStatus("shed", SNAPSHOT), "00000041 08 03 12 3d" + STATUS_FIELDS),
    (SetSchedule("shed", b"xyz"), "00000009 08 04 22 05 0a 03 78797a"),
]
# -1 as a varint has ten octets.
FAILED = "08 ffffffffffffffffff01"
REPLIES: list[tuple[Request, Reply, str]] = [
    (Connect("shed"), Done(), "00000000"),
    (GetStatus("shed"), SNAPSHOT, "0000003f 1a 3d" + STATUS_FIELDS),
    (GetStatus("shed"), Refusal("no"), "0000000f" + FAILED + "12 02 6e6f"),
    (SET, Done(), "00000006 12 04 646f6e65"),
    (SET, Refusal("no"), "0000000f" + FAILED + "1a 02 6e6f"),
    (Remove("shed"), Done(), "00000006 12 04 646f6e65"),
    (Remove("shed"), Refusal("no"), "0000000f" + FAILED + "1a 02 6e6f"),
    (SetStatus("shed", SNAPSHOT), Done(), "00000006 12 04 646f6e65"),
    (SetStatus("shed", SNAPSHOT), Refusal("no"), "0000000f" + FAILED + "12 02 6e6f"),
    (SetSchedule("shed", b"x"), Done(), "00000006 12 04 646f6e65"),
]


def framed(body: str | bytes) -> bytes:
    octets = bytes.fromhex(body) if isinstance(body, str) else body
    return len(octets).to_bytes(4, "big") + octets


def connected_server() -> V3Server:
    server = V3Server()
    server.feed(framed("0a 04 73686564"))
    assert server.next_request() == Connect("shed")
    assert server.encode(Connect("shed"), Done()) == bytes(4)
    return server


def connected_client() -> V3Client:
    client = V3Client()
    client.encode(Connect("shed"))
    client.feed(bytes(4))
    assert client.next_reply(Connect("shed")) == Done()
    return client


def served(octets: bytes) -> Request | Rejection | None:
    server = connected_server()
    server.feed(octets)
    return server.next_request()


@pytest.mark.parametrize(("request_", "octets"), VECTORS)
def test_requests_have_these_octets(request_: Request, octets: str) -> None:
    assert connected_client().encode(request_) == bytes.fromhex(octets)
    server = V3Server() if isinstance(request_, Connect) else connected_server()
    server.feed(bytes.fromhex(octets))
    assert server.next_request() == request_


@pytest.mark.parametrize(("request_", "reply", "octets"), REPLIES)
def test_replies_have_these_octets(request_: Request, reply: Reply, octets: str) -> None:
    assert connected_server().encode(request_, reply) == bytes.fromhex(octets)
    client = connected_client()
    client.feed(bytes.fromhex(octets))
    assert client.next_reply(request_) == reply


def test_an_unknown_battery_is_code_2_and_the_next_may_be_named() -> None:
    server = V3Server()
    server.feed(framed("0a 01 78") + framed("0a 04 73686564"))
    assert server.next_request() == Connect("x")
    refused = server.encode(Connect("x"), Refusal("unknown"))
    assert refused == bytes.fromhex("00000002 08 02")
    client = V3Client()
    client.feed(refused)
    assert client.next_reply(Connect("x")) == Refusal("refused with code 2")
    assert server.next_request() == Connect("shed")


def test_a_command_before_the_battery_is_named_is_refused() -> None:
    server = V3Server()
    server.feed(framed("08 01"))
    rejection = server.next_request()
    assert isinstance(rejection, Rejection)
    assert rejection.fault is Fault.NOT_CONNECTED
    assert rejection.octets == bytes.fromhex("00000002 08 02")
    with pytest.raises(LocalProtocolError, match="about None"):
        V3Client().encode(GetStatus("shed"))
    with pytest.raises(LocalProtocolError, match="about shed"):
        connected_client().encode(GetStatus("garage"))


@pytest.mark.parametrize("cut", range(1, 29))
def test_a_request_over_two_segments_is_one_request(cut: int) -> None:
    octets = bytes.fromhex(VECTORS[1][1])
    server = connected_server()
    server.feed(octets[:cut])
    assert server.next_request() is None
    server.feed(octets[cut:])
    assert server.next_request() == SET
    assert server.buffered == 0


def current(value: float) -> bytes:
    return framed(b"\x1a\x09\x09" + struct.pack("<d", value))


@pytest.mark.parametrize(
    ("octets", "fault", "answer"),
    [
        (framed("08 05"), Fault.UNKNOWN_OPERATION, FAILED + "12"),
        (framed("08 ffffffff0f"), Fault.UNKNOWN_OPERATION, FAILED + "12"),
        (framed("ff"), Fault.MALFORMED, FAILED + "12"),
        (framed(""), Fault.MALFORMED, FAILED + "1a"),
        (framed("08 03"), Fault.MALFORMED, FAILED + "12"),
        (framed("08 04"), Fault.MALFORMED, FAILED + "12"),
        (framed("0a 04 73686564"), Fault.MALFORMED, FAILED + "1a"),
        (current(float("nan")), Fault.OUT_OF_RANGE, FAILED + "1a"),
        (current(float("-inf")), Fault.OUT_OF_RANGE, FAILED + "1a"),
        (current(1e300), Fault.OUT_OF_RANGE, FAILED + "1a"),
        (current(-1_000_000_001.0), Fault.OUT_OF_RANGE, FAILED + "1a"),
    ],
)
def test_what_makes_no_sense_is_answered_and_counted(
    octets: bytes, fault: Fault, answer: str
) -> None:
    rejection = served(octets)
    assert isinstance(rejection, Rejection)
    assert rejection.fault is fault
    assert rejection.octets[4:].startswith(bytes.fromhex(answer))
    assert rejection.reason.encode() in rejection.octets


@pytest.mark.parametrize(("value", "current_ma"), [(0.4, 0), (-36_666.9, -36_667), (1e9, 10**9)])
def test_currents_are_taken_to_the_nearest_milliampere(value: float, current_ma: int) -> None:
    assert served(current(value)) == SetCurrent("shed", current_ma, 0, 0)


def test_more_than_the_bound_is_refused_before_it_is_buffered() -> None:
    server = V3Server()
    server.feed((MAX_MESSAGE_SIZE + 1).to_bytes(4, "big"))
    with pytest.raises(CodecError, match="octets announced"):
        server.next_request()


@pytest.mark.parametrize("octets", [framed("08 00"), framed("ff"), framed("1a 01 09")])
def test_an_answer_that_is_no_status_is_a_typed_error(octets: bytes) -> None:
    client = connected_client()
    client.feed(octets)
    with pytest.raises(CodecError):
        client.next_reply(GetStatus("shed"))


@pytest.mark.parametrize(
    "request_",
    [
        Refresh("shed"),
        SetCurrent("shed", 1),
        SetCurrent("shed", 1, -1, 5),
        SetCurrent("shed", 1, 0, 2**64),
        SetCurrent("shed", 1, 0, 1, True),
        SetCurrent("shed", 10**10, 0, 1),
        Connect(""),
    ],
)
def test_what_the_dialect_lacks_is_our_error(request_: Request) -> None:
    with pytest.raises(CodecError):
        connected_client().encode(request_)


@given(st.builds(Status, *[st.integers(-(10**9), 10**9)] * 6, st.integers(0, 2**64 - 1)))
def test_statuses_round_trip(status: Status) -> None:
    client = connected_client()
    client.feed(connected_server().encode(GetStatus("shed"), status))
    assert client.next_reply(GetStatus("shed")) == status


@given(st.binary(max_size=60))
def test_garbage_raises_only_protocol_errors(body: bytes) -> None:
    for request in (Connect("shed"), SET, GetStatus("shed")):
        client = connected_client()
        client.feed(framed(body))
        try:
            served(framed(body))
            client.next_reply(request)
        except ProtocolError:
            continue
