"""xDLMS APDUs: layouts as the Green Book prints them, declarations as judge, errors with paths.

The layouts below were written from the ASN.1 of IEC 62056-5-3 by hand, field by field; gurux-dlms
judges the same kinds in test_apdu_judged.py.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.apdu import (
    LAYOUTS,
    PLAIN_TAGS,
    RESERVED,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPBlock,
    ActionRequestWithPBlock,
    ActionResponseNextPBlock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPBlock,
    ActionResult,
    Apdu,
    ConfirmedServiceError,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    DataNotification,
    DataNotificationConfirm,
    EventNotificationRequest,
    ExceptionResponse,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
    GloApdu,
    SelectiveAccess,
    ServiceError,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
    StateError,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.apdu.fast import DECODERS, ENCODERS
from protocols.dlms.data import NULL, octet_string, structure, unsigned
from protocols.errors import CodecError, ProtocolError
from tests.support.cosem_apdus import KINDS, apdus, apdus_of

CLOCK = CosemAttributeDescriptor(8, bytes.fromhex("0000010000ff"), 2)
CLOCK_WIRE = "0008 0000010000ff 02"
RESET = CosemMethodDescriptor(3, bytes.fromhex("0100010800ff"), 1)
RESET_WIRE = "0003 0100010800ff 01"
ACCESS = SelectiveAccess(1, structure(unsigned(5)))
ACCESS_WIRE = "01 01 02011105"
TIME = bytes.fromhex("07ea0b1403090f00008000ff")
TITLE = b"MSC\x00\x00\x00\x00\x01"

VECTORS: list[tuple[Apdu, str]] = [
    (GetRequestNormal(0xC1, CLOCK), f"c0 01 c1 {CLOCK_WIRE} 00"),
    (GetRequestNormal(0xC1, CLOCK, ACCESS), f"c0 01 c1 {CLOCK_WIRE} {ACCESS_WIRE}"),
    (GetRequestNext(0xC1, 2), "c0 02 c1 00000002"),
    (
        GetRequestWithList(0xC1, ((CLOCK, None), (CLOCK, ACCESS))),
        f"c0 03 c1 02 {CLOCK_WIRE} 00 {CLOCK_WIRE} {ACCESS_WIRE}",
    ),
    (GetResponseNormal(0xC1, unsigned(7)), "c4 01 c1 00 1107"),
    (GetResponseNormal(0xC1, DataAccessResult.OBJECT_UNDEFINED), "c4 01 c1 01 04"),
    (GetResponseNormal(0xC1, 77), "c4 01 c1 01 4d"),
    (GetResponseWithDataBlock(0xC1, False, 1, b"\x01\x02"), "c4 02 c1 00 00000001 00 02 0102"),
    (
        GetResponseWithDataBlock(0xC1, True, 9, DataAccessResult.DATA_BLOCK_NUMBER_INVALID),
        "c4 02 c1 01 00000009 01 13",
    ),
    (
        GetResponseWithList(0xC1, (NULL, DataAccessResult.READ_WRITE_DENIED)),
        "c4 03 c1 02 00 00 01 03",
    ),
    (SetRequestNormal(0xC1, CLOCK, None, unsigned(1)), f"c1 01 c1 {CLOCK_WIRE} 00 1101"),
    (
        SetRequestWithFirstDataBlock(0xC1, CLOCK, None, False, 1, b"\x09"),
        f"c1 02 c1 {CLOCK_WIRE} 00 00 00000001 01 09",
    ),
    (SetRequestWithDataBlock(0xC1, True, 2, b"\xaa"), "c1 03 c1 01 00000002 01 aa"),
    (
        SetRequestWithList(0xC1, ((CLOCK, None),), (unsigned(1),)),
        f"c1 04 c1 01 {CLOCK_WIRE} 00 01 1101",
    ),
    (
        SetRequestWithListAndFirstDataBlock(0xC1, ((CLOCK, None),), False, 1, b"\x01"),
        f"c1 05 c1 01 {CLOCK_WIRE} 00 00 00000001 01 01",
    ),
    (SetResponseNormal(0xC1, DataAccessResult.SUCCESS), "c5 01 c1 00"),
    (SetResponseDataBlock(0xC1, 1), "c5 02 c1 00000001"),
    (SetResponseLastDataBlock(0xC1, DataAccessResult.SUCCESS, 2), "c5 03 c1 00 00000002"),
    (
        SetResponseLastDataBlockWithList(0xC1, (DataAccessResult.SUCCESS, 12), 2),
        "c5 04 c1 02 00 0c 00000002",
    ),
    (SetResponseWithList(0xC1, (DataAccessResult.SUCCESS,)), "c5 05 c1 01 00"),
    (ActionRequestNormal(0xC1, RESET), f"c3 01 c1 {RESET_WIRE} 00"),
    (ActionRequestNormal(0xC1, RESET, unsigned(0)), f"c3 01 c1 {RESET_WIRE} 01 1100"),
    (ActionRequestNextPBlock(0xC1, 1), "c3 02 c1 00000001"),
    (ActionRequestWithList(0xC1, (RESET,), (NULL,)), f"c3 03 c1 01 {RESET_WIRE} 01 00"),
    (
        ActionRequestWithFirstPBlock(0xC1, RESET, False, 1, b"\x01"),
        f"c3 04 c1 {RESET_WIRE} 00 00000001 01 01",
    ),
    (
        ActionRequestWithListAndFirstPBlock(0xC1, (RESET,), False, 1, b"\x01"),
        f"c3 05 c1 01 {RESET_WIRE} 00 00000001 01 01",
    ),
    (ActionRequestWithPBlock(0xC1, True, 2, b""), "c3 06 c1 01 00000002 00"),
    (ActionResponseNormal(0xC1, ActionResult.SUCCESS), "c7 01 c1 00 00"),
    (ActionResponseNormal(0xC1, ActionResult.SUCCESS, NULL), "c7 01 c1 00 01 00 00"),
    (ActionResponseNormal(0xC1, ActionResult.OTHER_REASON, 250), "c7 01 c1 fa 01 01 fa"),
    (ActionResponseWithPBlock(0xC1, True, 1, b"\x00"), "c7 02 c1 01 00000001 01 00"),
    (
        ActionResponseWithList(0xC1, ((ActionResult.SUCCESS, NULL), (99, None))),
        "c7 03 c1 02 00 01 00 00 63 00",
    ),
    (ActionResponseNextPBlock(0xC1, 3), "c7 04 c1 00000003"),
    (DataNotification(0x40000001, TIME, NULL), f"0f 40000001 0c {TIME.hex()} 00"),
    (DataNotification(1, b"", octet_string(b"")), "0f 00000001 00 0900"),
    # Derived by hand: no peer implements it (see notification.py).
    (DataNotificationConfirm(0x40000001, b""), "10 40000001 00"),
    (EventNotificationRequest(None, CLOCK, NULL), f"c2 00 {CLOCK_WIRE} 00"),
    (EventNotificationRequest(TIME, CLOCK, NULL), f"c2 01 0c {TIME.hex()} {CLOCK_WIRE} 00"),
    (
        ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED),
        "d8 01 02",
    ),
    (
        ExceptionResponse(1, ServiceError.INVOCATION_COUNTER_ERROR, 0x01020304),
        "d8 01 06 01020304",
    ),
    (ConfirmedServiceError(1, 6, 2), "0e 01 06 02"),
    (GloApdu(0xC8, b"\x30\x00\x00\x00\x01"), "c8 05 3000000001"),
    (GloApdu(0x21, b""), "21 00"),
    (GloApdu(0xD0, b""), "d0 00"),
    (GeneralGloCiphering(TITLE, b"\x30"), f"db 08 {TITLE.hex()} 01 30"),
    (GeneralDedCiphering(b"", bytes(128)), "dc 00 8180" + "00" * 128),
]


@pytest.mark.parametrize(
    ("apdu", "wire"), [pytest.param(*vector, id=vector[1][:20]) for vector in VECTORS]
)
def test_vector(apdu: Apdu, wire: str) -> None:
    assert encode_apdu(apdu).hex() == bytes.fromhex(wire).hex()
    assert decode_apdu(bytes.fromhex(wire)) == apdu


def test_every_declared_kind_has_a_vector_but_those_of_the_association() -> None:
    missing = {layout.kind.__name__ for layout in LAYOUTS} - {
        type(apdu).__name__ for apdu, _ in VECTORS
    }
    assert missing == {"InitiateRequest", "InitiateResponse"}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_roundtrip(kind: type[Any], data: st.DataObject) -> None:
    apdu = data.draw(apdus_of(kind))
    assert decode_apdu(encode_apdu(apdu)) == apdu


@pytest.mark.parametrize("kind", sorted(DECODERS, key=repr))
@given(data=st.data())
def test_the_quick_way_is_the_declared_way(kind: type[Any], data: st.DataObject) -> None:
    layout = next(layout for layout in LAYOUTS if layout.kind is kind)
    apdu = data.draw(apdus_of(kind))
    wire = layout.encode(apdu)
    assert encode_apdu(apdu) == wire
    assert ENCODERS[kind](apdu) in {None, wire}
    assert layout.decode(wire) == apdu
    assert DECODERS[kind](wire) in [None, apdu]


@pytest.mark.parametrize("kind", sorted(DECODERS, key=repr))
@given(data=st.data())
def test_the_quick_way_refuses_what_the_declaration_refuses(
    kind: type[Any], data: st.DataObject
) -> None:
    layout = next(layout for layout in LAYOUTS if layout.kind is kind)
    wire = bytearray(layout.encode(data.draw(apdus_of(kind))))
    index = data.draw(st.integers(2, max(2, min(len(wire) - 1, 24))))
    if index < len(wire):
        wire[index] = data.draw(st.integers(0, 255))
    try:
        expected = repr(layout.decode(bytes(wire)))
    except CodecError as error:
        expected = repr((str(error), error.path))
    try:
        decoded = repr(decode_apdu(bytes(wire)))
    except CodecError as error:
        decoded = repr((str(error), error.path))
    assert decoded == expected


@given(apdus())
def test_the_first_octets_choose(apdu: Any) -> None:
    for layout in LAYOUTS:
        if layout.kind is type(apdu):
            assert encode_apdu(apdu).startswith(layout.leading)


@given(apdus(), st.data())
def test_every_truncation_is_refused(apdu: Any, data: st.DataObject) -> None:
    wire = encode_apdu(apdu)
    cut = data.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(CodecError):
        decode_apdu(wire[:cut])


@pytest.mark.parametrize("wire", [wire for _, wire in VECTORS], ids=lambda wire: wire[:20])
def test_trailing_octets_and_every_truncation_of_the_vectors_are_refused(wire: str) -> None:
    whole = bytes.fromhex(wire)
    for bad in (*(whole[:cut] for cut in range(len(whole))), whole + b"\x00"):
        with pytest.raises(CodecError):
            decode_apdu(bad)


LEADING = st.sampled_from([*sorted(layout.leading for layout in LAYOUTS), b"\x60", b"\x61"])


@given(st.one_of(st.binary(max_size=60), st.builds(bytes.__add__, LEADING, st.binary())))
def test_garbage_raises_only_protocol_errors(garbage: bytes) -> None:
    with suppress(ProtocolError):
        decode_apdu(garbage)


@given(apdus(), st.data())
def test_damaged_apdus_raise_only_protocol_errors(apdu: Any, data: st.DataObject) -> None:
    wire = bytearray(encode_apdu(apdu))
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        decode_apdu(bytes(wire))


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ("", "tag"),
        ("aa 00", "tag"),
        ("c0", "choice"),
        ("c0 09 c1", "choice"),
        ("c0 01", "invoke_id_and_priority"),
        ("c0 01 c1 0008 00000100", "attribute.instance_id"),
        (f"c0 01 c1 {CLOCK_WIRE} 02", "access"),
        (f"c0 01 c1 {CLOCK_WIRE} 01 01 0202 00 0b", "access.parameters.structure[1]"),
        (f"c0 03 c1 02 {CLOCK_WIRE} 00 0008", "items[1].attribute.instance_id"),
        ("c0 03 c1 84ffffffff 00", "items"),
        ("c4 01 c1 02", "result"),
        ("c4 02 c1 00 00000001 00 05 0102", "result"),
        ("0f 00000001 00 0101 0b", "body.array[0]"),
        ("c8 03 00", "content"),
        ("db 09 00", "system_title"),
        ("d8 01 06 0102", "invocation_counter"),
        ("c0 02 c1 00000001 00", "GetRequestNext"),
    ],
)
def test_decoding_errors_name_the_field(wire: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode_apdu(bytes.fromhex(wire))
    assert (caught.value.codec, caught.value.path) == ("xDLMS", path)


@pytest.mark.parametrize(
    ("apdu", "path"),
    [
        (GetRequestNext(256, 1), "invoke_id_and_priority"),
        (GetRequestNext(1, 2**32), "block_number"),
        (
            GetRequestNormal(1, CosemAttributeDescriptor(1, b"short", 2)),
            "attribute.instance_id",
        ),
        (
            ActionRequestWithList(1, (CosemMethodDescriptor(70000, bytes(6), 1),), ()),
            "methods[0].class_id",
        ),
        (DataNotification(-1, b"", NULL), "long_invoke_id_and_priority"),
        (DataNotification(1, b"", structure(unsigned(256))), "body.structure[0]"),
        (GetResponseWithDataBlock(1, True, 2**32, b""), "block_number"),
        (GloApdu(0xC0, b""), "tag"),
        (ExceptionResponse(1, ServiceError.INVOCATION_COUNTER_ERROR), "invocation_counter"),
        (ExceptionResponse(1, ServiceError.OTHER_REASON, 5), "invocation_counter"),
    ],
)
def test_encoding_errors_name_the_field(apdu: Apdu, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode_apdu(apdu)
    assert (caught.value.codec, caught.value.path) == ("xDLMS", path)


@pytest.mark.parametrize("tag", sorted(RESERVED))
def test_services_of_a_later_time_are_refused_by_name(tag: int) -> None:
    with pytest.raises(CodecError, match=RESERVED[tag].split()[0]) as caught:
        decode_apdu(bytes((tag, 0, 0)))
    assert caught.value.path == "tag"


def test_octets_of_the_invoke_id() -> None:
    apdu = GetRequestNext(0xC5, 1)
    assert (apdu.invoke_id, apdu.confirmed, apdu.high_priority) == (5, True, True)
    apdu = GetRequestNext(0x0F, 1)
    assert (apdu.invoke_id, apdu.confirmed, apdu.high_priority) == (15, False, False)


def test_octets_of_the_long_invoke_id() -> None:
    push = DataNotification(0xC0123456, b"", NULL)
    assert (push.long_invoke_id, push.confirmed, push.high_priority) == (0x123456, True, True)
    push = DataNotification(0x00FFFFFF, b"", NULL)
    assert (push.long_invoke_id, push.confirmed, push.high_priority) == (0xFFFFFF, False, False)


def test_known_codes_are_members_and_unknown_ones_survive() -> None:
    known = decode_apdu(bytes.fromhex("c5 01 c1 03"))
    unknown = decode_apdu(bytes.fromhex("c5 01 c1 63"))
    assert isinstance(known, SetResponseNormal)
    assert known.result is DataAccessResult.READ_WRITE_DENIED
    assert isinstance(unknown, SetResponseNormal)
    assert (type(unknown.result), unknown.result) == (int, 0x63)


@pytest.mark.parametrize("tag", sorted(PLAIN_TAGS))
def test_service_specific_envelopes_say_what_is_inside(tag: int) -> None:
    apdu = GloApdu(tag, b"")
    plain = tag - (0x20 if tag < 0x80 else 0x10 if tag >= 0xD0 else 0x08)
    assert (apdu.plain_tag, apdu.dedicated) == (plain, tag >= 0xD0)


def test_declarations_parse_on_their_own() -> None:
    layout = next(layout for layout in LAYOUTS if layout.kind is GetRequestNext)
    assert layout.declaration.parse(bytes.fromhex("c002c100000002")).block_number == 2
    with pytest.raises(ConstructError):
        layout.declaration.parse(bytes.fromhex("c102c100000002"))
