"""One packet: published frames, control octet, transparency, garbage."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.psem import Acknowledgement, Control, Packet
from protocols.c12.psem.packet import MAX_DATA_SIZE, escape, unescape
from protocols.c12.services import (
    Dialect,
    FullRead,
    FullWrite,
    Identify,
    IdentifyBody,
    Logoff,
    Negotiate,
    Request,
    Terminate,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    ok,
)
from protocols.errors import CodecError

TOGGLED = Control(toggle=True)

# Published frames: from clients and test drivers of others.
FRAMES: list[tuple[str, Request, Control]] = [
    ("ee0000000001201310", Identify(), Control()),
    ("ee0020000005610400ff06ce5a", Negotiate(1024, 255, b"\x06"), TOGGLED),
    ("ee0000000003300001550d", FullRead(1), Control()),
    ("ee00000000094000070003030000fd124c", FullWrite(7, b"\x03\x00\x00"), Control()),
    ("ee0020000001521720", Logoff(), TOGGLED),
    ("ee0000000001219a01", Terminate(), Control()),
]


@pytest.mark.parametrize(("frame", "request_", "control"), FRAMES)
def test_published_requests(frame: str, request_: Request, control: Control) -> None:
    octets = encode_request(request_, Dialect.C12_18)
    assert Packet(octets, control).encode().hex() == frame
    packet = Packet.decode(bytes.fromhex(frame))
    assert packet == Packet(octets, control)
    assert decode_request(packet.data, Dialect.C12_18) == request_


def test_the_published_answer_to_identify() -> None:
    frame = bytes.fromhex("ee00000000050000020000a25a")
    response = ok(IdentifyBody(0, 2, 0))
    assert Packet(encode_response(response)).encode() == frame
    assert decode_response(Packet.decode(frame).data) == response


controls = st.builds(
    Control,
    st.booleans(), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from(Acknowledgement), st.integers(0, 3),
)  # fmt: skip
packets = st.builds(
    Packet, st.binary(max_size=80), controls, st.integers(0, 255), st.integers(0, 255)
)


@pytest.mark.parametrize(
    ("octet", "control"),
    [
        (0x80, Control(multiple=True)),
        (0x40, Control(first=True)),
        (0x20, Control(toggle=True)),
        (0x04, Control(acknowledgement=Acknowledgement.POSITIVE)),
        (0x08, Control(acknowledgement=Acknowledgement.NEGATIVE)),
        (0x0C, Control(acknowledgement=Acknowledgement.UNACKNOWLEDGED)),
        (0x01, Control(data_format=1)),
    ],
)
def test_bits_of_the_control_octet(octet: int, control: Control) -> None:
    assert Packet(b"", control).encode()[2] == octet


@given(packets)
def test_round_trip(packet: Packet) -> None:
    assert Packet.decode(packet.encode()) == packet


@given(packets, st.data())
def test_a_changed_octet_is_noticed(packet: Packet, data: st.DataObject) -> None:
    octets = bytearray(packet.encode())
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(CodecError):
        assert Packet.decode(bytes(octets)) != packet


@given(st.binary(max_size=40), st.booleans())
def test_garbage_raises_only_codec_errors(garbage: bytes, begins: bool) -> None:
    with suppress(CodecError):
        Packet.decode(b"\xee" * begins + garbage)


def test_transparency_hides_start_and_escape_behind_the_control_octet() -> None:
    packet = Packet(b"\xee\x1b\x06", Control(transparent=True), identity=0xEE)
    octets = packet.encode()
    # start identity control | sequence length | EE 1B 06, as 1B CE, 1B 3B, 06
    assert octets[:10].hex(" ") == "ee ee 10 00 00 03 1b ce 1b 3b"
    assert b"\xee" not in octets[3:]
    assert Packet.decode(octets) == packet


@given(st.binary(min_size=3))
def test_escaping_is_undone(octets: bytes) -> None:
    assert unescape(escape(octets)) == octets


@pytest.mark.parametrize(
    "packet",
    [
        Packet(bytes(MAX_DATA_SIZE + 1)),
        Packet(b"", sequence=256),
        Packet(b"", identity=-1),
        Packet(b"", Control(data_format=4)),
    ],
)
def test_what_does_not_fit_is_our_error(packet: Packet) -> None:
    with pytest.raises(CodecError):
        packet.encode()


def test_the_largest_packet() -> None:
    packet = Packet(bytes(MAX_DATA_SIZE))
    assert len(packet.encode()) == MAX_DATA_SIZE + 8
    assert Packet.decode(packet.encode()) == packet
