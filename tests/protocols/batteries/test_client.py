"""The asker's end in every dialect: one event a request, however the answer comes or does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries import (
    DIALECTS,
    V1,
    V2,
    V3,
    Answered,
    BatteryClient,
    BatteryServer,
    Connect,
    Dialect,
    Done,
    Failed,
    Fault,
    GetStatus,
    Refusal,
    Refused,
    Reply,
    Request,
    SetCurrent,
    Status,
)
from protocols.errors import CodecError, LocalProtocolError

STATUS = Status(51_200, -36_667, 27_500, 110_000, 20_000, 30_000, 1_700_000_000_123)
GET = GetStatus("shed")


def connected(dialect: Dialect) -> BatteryClient:
    client = BatteryClient(dialect, timeout_s=5.0)
    if dialect is V3:
        client.ask(Connect("shed"), now=0.0)
        client.data_to_send()
        client.receive_data(bytes(4))
        assert client.next_event() == Answered(Connect("shed"), Done())
    return client


def answer(dialect: Dialect) -> bytes:
    return dialect.server().encode(GET, STATUS)


everywhere = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@everywhere
def test_both_ends_agree_octet_by_octet(dialect: Dialect) -> None:
    client, server = BatteryClient(dialect), BatteryServer(dialect)
    window = (None, None) if dialect is V1 else (1_000, 2_000)
    conversation: list[tuple[Request, Reply]] = [
        (GET, STATUS),
        (SetCurrent("shed", -36_667, *window), Done()),
        (SetCurrent("shed", 1, *window), Refusal("over the limit")),
    ]
    if dialect is V3:
        conversation.insert(0, (Connect("shed"), Done()))
    for request, reply in conversation:
        client.ask(request, now=0.0)
        for octet in client.data_to_send():
            assert server.next_request() is None
            server.receive_data(bytes([octet]))
        assert server.next_request() == request
        server.answer(reply)
        for octet in server.data_to_send():
            assert client.next_event() is None
            client.receive_data(bytes([octet]))
        event = client.next_event()
        if isinstance(reply, Refusal):
            assert isinstance(event, Refused)
        elif isinstance(reply, Status):
            assert isinstance(event, Answered)
            assert isinstance(event.reply, Status)
            assert event.reply.current_ma == -36_667
        else:
            assert event == Answered(request, Done())
    assert dict(client.faults) == {Fault.REFUSED: 1}
    assert dict(server.faults) == {Fault.REFUSED: 1}


@everywhere
def test_silence_ends_the_connection_for_answers_have_no_number(dialect: Dialect) -> None:
    client = connected(dialect)
    client.ask(GET, now=10.0)
    assert client.deadline == 15.0
    client.handle_deadline(14.9)
    assert client.next_event() is None
    client.receive_data(answer(dialect)[:-1])
    client.handle_deadline(15.0)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.TIMEOUT
    assert client.deadline is None
    client.receive_data(answer(dialect))
    assert client.next_event() is None
    with pytest.raises(LocalProtocolError, match="over"):
        client.ask(GET, now=16.0)


@everywhere
@pytest.mark.parametrize("size", [0, 3])
def test_the_end_of_the_stream_fails_what_is_owed_once(dialect: Dialect, size: int) -> None:
    client = connected(dialect)
    client.ask(GET, now=0.0)
    client.receive_data(answer(dialect)[:size])
    client.receive_eof()
    client.receive_eof()
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is (Fault.TRUNCATED if size else Fault.TRANSPORT_CLOSED)
    assert client.next_event() is None


@everywhere
def test_an_answer_that_cannot_be_one_fails_the_request(dialect: Dialect) -> None:
    client = connected(dialect)
    client.ask(GET, now=0.0)
    client.receive_data(b"\xff" * 5_000)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.MALFORMED
    assert client.closed


@everywhere
def test_an_answer_that_nobody_asked_for_is_passed_over(dialect: Dialect) -> None:
    client = connected(dialect)
    client.receive_data(answer(dialect))
    assert client.next_event() is None
    assert client.faults[Fault.STRAY_ANSWER] == 1
    client.ask(GET, now=0.0)
    client.receive_data(answer(dialect))
    assert isinstance(client.next_event(), Answered)


def test_one_request_at_a_time_and_a_bad_one_leaves_the_line_free() -> None:
    client = BatteryClient(V2)
    with pytest.raises(CodecError):
        client.ask(SetCurrent("shed", 1), now=0.0)
    client.ask(GET, now=0.0)
    with pytest.raises(LocalProtocolError, match="not answered"):
        client.ask(GET, now=0.0)


@everywhere
@given(chunks=st.lists(st.binary(max_size=40), max_size=5))
def test_no_octets_break_it(dialect: Dialect, chunks: list[bytes]) -> None:
    client = connected(dialect)
    client.ask(GET, now=0.0)
    for chunk in chunks:
        client.receive_data(chunk)
    client.handle_deadline(5.0)
    assert client.next_event() is not None
