"""Requests of every service: the octets, both ways, in every dialect; what is refused; garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.services import (
    Authenticate,
    DefaultRead,
    Deregister,
    Dialect,
    Disconnect,
    FullRead,
    FullWrite,
    GetConfiguration,
    GetRegistrationStatus,
    GetStatus,
    Identify,
    IndexRead,
    IndexWrite,
    LinkControl,
    Logoff,
    Logon,
    Negotiate,
    OffsetRead,
    OffsetWrite,
    Register,
    Request,
    Resolve,
    Security,
    SendMessage,
    SendShortMessage,
    Terminate,
    TimingSetup,
    Trace,
    UnknownServiceError,
    Wait,
    decode_request,
    encode_request,
    service_code,
)
from protocols.c12.services.table import BY_CODE
from protocols.errors import CodecError

ALL = frozenset(Dialect)
SERIAL = frozenset({Dialect.C12_18, Dialect.C12_21})
SINCE_21 = frozenset({Dialect.C12_21, Dialect.C12_22})
NETWORK = frozenset({Dialect.C12_22})

ABSOLUTE = bytes.fromhex("06087c86f7540116001e")
RELATIVE = bytes.fromhex("80020107")
SERIAL_NUMBER = bytes.fromhex("0d0105")
DEVICE_CLASS = b"MTRS"

NINE_INDEXES = "".join(f"{index:04x}" for index in range(9))

REQUESTS: list[tuple[Request, str, frozenset[Dialect]]] = [
    (Identify(), "20", ALL),
    (Terminate(), "21", ALL),
    (Disconnect(), "22", SINCE_21),
    (Deregister(RELATIVE), "24 80020107", NETWORK),
    (Resolve(ABSOLUTE), "25 06087c86f7540116001e", NETWORK),
    (Trace((RELATIVE, ABSOLUTE)), "26 80020107 06087c86f7540116001e", NETWORK),
    (Trace(()), "26", NETWORK),
    (
        Register(0x20, 0x82, DEVICE_CLASS, RELATIVE, SERIAL_NUMBER, b"\x7f\x00\x00\x01", 900),
        # nodes class   title    serial address    period
        "27 2082 4d545253 80020107 0d0105 047f000001 000384",
        NETWORK,
    ),
    (
        Register(0x80, 0, DEVICE_CLASS, ABSOLUTE, SERIAL_NUMBER, b"", 0xFFFFFF, b"\x0d\x01\x01"),
        "27 8000 4d545253 06087c86f7540116001e 0d0105 00 ffffff 030d0101",
        NETWORK,
    ),
    (FullRead(1), "30 0001", ALL),
    (IndexRead(23, (0x0102,), 3), "31 0017 0102 0003", ALL),
    (IndexRead(23, tuple(range(9)), 1), "39 0017" + NINE_INDEXES + "0001", ALL),
    (DefaultRead(), "3e", ALL),
    (OffsetRead(2048, 0x010203, 0x0405), "3f 0800 010203 0405", ALL),
    (FullWrite(7, b"\x03\x00\x00"), "40 0007 0003 030000 fd", ALL),
    (FullWrite(7, b""), "40 0007 0000 00", ALL),
    (IndexWrite(5, (1, 2), b"\xff"), "42 0005 0001 0002 0001 ff 01", ALL),
    (OffsetWrite(5, 3, b"\x80\x80"), "4f 0005 000003 0002 8080 00", ALL),
    (Logon(2, b"0000      "), "50 0002 30303030202020202020", SERIAL),
    (Logon(2, b"0000      ", 60), "50 0002 30303030202020202020 003c", NETWORK),
    (Security(b" " * 20), "51 " + "20" * 20, ALL),
    (Security(b" " * 20, 2), "51 " + "20" * 20 + "0002", NETWORK),
    (Logoff(), "52", ALL),
    (Authenticate(1, bytes(range(8))), "53 09 01 0001020304050607", SINCE_21),
    (Authenticate(1, bytes(16)), "53 11 01 " + "00" * 16, SINCE_21),
    (Negotiate(64, 1), "60 0040 01", ALL),
    (Negotiate(1024, 255, b"\x06"), "61 0400 ff 06", ALL),
    (Negotiate(64, 1, bytes(range(1, 12))), "6b 0040 01 0102030405060708090a0b", ALL),
    (Negotiate(512, 2, b"\x06\x0c", 1), "62 0200 02 060c 01", NETWORK),
    (Wait(255), "70 ff", ALL),
    (TimingSetup(30, 1, 4, 3), "71 1e 01 04 03", SINCE_21),
    (GetConfiguration(), "72", NETWORK),
    (LinkControl(0x07), "73 07", NETWORK),
    (SendMessage(b"\x01\x02", b"\x60\x00"), "74 02 0102 6000", NETWORK),
    (GetStatus(1), "75 01", NETWORK),
    (GetRegistrationStatus(), "76", NETWORK),
    (SendShortMessage(b"", b"hi"), "77 00 6869", NETWORK),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "octets", "dialect"),
    [
        pytest.param(request, octets, dialect, id=f"{octets[:2]}-{dialect.name}-{number}")
        for number, (request, octets, dialects) in enumerate(REQUESTS)
        for dialect in Dialect
        if dialect in dialects
    ],
)
def test_octets_of_every_service(request_: Request, octets: str, dialect: Dialect) -> None:
    assert encode_request(request_, dialect).hex() == octets.replace(" ", "")
    assert decode_request(bytes.fromhex(octets), dialect) == request_


def test_the_table_above_covers_every_service_and_every_count() -> None:
    assert {type(request) for request, _, _ in REQUESTS} == {each.kind for each in BY_CODE.values()}
    assert set(BY_CODE) == {
        *range(0x20, 0x23), *range(0x24, 0x28), *range(0x30, 0x3A), 0x3E, 0x3F,
        *range(0x40, 0x4A), 0x4F, *range(0x50, 0x54), *range(0x60, 0x6C), *range(0x70, 0x78),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "octets", "dialect"),
    [
        pytest.param(request, octets, dialect, id=f"{octets[:2]}-{dialect.name}-{number}")
        for number, (request, octets, dialects) in enumerate(REQUESTS)
        for dialect in Dialect
        if dialect not in dialects
    ],
)
def test_what_another_dialect_says_is_refused(
    request_: Request, octets: str, dialect: Dialect
) -> None:
    with pytest.raises(CodecError):
        encode_request(request_, dialect)
    with pytest.raises(CodecError):
        decode_request(bytes.fromhex(octets), dialect)


@pytest.mark.parametrize("dialect", Dialect)
def test_every_code_without_a_service_is_told_apart_from_malformed(dialect: Dialect) -> None:
    for code in range(256):
        layout = BY_CODE.get(code)
        known = layout is not None and dialect in layout.dialects
        problem = _problem(bytes((code,)), dialect)
        assert isinstance(problem, UnknownServiceError) is not known
        if isinstance(problem, UnknownServiceError):
            assert (problem.code, problem.path) == (code, "code")


def _problem(octets: bytes, dialect: Dialect) -> CodecError | None:
    try:
        decode_request(octets, dialect)
    except CodecError as problem:
        return problem
    return None


@pytest.mark.parametrize(
    ("octets", "path"),
    [
        ("", "code"),
        ("2000", "Identify"),
        ("30 00", "table"),
        ("30 0001 00", "FullRead"),
        ("3f 0001 0000", "offset"),
        ("40 0007 0003 030000 fc", "checksum"),
        ("40 0007 0003 0300", "data"),
        ("40 0007 0003 030000 fd 00", "data"),
        ("26 80020107 80", "length"),
        ("24 8102 0000", "title.tag"),
        ("24 8080" + "00" * 128, "title.length"),
        ("27 8000 4d545253 80020107 0d0105 00 000384", "pattern"),
        ("27 2000 4d545253 80020107 0d0105 00 000384 00", "pattern"),
        ("53 00", "key_id"),
        ("50 0002 30303030202020202020", "timeout_s"),
    ],
)
def test_what_is_malformed_names_the_field(octets: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode_request(bytes.fromhex(octets), Dialect.C12_22)
    assert not isinstance(caught.value, UnknownServiceError)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "request_",
    [
        FullRead(0x10000),
        FullRead(-1),
        OffsetRead(1, 1 << 24, 1),
        IndexRead(1, tuple(range(10)), 1),
        IndexRead(1, (), 1),
        IndexWrite(1, (), b""),
        Negotiate(64, 1, bytes(12)),
        Negotiate(64, 256),
        Logon(1, b"short", 1),
        Security(b"short"),
        Resolve(b"\x80\x05\x01"),
        Resolve(b"\x30\x00"),
        Resolve(b""),
        Authenticate(1, bytes(255)),
        SendMessage(bytes(256), b""),
        SendMessage(b"", bytes((1 << 16) + 1)),
        Register(0x80, 0, DEVICE_CLASS, RELATIVE, SERIAL_NUMBER, b"", 1),
        Register(0, 0, DEVICE_CLASS, RELATIVE, SERIAL_NUMBER, b"", 1, b""),
    ],
)
def test_what_does_not_fit_is_our_error(request_: Request) -> None:
    with pytest.raises(CodecError):
        encode_request(request_, Dialect.C12_22)


def test_a_password_is_not_in_the_text_of_a_request() -> None:
    assert "secret" not in repr(Security(b"secret".ljust(20)))


u8, u16, u24 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 24))
titles = st.builds(
    lambda tag, contents: bytes((tag, len(contents))) + contents,
    st.sampled_from([0x06, 0x80, 0x0D]),
    st.binary(max_size=127),
)
indexes = st.lists(u16, min_size=1, max_size=9).map(tuple)
addresses = st.binary(max_size=255)
classes = st.binary(min_size=4, max_size=4)
common = st.one_of(
    st.builds(FullRead, u16),
    st.builds(IndexRead, u16, indexes, u16),
    st.builds(OffsetRead, u16, u24, u16),
    st.builds(FullWrite, u16, st.binary()),
    st.builds(IndexWrite, u16, indexes, st.binary()),
    st.builds(OffsetWrite, u16, u24, st.binary()),
    st.builds(Logon, u16, st.binary(min_size=10, max_size=10), u16),
    st.builds(Security, st.binary(min_size=20, max_size=20), st.none() | u16),
    st.builds(Authenticate, u8, st.binary(max_size=254)),
    st.builds(Negotiate, u16, u8, st.binary(max_size=11), st.none() | u8),
    st.builds(TimingSetup, u8, u8, u8, u8),
    st.builds(SendMessage, addresses, st.binary()),
    st.builds(SendShortMessage, addresses, st.binary()),
    st.builds(Trace, st.lists(titles).map(tuple)),
    st.builds(Resolve, titles),
    st.builds(Register, st.integers(0, 127), u8, classes, titles, titles, addresses, u24),
    st.builds(
        Register, st.integers(128, 255), u8, classes, titles, titles, addresses, u24, addresses
    ),
)  # fmt: skip


@given(common)
def test_round_trip(request_: Request) -> None:
    octets = encode_request(request_, Dialect.C12_22)
    assert octets[0] == service_code(request_)
    assert decode_request(octets, Dialect.C12_22) == request_


@given(st.sampled_from(sorted(BY_CODE)), st.binary(max_size=80), st.sampled_from(Dialect))
def test_garbage_raises_only_codec_errors_and_what_is_taken_is_what_was_there(
    code: int, body: bytes, dialect: Dialect
) -> None:
    octets = bytes((code,)) + body
    try:
        request = decode_request(octets, dialect)
    except CodecError:
        return
    assert encode_request(request, dialect) == octets


@given(common, st.data())
def test_a_cut_request_is_never_another_whole_one_of_the_same_length(
    request_: Request, data: st.DataObject
) -> None:
    octets = encode_request(request_, Dialect.C12_22)
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    try:
        shorter = decode_request(cut, Dialect.C12_22)
    except CodecError:
        return
    assert encode_request(shorter, Dialect.C12_22) == cut
