"""A-XDR: published layouts, the construct declaration as judge, bounds, and errors with paths."""

from __future__ import annotations

import math
from typing import Any

import pytest
from construct import ConstructError
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.dlms.axdr import (
    MAX_DEPTH,
    compact_array,
    decode_data,
    decode_data_at,
    decode_length_at,
    encode_data,
    encode_length,
    expand_compact_array,
)
from protocols.dlms.axdr.declaration import DATA, LENGTH
from protocols.dlms.data import (
    NULL,
    BitString,
    CompactArray,
    Data,
    DataType,
    array,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.errors import CodecError, ProtocolError
from tests.support.cosem_data import data_values, numbers

VECTORS = [
    pytest.param(NULL, "00", id="null-data"),
    pytest.param(array([unsigned(1), unsigned(2)]), "01 02 1101 1102", id="array"),
    pytest.param(structure(enum(3), NULL), "02 02 1603 00", id="structure"),
    pytest.param(boolean(True), "03 01", id="boolean"),
    pytest.param(Data(DataType.BOOLEAN, 0xFF), "03 ff", id="boolean-not-one-is-kept"),
    pytest.param(
        Data(DataType.BIT_STRING, BitString(10, b"\xab\xc0")), "04 0a abc0", id="bit-string"
    ),
    pytest.param(Data(DataType.DOUBLE_LONG, -2), "05 fffffffe", id="double-long"),
    pytest.param(double_long_unsigned(0x01020304), "06 01020304", id="double-long-unsigned"),
    pytest.param(octet_string(b"\x01\x00"), "09 02 0100", id="octet-string"),
    pytest.param(octet_string(bytes(128)), "09 8180" + "00" * 128, id="octet-string-128"),
    pytest.param(octet_string(bytes(256)), "09 820100" + "00" * 256, id="octet-string-256"),
    pytest.param(Data(DataType.VISIBLE_STRING, "MST"), "0a 03 4d5354", id="visible-string"),
    pytest.param(Data(DataType.UTF8_STRING, "é"), "0c 02 c3a9", id="utf8-string"),
    pytest.param(Data(DataType.BCD, 0x99), "0d 99", id="bcd"),
    pytest.param(integer(-1), "0f ff", id="integer"),
    pytest.param(enum(7), "16 07", id="enum"),
    pytest.param(unsigned(200), "11 c8", id="unsigned"),
    pytest.param(Data(DataType.LONG, -2), "10 fffe", id="long"),
    pytest.param(long_unsigned(0xBEEF), "12 beef", id="long-unsigned"),
    pytest.param(
        # description: structure of unsigned, long-unsigned; two elements of three octets
        Data(
            DataType.COMPACT_ARRAY,
            CompactArray(bytes.fromhex("02021112"), bytes.fromhex("010002 020003")),
        ),
        "13 02021112 06 010002 020003",
        id="compact-array",
    ),
    pytest.param(Data(DataType.LONG64, -1), "14" + "ff" * 8, id="long64"),
    pytest.param(Data(DataType.LONG64_UNSIGNED, 1), "15" + "00" * 7 + "01", id="long64-unsigned"),
    pytest.param(Data(DataType.FLOAT32, 1.5), "17 3fc00000", id="float32"),
    pytest.param(Data(DataType.FLOAT64, -2.0), "18 c000000000000000", id="float64"),
    pytest.param(
        Data(DataType.DATE_TIME, bytes.fromhex("07ea0b1403090f00008000ff")),
        "19 07ea0b1403090f00008000ff",
        id="date-time",
    ),
    pytest.param(Data(DataType.DATE, bytes.fromhex("07ea0b14ff")), "1a 07ea0b14ff", id="date"),
    pytest.param(Data(DataType.TIME, bytes.fromhex("090f00ff")), "1b 090f00ff", id="time"),
    pytest.param(Data(DataType.DELTA_INTEGER, -1), "1c ff", id="delta-integer"),
    pytest.param(Data(DataType.DELTA_LONG, -1), "1d ffff", id="delta-long"),
    pytest.param(Data(DataType.DELTA_DOUBLE_LONG, -1), "1e ffffffff", id="delta-double-long"),
    pytest.param(Data(DataType.DELTA_UNSIGNED, 1), "1f 01", id="delta-unsigned"),
    pytest.param(Data(DataType.DELTA_LONG_UNSIGNED, 1), "20 0001", id="delta-long-unsigned"),
    pytest.param(
        Data(DataType.DELTA_DOUBLE_LONG_UNSIGNED, 1), "21 00000001", id="delta-double-long-unsigned"
    ),
    pytest.param(Data(DataType.DONT_CARE), "ff", id="dont-care"),
]


@pytest.mark.parametrize(("data", "wire"), VECTORS)
def test_vector(data: Data, wire: str) -> None:
    assert encode_data(data) == bytes.fromhex(wire)
    assert decode_data(bytes.fromhex(wire)) == data


def test_every_type_has_a_vector() -> None:
    covered = {bytes.fromhex(str(vector.values[1]))[0] for vector in VECTORS}
    assert covered == {kind.value for kind in DataType}


@given(data_values())
def test_roundtrip(data: Data) -> None:
    assert decode_data(encode_data(data)) == data


def _tree(data: Data) -> dict[str, Any]:
    """The value as the construct declaration spells it."""
    value: Any = data.value
    match value:
        case tuple():
            value = [_tree(item) for item in value]
        case BitString(size, octets):
            value = {"size": size, "octets": octets}
        case CompactArray(description, contents):
            value = {"description": {"data": description}, "contents": contents}
    return {"type": data.type.value, "value": value}


def _untree(parsed: Any) -> Data:
    kind, value = DataType(parsed.type), parsed.value
    if kind in {DataType.ARRAY, DataType.STRUCTURE}:
        value = tuple(_untree(item) for item in value)
    elif kind is DataType.BIT_STRING:
        value = BitString(value.size, value.octets)
    elif kind is DataType.COMPACT_ARRAY:
        value = CompactArray(value.description.data, value.contents)
    return Data(kind, value)


@given(data_values())
def test_the_declaration_encodes_the_same(data: Data) -> None:
    assert encode_data(data) == DATA.build(_tree(data))


@given(st.one_of(st.binary(max_size=48), data_values().map(encode_data)))
def test_the_declaration_decodes_the_same(wire: bytes) -> None:
    try:
        data, end = decode_data_at(wire, 0)
    except CodecError:
        data, end = None, 0
    if data is None:
        return
    judged = DATA.parse(wire[:end])
    assert _untree(judged) == data or math.isnan(_first_float(data))


def _first_float(data: Data) -> float:
    """A NaN in ``data`` if there is one: it equals nothing, itself included."""
    if isinstance(data.value, float):
        return data.value
    if isinstance(data.value, tuple):
        return next((f for f in map(_first_float, data.value) if math.isnan(f)), 0.0)
    return 0.0


@given(st.binary(max_size=48))
def test_what_the_declaration_refuses_is_refused(wire: bytes) -> None:
    try:
        DATA.parse(wire)
    except (ConstructError, UnicodeDecodeError):
        with pytest.raises(CodecError):
            decode_data_at(wire, 0)


@given(st.one_of(st.binary(max_size=64), st.binary(max_size=64).map(lambda tail: b"\x02" + tail)))
@example(b"\x13\x01\xff\xff\x00\x00")
def test_garbage_raises_only_protocol_errors(garbage: bytes) -> None:
    try:
        data = decode_data(garbage)
    except ProtocolError:
        return
    if isinstance(data.value, CompactArray):
        try:
            expand_compact_array(data.value)
        except ProtocolError:
            return


@given(data_values(), st.data())
def test_every_truncation_is_refused(data: Data, draw: st.DataObject) -> None:
    wire = encode_data(data)
    cut = draw.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(CodecError):
        decode_data(wire[:cut])


def test_trailing_octets_are_refused() -> None:
    with pytest.raises(CodecError, match="1 trailing"):
        decode_data(b"\x00\x00")


def test_decoding_in_the_middle_says_where_it_ended() -> None:
    assert decode_data_at(b"\xaa\x11\x05\xbb", 1) == (unsigned(5), 3)


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ("02 03 00 00 01 06 1101 1101 1101 1101 1101 0e", "structure[2].array[5]"),
        ("02 02 00 09 05 00", "structure[1]"),
        ("01 02 1105", "array[1]"),
        ("0b", ""),
    ],
)
def test_decoding_errors_name_the_item(wire: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode_data(bytes.fromhex(wire))
    assert (caught.value.codec, caught.value.path) == ("A-XDR", path)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (structure(NULL, array([unsigned(1), unsigned(256)])), "structure[1].array[1]"),
        (Data(DataType.OCTET_STRING, "text"), ""),
        (Data(DataType.OCTET_STRING), ""),
        (Data(DataType.NULL_DATA, 1), ""),
        (Data(DataType.VISIBLE_STRING, "€"), ""),
        (Data(DataType.UTF8_STRING, "\ud800"), ""),
        (Data(DataType.FLOAT32, 1e300), ""),
        (Data(DataType.DOUBLE_LONG, "1"), ""),
        (Data(DataType.DATE_TIME, bytes(11)), ""),
        (Data(DataType.BOOLEAN, 256), ""),
        (Data(DataType.BIT_STRING, BitString(9, b"\x00")), ""),
        (Data(DataType.COMPACT_ARRAY, CompactArray(b"\x11\x11", b"")), ""),
        (Data(DataType.ARRAY), ""),
    ],
)
def test_encoding_errors_name_the_item(data: Data, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode_data(data)
    assert (caught.value.codec, caught.value.path) == ("A-XDR", path)


def test_nesting_is_bounded_both_ways() -> None:
    data = NULL
    for _ in range(MAX_DEPTH):
        data = array([data])
    assert decode_data(encode_data(data)) == data
    with pytest.raises(CodecError, match="nested"):
        encode_data(array([data]))
    with pytest.raises(CodecError, match="nested"):
        decode_data(b"\x01\x01" * (MAX_DEPTH + 1) + b"\x00")


def test_an_announced_count_is_held_against_the_octets_there() -> None:
    with pytest.raises(CodecError, match="4294967295 announced, 1 octets there"):
        decode_data(bytes.fromhex("01 84ffffffff 00"))


def test_longer_length_forms_are_read_and_written_back_short() -> None:
    data = decode_data(bytes.fromhex("09 82 0001 aa"))
    assert encode_data(data) == bytes.fromhex("09 01 aa")


@pytest.mark.parametrize("wire", ["", "80", "85 0000000000", "81", "82 00"])
def test_bad_lengths(wire: str) -> None:
    with pytest.raises(CodecError):
        decode_length_at(bytes.fromhex(wire), 0)


@given(st.integers(0, 2**32 - 1))
def test_lengths(length: int) -> None:
    wire = encode_length(length)
    assert decode_length_at(wire, 0) == (length, len(wire))
    assert LENGTH.build(length) == wire


@pytest.mark.parametrize("length", [-1, 2**32])
def test_lengths_out_of_range(length: int) -> None:
    with pytest.raises(CodecError):
        encode_length(length)


# Compact arrays.


def test_compact_array_layout() -> None:
    rows = array(
        structure(octet_string(b"\x01\x02"), NULL, array([unsigned(i), unsigned(9)]))
        for i in (5, 6)
    )
    compact = compact_array(rows)
    # structure of 3: octet-string, null-data, array of 2 unsigned
    assert compact.description == bytes.fromhex("02 03 09 00 01 0002 11")
    assert compact.contents == bytes.fromhex("02 0102 05 09" + "02 0102 06 09")
    assert expand_compact_array(compact) == rows


@given(numbers(), st.integers(1, 4), st.lists(st.binary(max_size=3), min_size=1, max_size=5))
def test_compact_arrays_roundtrip(number: Data, count: int, texts: list[bytes]) -> None:
    rows = array(
        structure(octet_string(text), NULL, array([structure(number)] * count), number)
        for text in texts
    )
    assert expand_compact_array(compact_array(rows)) == rows


def test_an_empty_array_is_an_empty_compact_array() -> None:
    assert expand_compact_array(compact_array(array())) == array()


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (structure(), ""),
        (array([NULL, NULL]), ""),
        (array([unsigned(1), NULL]), "array[1]"),
        (array([structure(unsigned(1)), structure(enum(1))]), "array[1].structure[0]"),
        (array([structure(unsigned(1)), structure()]), "array[1]"),
        (array([Data(DataType.COMPACT_ARRAY, CompactArray(b"\x00", b""))]), "array[0]"),
    ],
)
def test_what_has_no_compact_form(data: Data, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        compact_array(data)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("description", "contents", "path"),
    [
        ("00", "00", "array[1]"),  # contents for nothing
        ("11 11", "00", ""),  # trailing description
        ("12", "0001 00", "array[1]"),  # half an element
        ("02 02 12 09", "0001 05 00", "array[0].structure[1]"),
        ("02 02 11 01 ffff 00", "01", "array[0].structure[1]"),  # a bomb of nulls
        ("02 02 11 01 00ff 01 00ff 00", "01", "array[0].structure[1].array[1]"),
    ],
)
def test_bad_compact_arrays_are_refused(description: str, contents: str, path: str) -> None:
    compact = CompactArray(bytes.fromhex(description), bytes.fromhex(contents))
    with pytest.raises(CodecError) as caught:
        expand_compact_array(compact)
    assert caught.value.path == path


def test_a_description_cannot_hold_a_compact_array_or_nest_for_ever() -> None:
    with pytest.raises(CodecError, match="0x13"):
        decode_data(bytes.fromhex("13 13 00 00"))
    with pytest.raises(CodecError, match="nested"):
        decode_data(b"\x13" + b"\x02\x01" * 40 + b"\x00\x00")
