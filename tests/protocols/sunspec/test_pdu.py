"""Modbus messages: the published octets, and what contradicts itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError, ProtocolError
from protocols.sunspec.pdu import (
    ReadRegisters,
    Refusal,
    Request,
    WriteRegisters,
    decode_answer,
    decode_request,
    encode_read,
    encode_written,
)

# Examples of the Modbus Application Protocol 1.1b3, 6.3, 6.6 and 6.12.
READ = ReadRegisters(0x006B, 3)
SINGLE = WriteRegisters(0x0001, (0x0003,), single=True)
WRITE = WriteRegisters(0x0001, (0x000A, 0x0102))
registers = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=123).map(tuple)


@pytest.mark.parametrize(
    ("request_", "octets"),
    [(READ, "03 006b 0003"), (SINGLE, "06 0001 0003"), (WRITE, "10 0001 0002 04 000a 0102")],
)
def test_published_requests(request_: Request, octets: str) -> None:
    assert request_.encode() == bytes.fromhex(octets)
    assert decode_request(bytes.fromhex(octets)) == request_


def test_published_answers() -> None:
    read = bytes.fromhex("03 06 022b 0000 0064")
    assert encode_read((0x022B, 0x0000, 0x0064)) == read
    assert decode_answer(READ, read) == (0x022B, 0x0000, 0x0064)
    assert encode_written(SINGLE) == bytes.fromhex("06 0001 0003")
    assert encode_written(WRITE) == bytes.fromhex("10 0001 0002")
    assert decode_answer(WRITE, bytes.fromhex("10 0001 0002")) == ()
    assert Refusal(3, 2).encode() == bytes.fromhex("83 02")
    assert decode_answer(READ, bytes.fromhex("83 02")) == Refusal(3, 2)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        pytest.param("04 006b 0003", 1, id="input-registers"),
        pytest.param("2b 0e 01 00", 1, id="device-identification"),
        pytest.param("83 00", 1, id="an-exception"),
        pytest.param("03", 3, id="only-a-function"),
        pytest.param("03 006b 00", 3, id="truncated-read"),
        pytest.param("03 006b 0000", 3, id="nothing"),
        pytest.param("03 006b 007e", 3, id="126-registers"),
        pytest.param("03 006b 0003 00", 3, id="an-octet-too-many"),
        pytest.param("06 0001", 3, id="truncated-single"),
        pytest.param("10 0001 0002 04 000a 01", 3, id="truncated-write"),
        pytest.param("10 0001 0002 04 000a", 3, id="a-register-too-few"),
        pytest.param("10 0001 0003 04 000a 0102", 3, id="wrong-count"),
        pytest.param("10 0001 0002 06 000a 0102", 3, id="wrong-octets"),
        pytest.param("10 0001 0000 00", 3, id="no-registers"),
        pytest.param("10 0001 007c f8" + "0001" * 124, 3, id="124-registers"),
    ],
)
def test_a_request_that_is_none_is_refused(octets: str, code: int) -> None:
    pdu = bytes.fromhex(octets)
    assert decode_request(pdu) == Refusal(pdu[0], code)


@pytest.mark.parametrize(
    ("request_", "octets"),
    [
        (READ, "03 04 022b 0000"),
        (READ, "03 06 022b 0000"),
        (READ, "03 04 022b 0000 0064"),
        (READ, "04 06 022b 0000 0064"),
        (READ, "86 02"),
        (READ, "83"),
        (WRITE, "10 0001 0001"),
        (WRITE, "10 0002 0002"),
        (SINGLE, "06 0001 0004"),
        (SINGLE, "10 0001 0001"),
    ],
)
def test_an_answer_to_another_question_is_none(request_: Request, octets: str) -> None:
    with pytest.raises(CodecError):
        decode_answer(request_, bytes.fromhex(octets))


@given(st.integers(0, 0xFFFF), registers)
def test_writes_round_trip(address: int, values: tuple[int, ...]) -> None:
    request = WriteRegisters(address, values)
    assert decode_request(request.encode()) == request
    assert decode_answer(request, encode_written(request)) == ()


@given(registers)
def test_reads_round_trip(values: tuple[int, ...]) -> None:
    assert decode_answer(ReadRegisters(0, len(values)), encode_read(values)) == values


@pytest.mark.parametrize(
    "request_",
    [
        ReadRegisters(0, 126),
        ReadRegisters(0, 0),
        ReadRegisters(0x10000, 1),
        WriteRegisters(0, ()),
        WriteRegisters(0, (0,) * 124),
        WriteRegisters(0, (0x10000,)),
        WriteRegisters(0, (1, 2), single=True),
    ],
)
def test_what_does_not_fit_is_our_error(request_: Request) -> None:
    with pytest.raises(CodecError):
        request_.encode()


@given(st.binary(min_size=1, max_size=60))
def test_garbage_is_refused_or_raises_only_protocol_errors(pdu: bytes) -> None:
    decode_request(pdu)
    for request in (READ, WRITE, SINGLE):
        try:
            decode_answer(request, pdu)
        except ProtocolError:
            continue
