"""The battery's end: every whole request is answered, in order, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.bms.jbd import (
    DEVICE_NAME,
    MAX_CHARGE_CURRENT,
    MOSFET_CONTROL,
    Disabled,
    Fault,
    JbdDevice,
    ReadRequested,
    Reply,
    Request,
    WriteRequested,
)
from protocols.errors import LocalProtocolError

ENTER = Request(0x00, True, b"\x56\x78")
LEAVE = Request(0x01, True, b"\x00\x00")


def asked(*requests: Request) -> JbdDevice:
    device = JbdDevice()
    device.receive_data(b"".join(request.encode() for request in requests), now=0.0)
    return device


def test_a_read_is_an_event_and_its_answer_the_reply() -> None:
    device = asked(Request(0x05))
    assert device.next_event() == ReadRequested(DEVICE_NAME)
    assert device.data_to_send() == b""
    device.answer("0123456789")
    assert device.data_to_send().hex() == "dd05000a30313233343536373839fde977"
    assert device.data_to_send() == b""
    assert device.next_event() is None


def test_a_write_is_an_event_with_its_value() -> None:
    device = asked(Request(0xE1, True, b"\x00\x02"))
    assert device.next_event() == WriteRequested(MOSFET_CONTROL, Disabled.DISCHARGE)
    device.accept()
    assert device.data_to_send() == Reply(0xE1).encode()


def test_requests_are_answered_in_order() -> None:
    device = asked(Request(0x05), Request(0x77), Request(0xE1, True, b"\x00\x00"))
    assert device.next_event() == ReadRequested(DEVICE_NAME)
    device.answer("x")
    assert isinstance(device.next_event(), WriteRequested)
    device.refuse()
    assert device.data_to_send() == b"".join(
        reply.encode()
        for reply in (Reply(0x05, b"x"), Reply(0x77, ok=False), Reply(0xE1, ok=False))
    )


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (Request(0x77), Fault.UNKNOWN_REGISTER),
        (Request(0xE1), Fault.NOT_READABLE),
        (Request(0x03, True, b"\x00\x00"), Fault.NOT_WRITABLE),
        (Request(0xE1, True, b"\x00\x04"), Fault.MALFORMED_VALUE),
        (Request(0xE1, True, b""), Fault.MALFORMED_VALUE),
        (Request(0x28), Fault.FACTORY_MODE_NEEDED),
        (Request(0x00, True, b"\x12\x34"), Fault.MALFORMED_VALUE),
        (Request(0x01, True, b"\x56\x78"), Fault.MALFORMED_VALUE),
    ],
)
def test_what_the_table_does_not_allow_is_refused_and_counted(
    request_: Request, fault: Fault
) -> None:
    device = asked(request_)
    assert device.next_event() is None
    assert device.data_to_send() == Reply(request_.register, ok=False).encode()
    assert dict(device.faults) == {fault: 1}


@pytest.mark.parametrize("leave", [LEAVE, Request(0x01, True, b"\x28\x28")])
def test_factory_mode_opens_and_closes_the_limits(leave: Request) -> None:
    device = asked(ENTER, Request(0x28), leave, Request(0x28))
    assert device.next_event() == ReadRequested(MAX_CHARGE_CURRENT)
    device.answer(60_000)
    assert device.next_event() is None
    assert device.data_to_send() == b"".join(
        reply.encode()
        for reply in (
            Reply(0x00),
            Reply(0x28, b"\x17\x70"),
            Reply(0x01),
            Reply(0x28, ok=False),
        )
    )


def test_a_wrong_code_leaves_factory_mode_as_it_is() -> None:
    device = asked(ENTER, Request(0x01, True, b"\x11\x11"), Request(0x28))
    assert isinstance(device.next_event(), ReadRequested)


def test_each_event_wants_its_own_kind_of_answer() -> None:
    device = asked(Request(0x05), Request(0x05))
    with pytest.raises(LocalProtocolError):
        device.answer("nothing asked")
    device.next_event()
    with pytest.raises(LocalProtocolError):
        device.accept()
    with pytest.raises(LocalProtocolError):
        device.next_event()
    device.answer("x")
    assert device.next_event() == ReadRequested(DEVICE_NAME)


def test_a_request_that_stops_is_given_up_after_a_silence() -> None:
    device = JbdDevice(silence_s=0.5)
    device.receive_data(b"\xdd\x5a\x05\x09" + Request(0x05).encode(), now=10.0)
    assert device.deadline == 10.5
    device.handle_deadline(10.4)
    assert device.next_event() is None
    device.handle_deadline(10.5)
    assert device.deadline is None
    assert device.next_event() == ReadRequested(DEVICE_NAME)
    assert device.faults[Fault.TRUNCATED] == 1


def test_a_pause_within_a_frame_is_no_end_of_it() -> None:
    device = JbdDevice(silence_s=0.5)
    octets = Request(0x05).encode()
    for number, octet in enumerate(octets):
        device.handle_deadline(0.4 * number)
        device.receive_data(bytes([octet]), now=0.4 * number)
    assert device.next_event() == ReadRequested(DEVICE_NAME)
    assert device.deadline is None


def test_after_the_end_of_the_stream_nothing_is_answered() -> None:
    device = asked(Request(0x05))
    device.receive_data(b"\xdd\xa5", now=0.0)
    device.receive_eof()
    assert device.next_event() is None
    assert device.deadline is None
    assert device.faults[Fault.TRUNCATED] == 1


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_no_octets_break_it(chunks: list[bytes]) -> None:
    device = JbdDevice()
    for now, chunk in enumerate(chunks):
        device.receive_data(chunk, now=float(now))
        device.handle_deadline(now + 0.9)
        while device.next_event() is not None:
            device.refuse()
    device.data_to_send()
    device.receive_data(Request(0x05).encode(), now=99.0)
    assert device.next_event() == ReadRequested(DEVICE_NAME)
