"""Dialect v1: the octets of the public code, requests over any split, errors with terminators."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries.dialect import Rejection
from protocols.batteries.faults import Fault
from protocols.batteries.v1 import MAX_REQUEST_SIZE, ObjectReader, V1Client, V1Server
from protocols.batteries.values import (
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Request,
    SetCurrent,
    Status,
)
from protocols.errors import CodecError, ProtocolError

GET = b'{"request": "get_status", "name": "shed"}'
SET = b'{"request": "set_current", "name": "shed", "current": 36.667}'
STATUS = Status(51_200, -36_667, 27_500, 110_000, 20_000, 30_000)
STATUS_TEXT = (
    b'{"response": {"voltage": 51.2, "current": -36.667, "state_of_charge": 27.5, '
    b'"max_capacity": 110.0, "max_discharging_current": 30.0, "max_charging_current": 20.0}}\0'
)
statuses = st.builds(Status, *[st.integers(-(10**9), 10**9)] * 6)


def served(octets: bytes) -> Request | Rejection | None:
    server = V1Server()
    server.feed(octets)
    return server.next_request()


def replied(request: Request, octets: bytes) -> object:
    client = V1Client()
    client.feed(octets)
    return client.next_reply(request)


def test_requests_have_the_octets_of_the_public_code() -> None:
    assert V1Client().encode(GetStatus("shed")) == GET
    assert V1Client().encode(SetCurrent("shed", 36_667)) == SET
    assert served(GET) == GetStatus("shed")
    assert served(SET) == SetCurrent("shed", 36_667)


def test_replies_have_the_octets_of_the_public_code() -> None:
    server = V1Server()
    assert server.encode(GetStatus("shed"), STATUS) == STATUS_TEXT
    assert server.encode(SetCurrent("shed", 1), Done()) == b'{"response": null}\0'
    assert replied(GetStatus("shed"), STATUS_TEXT) == STATUS
    assert replied(SetCurrent("shed", 1), b'{"response": null}\0') == Done()


def test_an_error_ends_with_its_terminator_so_that_nobody_waits() -> None:
    refused = V1Server().encode(GetStatus("shed"), Refusal('no "shed"'))
    assert refused == b'{"response": null, "error": "no \\"shed\\""}\0'
    assert replied(GetStatus("shed"), refused) == Refusal('no "shed"')
    assert V1Server().last_words("lost").endswith(b"\0")


@pytest.mark.parametrize("cut", range(1, len(SET)))
def test_a_request_over_two_segments_is_one_request(cut: int) -> None:
    server = V1Server()
    server.feed(SET[:cut])
    assert server.next_request() is None
    assert server.buffered == cut
    server.feed(SET[cut:])
    assert server.next_request() == SetCurrent("shed", 36_667)
    assert server.buffered == 0


@given(st.lists(st.sampled_from([GET, SET, b"\n", b"\0", b" "]), max_size=5), st.data())
def test_any_split_gives_the_same_requests(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    server, seen = V1Server(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        server.feed(stream[start:end])
        while (request := server.next_request()) is not None:
            seen.append(request)
    meant = {GET: GetStatus("shed"), SET: SetCurrent("shed", 36_667)}
    assert seen == [meant[part] for part in parts if part in meant]


def test_braces_and_quotes_in_a_name_do_not_end_a_request() -> None:
    name = 'a}"{\\b"[é'
    text = json.dumps({"request": "get_status", "name": name}).encode()
    assert served(text) == GetStatus(name)
    assert served(json.dumps({"request": "get_status", "name": name}, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("number", "current_ma"),
    [
        ("0.001", 1),
        ("-0.0004", 0),
        ("81.8182", 81_818),
        ("7", 7_000),
        ("1e3", 1_000_000),
        ("1e-99999999999999999999", None),
    ],
)
def test_numbers_are_taken_to_the_milliampere(number: str, current_ma: int | None) -> None:
    request = served(SET.replace(b"36.667", number.encode()))
    if current_ma is None:
        assert isinstance(request, Rejection)
    else:
        assert request == SetCurrent("shed", current_ma)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"request": "get_status"}', Fault.MALFORMED),
        ('{"name": "shed"}', Fault.MALFORMED),
        ('{"request": "get_status", "name": 7}', Fault.MALFORMED),
        ('{"request": "get_status", "name": ""}', Fault.MALFORMED),
        ('{"request": "get_status", "name": "\\ud800"}', Fault.MALFORMED),
        ('{"request": "get_status" "name": "shed"}', Fault.MALFORMED),
        ('{"request": "get_status", "name": "' + "x" * 256 + '"}', Fault.MALFORMED),
        ("{]", Fault.MALFORMED),
        ('{"a": ' + "[" * 500 + "]" * 500 + "}", Fault.MALFORMED),
        ('{"request": "remove", "name": "shed"}', Fault.UNKNOWN_OPERATION),
        ('{"request": ["get_status"], "name": "shed"}', Fault.UNKNOWN_OPERATION),
        ('{"request": "set_current", "name": "shed"}', Fault.MALFORMED),
        ('{"request": "set_current", "name": "shed", "current": "1"}', Fault.MALFORMED),
        ('{"request": "set_current", "name": "shed", "current": true}', Fault.MALFORMED),
        ('{"request": "set_current", "name": "shed", "current": NaN}', Fault.MALFORMED),
        ('{"request": "set_current", "name": "shed", "current": 1e7}', Fault.OUT_OF_RANGE),
        ('{"request": "set_current", "name": "shed", "current": -1e300}', Fault.OUT_OF_RANGE),
        ('{"request": "set_current", "name": "shed", "current": 1e999999}', Fault.OUT_OF_RANGE),
        ('{"request": "set_current", "name": "a", "current": ' + "9" * 900 + "}",
         Fault.OUT_OF_RANGE),
        ('{"request": "set_current", "name": "s", "current": 1e99999999999999999999}',
         Fault.MALFORMED),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_and_counted(text: str, fault: Fault) -> None:
    rejection = served(text.encode())
    assert isinstance(rejection, Rejection)
    assert rejection.fault is fault
    assert rejection.octets.count(b"\0") == 1
    reply = json.loads(rejection.octets.removesuffix(b"\0"))
    assert reply == {"response": None, "error": rejection.reason}


def test_what_begins_no_object_or_does_not_end_loses_the_framing() -> None:
    for octets in (b"GET / HTTP/1.1", b"[1]", b'"x"', b"{" + b" " * MAX_REQUEST_SIZE):
        server = V1Server()
        server.feed(octets)
        with pytest.raises(CodecError):
            server.next_request()
    longest = b'{"request": "get_status", "name": "shed"' + b" " * (MAX_REQUEST_SIZE - 41) + b"}"
    assert len(longest) == MAX_REQUEST_SIZE
    assert served(longest) == GetStatus("shed")


@pytest.mark.parametrize(
    "octets",
    [
        b"\0",
        b"{}\0",
        b"nothing\0",
        b'{"response": null}\0',
        b'{"response": {"voltage": 1}}\0',
        b'{"response": 5}\0',
        STATUS_TEXT.replace(b"51.2", b'"x"'),
        b" " * 5_000,
    ],
)
def test_an_answer_that_is_no_status_is_a_typed_error(octets: bytes) -> None:
    with pytest.raises(CodecError):
        replied(GetStatus("shed"), octets)


def test_an_answer_may_come_octet_by_octet() -> None:
    client = V1Client()
    for octet in STATUS_TEXT[:-1]:
        client.feed(bytes([octet]))
        assert client.next_reply(GetStatus("shed")) is None
    client.feed(b"\0")
    assert client.next_reply(GetStatus("shed")) == STATUS


@given(statuses)
def test_statuses_round_trip_to_the_milliunit(status: Status) -> None:
    assert replied(GetStatus("x"), V1Server().encode(GetStatus("x"), status)) == status


@pytest.mark.parametrize(
    "request_",
    [
        Refresh("shed"),
        SetCurrent("shed", 1, 0, 1),
        SetCurrent("shed", 1_000_000_001),
        GetStatus(""),
        GetStatus("x" * 256),
        GetStatus("a\0b"),
    ],
)
def test_what_the_dialect_lacks_is_our_error(request_: Request) -> None:
    with pytest.raises(CodecError):
        V1Client().encode(request_)


@given(st.binary(max_size=80))
def test_garbage_raises_only_protocol_errors(octets: bytes) -> None:
    try:
        served(octets)
        served(b"{" + octets + b"}")
        replied(GetStatus("x"), octets + b"\0")
    except ProtocolError:
        pass


def test_looking_again_costs_only_what_is_new() -> None:
    reader = ObjectReader()
    for octet in GET[:-1]:
        reader.feed(bytes([octet]))
        assert reader.next_object() is None
        assert reader._seen == reader.buffered
