"""The host's end of a connection: one event a request, however the answer comes or does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.asking import Failed
from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.client import Answered, ModbusClient, Refused
from protocols.sunspec.faults import Fault
from protocols.sunspec.modbus import Adu
from protocols.sunspec.pdu import ReadRegisters, WriteRegisters, encode_read

READ = ReadRegisters(40_000, 2)
ANSWER = Adu(1, 1, encode_read((1, 2))).encode()


def reading() -> ModbusClient:
    client = ModbusClient(timeout_s=2.0)
    client.ask(READ, now=5.0)
    assert client.data_to_send().hex() == "00010000000601039c400002"
    return client


def test_an_answer_over_any_split_ends_the_wait() -> None:
    client = reading()
    assert client.deadline == 7.0
    for octet in ANSWER:
        client.receive_data(bytes([octet]))
    assert client.next_event() == Answered(READ, (1, 2))
    assert client.deadline is None


def test_a_refusal_is_an_event() -> None:
    client = reading()
    client.receive_data(Adu(1, 1, b"\x83\x02").encode())
    assert client.next_event() == Refused(READ, 2)
    assert client.faults[Fault.REFUSED] == 1


def test_an_answer_that_comes_too_late_answers_nothing_else() -> None:
    client = reading()
    client.handle_deadline(6.9)
    assert client.next_event() is None
    client.handle_deadline(7.0)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.TIMEOUT
    client.ask(READ, now=8.0)
    client.receive_data(ANSWER)
    assert client.next_event() is None
    assert client.faults[Fault.STRAY_ANSWER] == 1
    client.receive_data(Adu(2, 1, encode_read((3, 4))).encode())
    assert client.next_event() == Answered(READ, (3, 4))


def test_an_answer_of_another_unit_is_not_taken() -> None:
    client = reading()
    client.receive_data(Adu(1, 2, encode_read((1, 2))).encode())
    assert client.next_event() is None


def test_an_answer_to_another_question_fails_the_request() -> None:
    client = reading()
    client.receive_data(Adu(1, 1, encode_read((1, 2, 3))).encode())
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.MALFORMED_ANSWER
    assert not client.closed


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"", Fault.TRANSPORT_CLOSED),
        (ANSWER[:-1], Fault.TRUNCATED),
        (b"HTTP/1.1 400", Fault.FRAMING),
    ],
)
def test_the_end_fails_what_is_owed_once(octets: bytes, fault: Fault) -> None:
    client = reading()
    client.receive_data(octets)
    client.receive_eof()
    client.receive_eof()
    client.receive_data(ANSWER)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is fault
    assert client.next_event() is None
    assert client.faults[fault] == 1
    with pytest.raises(LocalProtocolError):
        client.ask(READ, now=9.0)


def test_one_request_at_a_time_and_a_bad_one_leaves_the_line_free() -> None:
    client = reading()
    with pytest.raises(LocalProtocolError):
        client.ask(READ, now=5.0)
    client = ModbusClient()
    with pytest.raises(CodecError):
        client.ask(WriteRegisters(0, ()), now=0.0)
    client.ask(READ, now=0.0)


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_no_octets_break_it(chunks: list[bytes]) -> None:
    client = reading()
    for chunk in chunks:
        client.receive_data(chunk)
    client.handle_deadline(7.0)
    assert client.next_event() is not None
    assert client.next_event() is None
