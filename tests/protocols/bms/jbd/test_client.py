"""The host's end: one event a request, however the answer comes or does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.bms.jbd import (
    DEVICE_NAME,
    ENTER_CODE,
    ENTER_FACTORY_MODE,
    MAX_DISCHARGE_CURRENT,
    MOSFET_CONTROL,
    REGULATOR,
    STATUS,
    Answered,
    Disabled,
    Failed,
    Fault,
    JbdClient,
    JbdDevice,
    Mosfets,
    PackStatus,
    ReadRequested,
    Refused,
    Reply,
    WriteRequested,
    Written,
)
from protocols.errors import CodecError, LocalProtocolError

NAME = Reply(0x05, b"SP04S020").encode()


def reading() -> JbdClient:
    client = JbdClient(timeout_s=1.0, silence_s=0.5)
    client.read(DEVICE_NAME, now=0.0)
    assert client.data_to_send().hex() == "dda50500fffb77"
    return client


def test_an_answer_ends_the_wait() -> None:
    client = reading()
    assert client.deadline == 1.0
    client.receive_data(NAME, now=0.9)
    assert client.next_event() == Answered(DEVICE_NAME, "SP04S020")
    assert client.next_event() is None
    assert client.deadline is None


def test_both_ends_agree_over_a_conversation() -> None:
    client, device = JbdClient(), JbdDevice()
    status = PackStatus(51_200, 36_660, 30_000, 110_000, 27, Mosfets.BOTH, 16)
    regulated: list[int] = []

    def exchange() -> None:
        device.receive_data(client.data_to_send(), now=0.0)
        match device.next_event():
            case ReadRequested(register):
                device.answer(status if register is STATUS else 60_000)
            case WriteRequested(register, value):
                if register is REGULATOR:
                    regulated.append(value)
                device.accept()
        client.receive_data(device.data_to_send(), now=0.0)

    client.read(STATUS, now=0.0)
    exchange()
    assert client.next_event() == Answered(STATUS, status)
    client.write(REGULATOR, 36_667, now=0.0)
    exchange()
    assert client.next_event() == Written(REGULATOR)
    assert regulated == [36_667]
    client.write(ENTER_FACTORY_MODE, ENTER_CODE, now=0.0)
    exchange()
    assert client.next_event() == Written(ENTER_FACTORY_MODE)
    client.read(MAX_DISCHARGE_CURRENT, now=0.0)
    exchange()
    assert client.next_event() == Answered(MAX_DISCHARGE_CURRENT, 60_000)


def test_a_refusal_is_an_event() -> None:
    client = JbdClient()
    client.write(MOSFET_CONTROL, Disabled.BOTH, now=0.0)
    assert client.data_to_send().hex() == "dd5ae1020003ff1a77"
    client.receive_data(Reply(0xE1, ok=False).encode(), now=0.0)
    assert client.next_event() == Refused(MOSFET_CONTROL)
    assert client.faults[Fault.REFUSED] == 1


def test_silence_fails_the_request_and_the_next_may_come() -> None:
    client = reading()
    client.handle_deadline(0.99)
    assert client.next_event() is None
    client.handle_deadline(1.0)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.TIMEOUT
    assert "register 05 (device name)" in failed.detail
    assert client.faults[Fault.TIMEOUT] == 1
    assert client.deadline is None
    client.read(DEVICE_NAME, now=2.0)
    client.receive_data(NAME, now=2.0)
    assert isinstance(client.next_event(), Answered)


def test_an_answer_that_stops_is_called_truncated() -> None:
    client = reading()
    client.receive_data(NAME[:9], now=0.7)
    assert client.deadline == 1.0
    client.handle_deadline(1.0)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.TRUNCATED
    assert client.faults[Fault.TRUNCATED] == 1
    assert client.deadline is None


def test_a_damaged_answer_is_passed_over_and_the_wait_goes_on() -> None:
    client = reading()
    client.receive_data(NAME[:-2] + b"\x00\x77", now=0.1)
    assert client.next_event() is None
    client.receive_data(NAME, now=0.2)
    assert client.next_event() == Answered(DEVICE_NAME, "SP04S020")
    assert client.faults[Fault.BAD_CHECKSUM] == 1


def test_an_answer_of_another_register_is_not_taken() -> None:
    client = reading()
    client.receive_data(Reply(0x04, b"").encode() + NAME, now=0.1)
    assert client.next_event() == Answered(DEVICE_NAME, "SP04S020")
    client.receive_data(NAME, now=0.2)
    assert client.next_event() is None
    assert client.faults[Fault.STRAY_REPLY] == 2


def test_an_answer_that_holds_no_value_fails_the_request() -> None:
    client = JbdClient()
    client.read(STATUS, now=0.0)
    client.receive_data(Reply(0x03, b"\x00").encode(), now=0.0)
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.MALFORMED_VALUE


@pytest.mark.parametrize(
    ("octets", "fault"), [(b"", Fault.TRANSPORT_CLOSED), (NAME[:5], Fault.TRUNCATED)]
)
def test_the_end_of_the_stream_fails_what_is_owed(octets: bytes, fault: Fault) -> None:
    client = reading()
    client.receive_data(octets, now=0.0)
    client.receive_eof()
    client.receive_eof()
    failed = client.next_event()
    assert isinstance(failed, Failed)
    assert failed.fault is fault
    assert client.next_event() is None
    with pytest.raises(LocalProtocolError):
        client.read(STATUS, now=1.0)


def test_one_request_at_a_time() -> None:
    client = reading()
    with pytest.raises(LocalProtocolError, match="register 05"):
        client.read(STATUS, now=0.0)
    assert client.data_to_send() == b""


def test_a_value_that_does_not_fit_leaves_the_line_free() -> None:
    client = JbdClient()
    with pytest.raises(CodecError):
        client.write(REGULATOR, 2**40, now=0.0)
    client.write(REGULATOR, 5, now=0.0)


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_no_octets_break_it(chunks: list[bytes]) -> None:
    client = reading()
    for number, chunk in enumerate(chunks):
        client.receive_data(chunk, now=0.1 * number)
    client.handle_deadline(1.0)
    assert client.next_event() is not None
    assert client.next_event() is None
