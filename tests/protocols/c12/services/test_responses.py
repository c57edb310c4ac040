"""Responses: every code, every body, both ways; what is refused; garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.services import (
    AuthenticateBody,
    Body,
    Dialect,
    IdentifyBody,
    LogonBody,
    NegotiateBody,
    ReadBody,
    RegisterBody,
    ResolveBody,
    Response,
    ResponseCode,
    SizeLimitBody,
    Standard,
    TimingSetupBody,
    TraceBody,
    decode_response,
    encode_response,
    ok,
    read_response,
)
from protocols.errors import CodecError

RELATIVE = bytes.fromhex("80020107")

ABBREVIATIONS = {
    0x00: "ok", 0x01: "err", 0x02: "sns", 0x03: "isc", 0x04: "onp", 0x05: "iar", 0x06: "bsy",
    0x07: "dnr", 0x08: "dlk", 0x09: "rno", 0x0A: "isss", 0x0B: "sme", 0x0C: "uat", 0x0D: "nett",
    0x0E: "netr", 0x0F: "rqtl", 0x10: "rstl", 0x11: "sgnp", 0x12: "sgerr",
}  # fmt: skip


@pytest.mark.parametrize("octet", range(256))
def test_every_code_and_no_other(octet: int) -> None:
    octets = bytes((octet, 0xAB))
    if octet not in ABBREVIATIONS:
        with pytest.raises(CodecError) as caught:
            decode_response(octets)
        assert caught.value.path == "code"
        return
    response = decode_response(octets)
    assert response == Response(ResponseCode(octet), b"\xab")
    assert response.code.abbreviation == ABBREVIATIONS[octet]
    assert encode_response(response) == octets


def test_no_octets_are_no_response() -> None:
    with pytest.raises(CodecError):
        decode_response(b"")


BODIES: list[tuple[Body, str]] = [
    (IdentifyBody(Standard.C12_18, 2, 0), "00 02 00 00"),
    (ReadBody(b"\x01\x02\xff"), "0003 0102ff fe"),
    (ReadBody(b""), "0000 00"),
    (AuthenticateBody(1, bytes(range(8))), "09 01 0001020304050607"),
    (NegotiateBody(512, 2, 6), "0200 02 06"),
    (NegotiateBody(512, 2, None), "0200 02"),
    (TimingSetupBody(30, 1, 4, 3), "1e 01 04 03"),
    (RegisterBody(RELATIVE, 10, 900, 1), "80020107 000a 000384 01"),
    (ResolveBody(b"\x7f\x00\x00\x01"), "04 7f000001"),
    (TraceBody((RELATIVE, RELATIVE)), "80020107 80020107"),
    (SizeLimitBody(1 << 20), "00100000"),
]


@pytest.mark.parametrize(("body", "octets"), BODIES, ids=lambda part: str(part)[:24])
def test_octets_of_every_body(body: Body, octets: str) -> None:
    decode = type(body).decode  # type: ignore[attr-defined]
    assert body.encode() == bytes.fromhex(octets)
    assert decode(bytes.fromhex(octets)) == body
    assert encode_response(ok(body)) == b"\x00" + bytes.fromhex(octets)


@pytest.mark.parametrize("body", [body for body, _ in BODIES], ids=lambda part: str(part)[:24])
@given(garbage=st.binary(max_size=40))
def test_garbage_raises_only_codec_errors_and_what_is_taken_is_what_was_there(
    body: Body, garbage: bytes
) -> None:
    try:
        taken = type(body).decode(garbage)  # type: ignore[attr-defined]
    except CodecError:
        return
    assert taken.encode() == garbage


@pytest.mark.parametrize(
    ("dialect", "body", "octets"),
    [
        (Dialect.C12_18, LogonBody(), ""),
        (Dialect.C12_21, LogonBody(), ""),
        (Dialect.C12_22, LogonBody(60), "003c"),
    ],
)
def test_only_the_network_says_when_a_session_ends(
    dialect: Dialect, body: LogonBody, octets: str
) -> None:
    assert body.encode().hex() == octets
    assert LogonBody.decode(bytes.fromhex(octets), dialect) == body
    with pytest.raises(CodecError):
        LogonBody.decode(bytes.fromhex(octets) + b"\x00", dialect)


def test_the_frame_of_a_published_identify_response() -> None:
    body = decode_response(bytes.fromhex("0000020000")).body
    assert IdentifyBody.decode(body) == IdentifyBody(standard=0, version=2, revision=0)


def test_an_answer_without_a_body_is_the_code_alone() -> None:
    assert encode_response(ok()) == b"\x00"


def test_a_read_is_answered_with_count_and_checksum() -> None:
    assert encode_response(read_response(b"\x80\x80\x01")).hex() == "000003808001ff"


def test_a_wrong_checksum_is_no_data() -> None:
    with pytest.raises(CodecError) as caught:
        ReadBody.decode(bytes.fromhex("0003 0102ff ff"))
    assert caught.value.path == "checksum"
