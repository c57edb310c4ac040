"""The battery's end: everything is answered, and a write is done whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.sunspec.device import ReadRequested, SunSpecDevice, WriteRequested
from protocols.sunspec.faults import Fault
from protocols.sunspec.image import Change, Image, RegisterMap
from protocols.sunspec.modbus import Adu
from protocols.sunspec.pdu import ReadRegisters, Request, WriteRegisters

LAYOUT = RegisterMap.of((713, 704))
AT = LAYOUT.place((704, "WSetEna")).address


def asked(*requests: Request, unit: int = 1) -> SunSpecDevice:
    values = {(713, "SoC"): 5_000, (704, "WSetEna"): 0, (704, "WSetMod"): 1, (704, "WSet"): 0}
    device = SunSpecDevice(Image(LAYOUT, values))
    for transaction, request in enumerate(requests, start=7):
        device.receive_data(Adu(transaction, unit, request.encode()).encode())
    return device


def test_a_read_is_answered_from_the_image_as_it_is_then() -> None:
    device = asked(ReadRegisters(40_006, 1))
    assert device.next_event() == ReadRequested(40_006, 1)
    device.image.set((713, "SoC"), 4_999)
    device.answer()
    #                                          trans proto length unit fn octets register
    assert device.data_to_send().hex() == "0007000000050103021387"
    assert device.data_to_send() == b""
    assert device.next_event() is None


def test_a_write_changes_nothing_until_it_is_accepted() -> None:
    device = asked(WriteRegisters(AT, (1, 1, 0, 9)), WriteRegisters(AT, (0,), single=True))
    assert device.next_event() == WriteRequested(
        (Change((704, "WSetEna"), 1), Change((704, "WSetMod"), 1), Change((704, "WSet"), 9))
    )
    assert device.image.get((704, "WSet")) == 0
    device.accept()
    assert device.image.get((704, "WSet")) == 9
    assert isinstance(device.next_event(), WriteRequested)
    device.refuse()
    assert device.image.get((704, "WSetEna")) == 1
    assert device.data_to_send() == (
        Adu(7, 1, bytes.fromhex("10") + AT.to_bytes(2, "big") + b"\0\4").encode()
        + Adu(8, 1, bytes.fromhex("86 04")).encode()
    )


@pytest.mark.parametrize(
    ("request_", "unit", "answer", "fault"),
    [
        (ReadRegisters(0, 3), 1, "83 02", Fault.ILLEGAL_ADDRESS),
        (ReadRegisters(65_535, 125), 1, "83 02", Fault.ILLEGAL_ADDRESS),
        (WriteRegisters(40_006, (1,)), 1, "90 02", Fault.ILLEGAL_ADDRESS),
        (WriteRegisters(AT + 3, (1,)), 1, "90 02", Fault.ILLEGAL_ADDRESS),
        (WriteRegisters(AT, (1,), single=True), 2, "86 0b", Fault.FOREIGN_UNIT),
    ],
)
def test_what_the_map_does_not_allow_is_refused_and_counted(
    request_: Request, unit: int, answer: str, fault: Fault
) -> None:
    device = asked(request_, unit=unit)
    assert device.next_event() is None
    assert device.data_to_send() == Adu(7, unit, bytes.fromhex(answer)).encode()
    assert dict(device.faults) == {fault: 1}


def test_a_malformed_request_is_answered_and_the_connection_goes_on() -> None:
    device = asked()
    device.receive_data(Adu(1, 1, bytes.fromhex("03 9c40")).encode())
    device.receive_data(Adu(2, 1, bytes.fromhex("04 9c40 0001")).encode())
    device.receive_data(Adu(3, 1, ReadRegisters(40_000, 2).encode()).encode())
    assert device.next_event() == ReadRequested(40_000, 2)
    device.answer()
    assert device.data_to_send().hex() == (
        "00010000000301830300020000000301840100030000000701030453756e53"
    )
    assert dict(device.faults) == {Fault.ILLEGAL_VALUE: 1, Fault.ILLEGAL_FUNCTION: 1}


def test_a_truncated_request_is_counted_at_the_end() -> None:
    device = asked()
    device.receive_data(Adu(1, 1, ReadRegisters(40_000, 2).encode()).encode()[:-1])
    assert device.next_event() is None
    device.receive_eof()
    device.receive_eof()
    assert device.closed
    assert dict(device.faults) == {Fault.TRUNCATED: 1}


def test_what_is_no_modbus_ends_the_connection_after_what_came_before() -> None:
    device = asked(ReadRegisters(40_000, 2))
    device.receive_data(b"GET / HTTP/1.1\r\n")
    assert device.closed
    device.receive_data(b"more")
    assert dict(device.faults) == {Fault.FRAMING: 1}
    assert device.next_event() == ReadRequested(40_000, 2)
    device.answer()
    assert device.data_to_send()
    device.receive_eof()
    assert dict(device.faults) == {Fault.FRAMING: 1}


def test_each_event_wants_its_own_kind_of_answer() -> None:
    device = asked(ReadRegisters(40_000, 2))
    for wrong in (device.answer, device.accept, device.refuse):
        with pytest.raises(LocalProtocolError):
            wrong()
    device.next_event()
    with pytest.raises(LocalProtocolError):
        device.accept()
    with pytest.raises(LocalProtocolError):
        device.next_event()
    device.refuse(6)
    assert device.data_to_send() == Adu(7, 1, b"\x83\x06").encode()


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_octets_break_it(chunks: list[bytes]) -> None:
    device = asked()
    for chunk in chunks:
        device.receive_data(chunk)
        while device.next_event() is not None:
            device.refuse()


@given(st.binary(min_size=1, max_size=40))
def test_no_message_breaks_it(pdu: bytes) -> None:
    device = asked()
    device.receive_data(Adu(1, 1, pdu).encode())
    while device.next_event() is not None:
        device.refuse()
    assert device.data_to_send()[:2] == b"\0\1"
