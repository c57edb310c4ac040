"""The ACSE PDU: byte-exact headers, the lowered path against the table, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.acse import (
    C1222_CONTEXT,
    AeQualifier,
    AuthenticationValue,
    Header,
    SegmentPosition,
    decode_apdu,
    encode_apdu,
    interpret_header,
    shapes,
)
from protocols.c12.acse.elements import interpret_apdu
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError
from tests.support.c12_messages import headers

REQUEST = Header(ApTitle.parse(".1"), ApTitle.parse(".2"), b"\x07")

VECTORS = [
    pytest.param(
        REQUEST,
        b"\x80",
        None,
        "60 16"
        "  a2 03 80 01 01"  # called, relative
        "  a6 03 80 01 02"  # calling
        "  a8 03 02 01 07"  # invocation id
        "  be 05 28 03 81 01 80",
        id="least",
    ),
    pytest.param(
        Header(
            ApTitle.parse("2.16.124.113620.1.22.0.1"),
            ApTitle.parse(".2"),
            b"\x01\x00",
            b"\xff",
            AeQualifier.NOTIFICATION | AeQualifier.URGENT,
            AuthenticationValue(0x48E99388, 2),
            b"\x2a",
            C1222_CONTEXT,
        ),
        b"\x80\xaa",
        None,
        "60 52"
        "  a1 09 06 07 60 7c 86 f7 54 01 16"  # context
        "  a2 0b 06 09 60 7c 86 f7 54 01 16 00 01"  # called, absolute
        "  a4 03 02 01 ff"  # answers 0xff, unsigned
        "  a6 03 80 01 02"
        "  a7 03 02 01 06"  # urgent notification
        "  a8 04 02 02 01 00"
        "  8b 01 2a"  # mechanism
        "  ac 0f a2 0d a0 0b a1 09 80 01 02 81 04 48 e9 93 88"
        "  be 06 28 04 81 02 80 aa",
        id="all",
    ),
    pytest.param(
        REQUEST,
        b"\xde\xad",
        SegmentPosition(300, 100),
        "60 20"
        "  a2 03 80 01 01"
        "  a3 04 02 02 01 2c"  # of 300 octets
        "  a6 03 80 01 02"
        "  a8 03 02 01 07"
        "  be 09 28 07 02 01 64 81 02 de ad",  # at 100
        id="segment",
    ),
]


def _wire(text: str) -> bytes:
    body = bytes.fromhex(text)[2:]
    return bytes((0x60, len(body))) + body


@pytest.mark.parametrize(("header", "information", "segment", "text"), VECTORS)
def test_vector(
    header: Header, information: bytes, segment: SegmentPosition | None, text: str
) -> None:
    wire = _wire(text)
    assert encode_apdu(header, information, segment) == wire
    apdu = decode_apdu(wire)
    assert (apdu.header, apdu.information, apdu.segment) == (header, information, segment)
    assert interpret_header(wire) == header


def test_an_authentication_value_without_key_id() -> None:
    header = Header(None, None, b"\x01", authentication=AuthenticationValue(1))
    wire = encode_apdu(header, b"\x80")
    assert bytes.fromhex("ac0ca20aa008a106810400000001") in wire
    assert decode_apdu(wire).header == header


@given(headers, st.binary(max_size=300))
def test_round_trip(header: Header, information: bytes) -> None:
    apdu = decode_apdu(encode_apdu(header, information))
    assert apdu.header == header
    assert apdu.information == information


@given(headers, st.binary(max_size=300))
def test_lowered_code_reads_what_the_table_reads(header: Header, information: bytes) -> None:
    wire = encode_apdu(header, information)
    assert decode_apdu(wire) == interpret_apdu(wire)


@given(headers, st.data())
def test_lowered_code_refuses_what_the_table_refuses(header: Header, data: st.DataObject) -> None:
    wire = bytearray(encode_apdu(header, b"\x80"))
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = interpret_apdu(bytes(wire))
    except CodecError as exc:
        with pytest.raises(CodecError, match="^" + str(exc)[:4]):
            decode_apdu(bytes(wire))
    else:
        assert decode_apdu(bytes(wire)) == expected


def test_a_common_header_runs_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "interpret_apdu", None)
    header = Header(
        ApTitle.parse(".3.1"),
        ApTitle.parse(".2.70000"),
        b"\x07",
        None,
        AeQualifier.NOTIFICATION,
        AuthenticationValue(7, 1),
    )
    for size in (0, 100, 118, 119, 127, 128, 250, 255, 256, 2000, 70_000):
        assert decode_apdu(encode_apdu(header, bytes(size))).header == header


def test_later_shapes_are_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_lowered", {})
    monkeypatch.setattr(shapes, "MAX_SHAPES", 1)
    for text in (".1", ".1.1", ".1.1.1"):
        header = Header(ApTitle.parse(text), None, b"\x01")
        assert decode_apdu(encode_apdu(header, b"\x80")).header == header
    assert len(shapes._lowered) == 1


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("order", "a203800101a603800102", "a603800102a203800101"),
        ("doubled", "a603800102", "a203800102"),
        ("unknown", "a803020107", "a903020107"),
        ("no invocation id", "a803020107", ""),
        ("no information", "be0528038101aa", ""),
        ("something behind", "be0528038101aa", "be0528038101aa00"),
        ("another syntax", "be0528038101aa", "be0529038101aa"),
        ("offset without size", "be0528038101aa", "be082806020101 8101aa"),
        ("size without offset", "a603", "a303020101a603"),
        ("an integer of five octets", "a803020107", "a80702050000000007"),
        ("a padded integer", "a803020107", "a80702050100000007"),
        ("no octets in an integer", "a803020107", "a8020200"),
        ("a universal relative title", "a203800101", "a2030d0101"),
        ("a longer qualifier", "a803", "a70402020001a803"),
        ("a short vector", "be05", "ac0ba209a007a1058103000001be05"),
    ],
)
def test_what_is_refused(what: str, old: str, new: str) -> None:
    good = encode_apdu(REQUEST, b"\xaa").hex()
    assert old in good
    body = bytes.fromhex(good.replace(old, new))[2:]
    with pytest.raises(CodecError):
        decode_apdu(bytes((0x60, len(body))) + body)


def test_the_outer_length_must_fit() -> None:
    wire = encode_apdu(REQUEST, b"\xaa")
    for broken in (wire + b"\0", wire[:-1], b"\x61" + wire[1:], b"", b"\x60"):
        with pytest.raises(CodecError):
            decode_apdu(broken)


@pytest.mark.parametrize(
    "header",
    [
        Header(None, None, b""),
        Header(None, None, bytes(5)),
        Header(None, None, b"\1", authentication=AuthenticationValue(1 << 32)),
        Header(None, None, b"\1", authentication=AuthenticationValue(1, 256)),
        Header(None, None, b"\1", qualifier=AeQualifier(256)),
    ],
)
def test_fields_that_do_not_fit(header: Header) -> None:
    with pytest.raises(CodecError):
        encode_apdu(header, b"\x80")


@given(headers, st.integers(0, 80))
def test_a_header_is_read_from_the_start_of_an_apdu(header: Header, size: int) -> None:
    wire = encode_apdu(header, bytes(1000))
    head = len(wire) - 1000 - 8
    assert interpret_header(wire[: head + size]) == header


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda b: b"\x60\x20" + b)))
def test_garbage_raises_only_codec_errors(garbage: bytes) -> None:
    for decode in (decode_apdu, interpret_header):
        with contextlib.suppress(CodecError):
            decode(garbage)
