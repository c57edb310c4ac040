"""Dialect v2: records octet by octet, and what has no answer in the public code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries.dialect import Rejection
from protocols.batteries.faults import Fault
from protocols.batteries.v2 import REQUEST, STATUS, V2Client, V2Server
from protocols.batteries.values import (
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Remove,
    Reply,
    Request,
    SetCurrent,
    Status,
)
from protocols.errors import CodecError, ProtocolError

ZERO = "0000000000000000"
SET = SetCurrent("shed", -36_667, 1_700_000_000_123, 1_700_000_001_000)
SET_OCTETS = bytes.fromhex(
    "45000000"  # 69 octets follow
    "0300000000000000"  # set current
    "0400000000000000"  # length of the name
    "c570ffffffffffff"  # -36,667 mA
    + ZERO  # not "is greater"
    + "00f1536500000000"  # when: seconds
    + "7b00000000000000"  # and milliseconds
    + "01f1536500000000"  # until
    + ZERO
    + "7368656400"  # shed, NUL
)
GET_OCTETS = bytes.fromhex("4500000002000000000000000400000000000000" + 6 * ZERO + "7368656400")
SNAPSHOT = Status(51_200, -36_667, 27_500, 110_000, 20_000, 30_000, 1_700_000_000_123)
SNAPSHOT_OCTETS = bytes.fromhex(
    "40000000"  # 64 octets follow
    "00c8000000000000"  # 51.2 V
    "c570ffffffffffff"  # -36.667 A
    "6c6b000000000000"  # 27.5 Ah
    "b0ad010000000000"  # 110 Ah
    "204e000000000000"  # 20 A of charge
    "3075000000000000"  # 30 A of discharge
    "00f1536500000000"  # seconds
    "7b00000000000000"  # milliseconds
)
quantity = st.integers(-(10**12), 10**12)


def served(octets: bytes) -> Request | Rejection | None:
    server = V2Server()
    server.feed(octets)
    return server.next_request()


def replied(request: Request, octets: bytes) -> Reply | None:
    client = V2Client()
    client.feed(octets)
    return client.next_reply(request)


@pytest.mark.parametrize(
    ("request_", "octets"),
    [
        (GetStatus("shed"), GET_OCTETS),
        (Refresh("shed"), GET_OCTETS.replace(b"\2", b"\1", 1)),
        (SET, SET_OCTETS),
    ],
)
def test_requests_have_the_octets_of_the_public_code(request_: Request, octets: bytes) -> None:
    assert V2Client().encode(request_) == octets
    assert served(octets) == request_


@pytest.mark.parametrize(
    ("request_", "reply", "octets"),
    [
        (GetStatus("shed"), SNAPSHOT, SNAPSHOT_OCTETS),
        (Refresh("shed"), SNAPSHOT, SNAPSHOT_OCTETS),
        (SET, Done(), bytes.fromhex("04000000 01000000")),
    ],
)
def test_replies_have_the_octets_of_the_public_code(
    request_: Request, reply: Reply, octets: bytes
) -> None:
    assert V2Server().encode(request_, reply) == octets
    assert replied(request_, octets) == reply


def test_a_refused_current_is_code_0_and_a_refused_status_a_record_of_length_0() -> None:
    code = V2Server().encode(SET, Refusal("too much"))
    assert code.hex() == "0400000000000000"
    assert isinstance(replied(SET, code), Refusal)
    record = V2Server().encode(GetStatus("shed"), Refusal("unknown"))
    assert record.hex() == "00000000"
    assert isinstance(replied(GetStatus("shed"), record), Refusal)
    assert V2Server().last_words("lost").hex() == "00000000"


@pytest.mark.parametrize("cut", range(1, len(SET_OCTETS)))
def test_a_request_over_two_segments_is_one_request(cut: int) -> None:
    server = V2Server()
    server.feed(SET_OCTETS[:cut])
    assert server.next_request() is None
    server.feed(SET_OCTETS[cut:] + GET_OCTETS)
    assert server.next_request() == SET
    assert server.next_request() == GetStatus("shed")
    assert server.next_request() is None
    assert server.buffered == 0


def changed(**fields: int) -> bytes:
    values = REQUEST.parse(SET_OCTETS[4:]) | fields
    return SET_OCTETS[:4] + REQUEST.build(values) + b"shed\0"


@pytest.mark.parametrize(
    ("octets", "fault", "answer"),
    [
        (changed(function=4), Fault.UNKNOWN_OPERATION, "00000000"),
        (changed(function=-1), Fault.UNKNOWN_OPERATION, "00000000"),
        (changed(name_length=3), Fault.MALFORMED, "0400000000000000"),
        (changed(name_length=-4), Fault.MALFORMED, "0400000000000000"),
        (changed(name_length=2**40), Fault.MALFORMED, "0400000000000000"),
        (changed(function=2, name_length=5), Fault.MALFORMED, "00000000"),
        (changed(current_ma=2**62), Fault.OUT_OF_RANGE, "0400000000000000"),
        (changed(current_ma=-1_000_000_001), Fault.OUT_OF_RANGE, "0400000000000000"),
        (b"\0\0\0\0", Fault.MALFORMED, "00000000"),
        (b"\x3f\0\0\0" + bytes(63), Fault.MALFORMED, "00000000"),
        (SET_OCTETS[:-1] + b"\1", Fault.MALFORMED, "0400000000000000"),
        (SET_OCTETS.replace(b"shed", b"sh\xffd"), Fault.MALFORMED, "0400000000000000"),
        (b"\x40" + SET_OCTETS[1:12] + bytes(56), Fault.MALFORMED, "0400000000000000"),
    ],
)
def test_what_makes_no_sense_is_answered_and_counted(
    octets: bytes, fault: Fault, answer: str
) -> None:
    rejection = served(octets)
    assert isinstance(rejection, Rejection)
    assert rejection.fault is fault
    assert rejection.octets.hex() == answer
    assert rejection.reason


def test_more_than_the_longest_request_is_refused_before_it_is_buffered() -> None:
    longest = "x" * 255
    assert served(V2Client().encode(GetStatus(longest))) == GetStatus(longest)
    with pytest.raises(CodecError, match="321 octets"):
        served((321).to_bytes(4, "little"))
    with pytest.raises(CodecError, match="65 octets"):
        replied(SET, (65).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("request_", "octets"),
    [
        (GetStatus("shed"), bytes.fromhex("04000000 01000000")),
        (SET, SNAPSHOT_OCTETS),
        (SET, bytes.fromhex("03000000 010000")),
    ],
)
def test_an_answer_to_another_question_is_a_typed_error(request_: Request, octets: bytes) -> None:
    with pytest.raises(CodecError):
        replied(request_, octets)


@given(st.builds(Status, *[quantity] * 6, st.integers(-(2**50), 2**50)))
def test_statuses_round_trip_and_the_declaration_agrees(status: Status) -> None:
    octets = V2Server().encode(GetStatus("x"), status)
    assert replied(GetStatus("x"), octets) == status
    assert STATUS.parse(octets[4:]).current_ma == status.current_ma


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("quantity", [10**12 + 1, -(2**63), 2**63 - 1])
def test_what_no_battery_can_be_is_no_status(at: int, quantity: int) -> None:
    fields = [1, 1, 1, 1, 1, 1]
    fields[at] = quantity
    octets = V2Server().encode(GetStatus("x"), Status(*fields))
    with pytest.raises(CodecError):
        replied(GetStatus("x"), octets)


@given(st.integers(-(10**9), 10**9), st.integers(0, 2**42), st.integers(0, 2**42), st.booleans())
def test_windows_round_trip(current_ma: int, start_ms: int, end_ms: int, is_greater: bool) -> None:
    request = SetCurrent("ä", current_ma, start_ms, end_ms, is_greater)
    assert served(V2Client().encode(request)) == request


@pytest.mark.parametrize(
    "request_",
    [Remove("shed"), SetCurrent("shed", 1), SetCurrent("shed", 10**10, 0, 1), GetStatus("")],
)
def test_what_the_dialect_lacks_is_our_error(request_: Request) -> None:
    with pytest.raises(CodecError):
        V2Client().encode(request_)


def test_a_status_that_does_not_fit_is_our_error() -> None:
    with pytest.raises(CodecError):
        V2Server().encode(GetStatus("x"), Status(2**63, 0, 0, 0, 0, 0))


@given(st.binary(max_size=90))
def test_garbage_raises_only_protocol_errors(octets: bytes) -> None:
    for stream in (octets, len(octets).to_bytes(4, "little") + octets):
        for request in (GetStatus("x"), SET):
            try:
                served(stream)
                replied(request, stream)
            except ProtocolError:
                continue
