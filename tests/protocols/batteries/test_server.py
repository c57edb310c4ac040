"""The battery's end in every dialect: each request exactly one answer, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries import (
    DIALECTS,
    V1,
    V2,
    V3,
    BatteryServer,
    Connect,
    Dialect,
    Done,
    Fault,
    GetStatus,
    Refusal,
    Request,
    SetCurrent,
    Status,
    wants_status,
)
from protocols.errors import CodecError, LocalProtocolError

STATUS = Status(51_200, 1, 2, 3, 4, 5, 6)
GET = GetStatus("shed")


def octets_of(dialect: Dialect, request: Request) -> bytes:
    """Return a request as a client of ``dialect`` sends it once it is connected."""
    client = dialect.client()
    if dialect is V3 and not isinstance(request, Connect):
        client.feed(bytes(4))
        client.next_reply(Connect(request.name))
    return client.encode(request)


def connected(dialect: Dialect) -> BatteryServer:
    server = BatteryServer(dialect)
    if dialect is V3:
        server.receive_data(octets_of(V3, Connect("shed")))
        server.next_request()
        server.answer(Done())
        server.data_to_send()
    return server


def set_current(dialect: Dialect, current_ma: int) -> SetCurrent:
    window = (None, None) if dialect is V1 else (0, 1)
    return SetCurrent("shed", current_ma, *window)


everywhere = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@everywhere
def test_pipelined_requests_are_answered_in_order(dialect: Dialect) -> None:
    server = connected(dialect)
    asked: list[Request] = [GET, set_current(dialect, 7), GET]
    server.receive_data(b"".join(octets_of(dialect, request) for request in asked))
    client = dialect.client()
    for number, request in enumerate(asked):
        assert server.next_request() == request
        server.answer(Status(number, 0, 0, 0, 0, 0, 0) if wants_status(request) else Done())
    assert server.next_request() is None
    client.feed(server.data_to_send())
    first, second, third = (client.next_reply(request) for request in asked)
    assert isinstance(first, Status)
    assert isinstance(third, Status)
    assert (first.voltage_mv, second, third.voltage_mv) == (0, Done(), 2)


@everywhere
def test_an_out_of_range_current_is_refused_with_a_reply_and_the_next_request_served(
    dialect: Dialect,
) -> None:
    server = connected(dialect)
    too_much = {
        "v1": b'{"request": "set_current", "name": "shed", "current": 1e12}',
        "v2": octets_of(V2, set_current(V2, 7)).replace(b"\7" + bytes(7), bytes(7) + b"\7"),
        "v3": bytes.fromhex("0000000b1a0909000000000000f07f"),
    }[dialect.name]
    server.receive_data(too_much + octets_of(dialect, GET))
    assert server.next_request() == GET
    assert server.faults[Fault.OUT_OF_RANGE] == 1
    client = dialect.client()
    client.feed(server.data_to_send())
    assert isinstance(client.next_reply(set_current(dialect, 7)), Refusal)


@everywhere
def test_a_refused_request_is_answered_and_counted(dialect: Dialect) -> None:
    server = connected(dialect)
    for request in (GET, set_current(dialect, 7)):
        server.receive_data(octets_of(dialect, request))
        server.next_request()
        server.answer(Refusal("no such battery"))
        client = dialect.client()
        client.feed(server.data_to_send())
        assert isinstance(client.next_reply(request), Refusal)
    assert dict(server.faults) == {Fault.REFUSED: 2}


@everywhere
def test_what_has_no_framing_gets_last_words_and_ends_the_connection(dialect: Dialect) -> None:
    server = connected(dialect)
    server.receive_data(octets_of(dialect, GET) + b"\xff" * 5_000)
    assert server.next_request() == GET
    server.answer(STATUS)
    server.data_to_send()
    assert server.next_request() is None
    assert server.closed
    assert server.faults[Fault.FRAMING] == 1
    client = dialect.client()
    client.feed(server.data_to_send())
    assert isinstance(client.next_reply(GET), Refusal)
    server.receive_data(octets_of(dialect, GET))
    assert server.next_request() is None
    assert server.data_to_send() == b""


@everywhere
def test_a_request_that_stops_is_counted_at_the_end(dialect: Dialect) -> None:
    server = connected(dialect)
    server.receive_data(octets_of(dialect, GET)[:-1])
    assert server.next_request() is None
    server.receive_eof()
    server.receive_eof()
    assert server.closed
    assert dict(server.faults) == {Fault.TRUNCATED: 1}


def test_each_request_wants_its_own_kind_of_answer() -> None:
    server = BatteryServer(V1)
    with pytest.raises(LocalProtocolError, match="nothing was asked"):
        server.answer(Done())
    server.receive_data(octets_of(V1, GET) + octets_of(V1, SetCurrent("shed", 1)))
    server.next_request()
    with pytest.raises(LocalProtocolError, match="no answer"):
        server.answer(Done())
    with pytest.raises(LocalProtocolError, match="not answered"):
        server.next_request()
    server.answer(STATUS)
    server.next_request()
    with pytest.raises(LocalProtocolError, match="no answer"):
        server.answer(STATUS)
    server.answer(Done())


def test_an_answer_that_does_not_fit_leaves_the_request_open() -> None:
    server = BatteryServer(V2)
    server.receive_data(octets_of(V2, GET))
    server.next_request()
    with pytest.raises(CodecError):
        server.answer(Status(2**63, 0, 0, 0, 0, 0))
    server.answer(Refusal("too large"))
    assert server.data_to_send() == bytes(4)


@everywhere
@given(chunks=st.lists(st.binary(max_size=40), max_size=5))
def test_no_octets_break_it(dialect: Dialect, chunks: list[bytes]) -> None:
    server = connected(dialect)
    for chunk in chunks:
        server.receive_data(chunk)
        while server.next_request() is not None:
            server.answer(Refusal("no"))
