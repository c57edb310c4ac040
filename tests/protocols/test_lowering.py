"""Lowered codecs: equal to construct's interpreter, on good bytes, bad bytes and bad values."""

from __future__ import annotations

from typing import Any

import pytest
from construct import (
    Array,
    Bytes,
    BytesInteger,
    Computed,
    Const,
    ConstructError,
    GreedyBytes,
    If,
    Int8sb,
    Int8ub,
    Int16ub,
    Int16ul,
    Int32ub,
    LazyBound,
    Padding,
    Rebuild,
    Sequence,
    Struct,
    len_,
    this,
)
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError
from protocols.lowering import lower
from protocols.lowering.codec import plain
from tests.support.declarations import Case, structs

ROW = Struct(
    Const(b"\x02\x03"),
    Const(9, Int8ub),
    "id_length" / Rebuild(Int8ub, len_(this.id)),
    "id" / Bytes(this.id_length),
    Const(17, Int8ub),
    "status" / Int8ub,
    "registers" / Array(2, Struct(Const(6, Int8ub), "value" / Int32ub)),
)
PUSH = Struct(
    "tag" / Const(0x0F, Int8ub),
    "count" / Rebuild(Int16ub, len_(this.rows)),
    "rows" / Array(this.count, ROW),
)
ROWS = [
    {"id": b"MST1", "status": 1, "registers": [{"value": 5}, {"value": 6}]},
    {"id": b"", "status": 2, "registers": [{"value": 7}, {"value": 8}]},
]
PUSH_WIRE = bytes.fromhex(
    # tag count
    "0f 0002"
    # structure octet-string "MST1"   unsigned  double-long-unsigned x 2
    "0203 09 04 4d535431 11 01 06 00000005 06 00000006"
    "0203 09 00          11 02 06 00000007 06 00000008"
)


def outcome(action: Any, *arguments: object) -> object:
    """Return what ``action`` returns, or the path of its error."""
    try:
        return plain(action(*arguments))
    except (ConstructError, CodecError) as exc:
        path: str = exc.path or ""
        return "error at " + ".".join(path.removeprefix("(parsing)").split(" -> ")).strip(".")


def test_a_push_is_lowered_to_struct_code() -> None:
    codec = lower(PUSH)
    assert codec.kind == "struct"
    assert codec.build({"rows": ROWS}) == PUSH_WIRE
    parsed = codec.parse(PUSH_WIRE)
    assert [row["id"] for row in parsed["rows"]] == [b"MST1", b""]
    assert parsed == plain(PUSH.parse(PUSH_WIRE))


def test_the_generated_code_itself_does_the_work() -> None:
    codec = lower(PUSH)
    assert codec.fast_parse is not None
    assert codec.fast_build is not None
    assert codec.fast_parse(PUSH_WIRE, 0) == (codec.parse(PUSH_WIRE), len(PUSH_WIRE))
    assert codec.fast_build({"rows": ROWS}) == PUSH_WIRE


def test_neighbouring_constants_share_one_comparison() -> None:
    assert r"b'\x02\x03\t'" in lower(PUSH).source


def test_parsing_starts_and_ends_where_told() -> None:
    data = b"\xff" + PUSH_WIRE + b"rest"
    parsed, end = lower(PUSH).parse_from(data, 1)
    assert parsed["count"] == 2
    assert data[end:] == b"rest"


@pytest.mark.parametrize(
    ("at", "octet", "path"),
    [(0, 0x10, "tag"), (3, 0x03, "rows"), (6, 0xFF, "rows.id"), (13, 7, "rows.registers")],
)
def test_an_error_names_the_field(at: int, octet: int, path: str) -> None:
    wrong = bytearray(PUSH_WIRE)
    wrong[at] = octet
    with pytest.raises(CodecError) as caught:
        lower(PUSH, "push").parse(bytes(wrong))
    assert caught.value.path == path
    assert caught.value.codec == "push"


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"rows": [{**ROWS[0], "status": 256}]}, "rows.status"),
        ({"rows": [{**ROWS[0], "registers": [{"value": 1}]}]}, "rows.registers"),
        ({"rows": ROWS, "tag": 0x10}, "tag"),
        ({}, ""),
    ],
)
def test_a_value_that_does_not_fit_names_the_field(values: object, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        lower(PUSH).build(values)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("declaration", "kind"),
    [
        (Struct("length" / Int8ub, "text" / Bytes(this.length)), "struct"),
        (Struct("a" / Int8ub, "b" / If(this.a == 1, Int8ub)), "compiled"),
        (Struct("a" / Int8ub, "b" / Bytes(this.a + 1)), "compiled"),
        (Struct("a" / GreedyBytes), "compiled"),
        (Struct("a" / Const(True, Int8ub)), "compiled"),
        (Struct("a" / LazyBound(lambda: Int8ub)), "compiled"),
        (Struct("a" / Computed(lambda context: 1), Padding(1)), "interpreted"),
        (Struct("a" / Bytes(lambda context: 2)), "interpreted"),
    ],
)
def test_what_cannot_be_lowered_runs_all_the_same(declaration: Any, kind: str) -> None:
    codec = lower(declaration)
    assert codec.kind == kind
    assert bool(codec.source) is (kind != "interpreted")
    data = b"\x01\x02\x03"
    assert codec.parse(data) == plain(declaration.parse(data))
    assert codec.build(codec.parse(data)) == declaration.build(declaration.parse(data))


def test_compiled_code_does_not_take_fewer_octets_than_it_asked_for() -> None:
    codec = lower(Struct("a" / Int8ub, "b" / Bytes(this.a + 1)))
    with pytest.raises(CodecError, match="expected 4, found 2") as caught:
        codec.parse(b"\x03ab")
    assert caught.value.path == "b"


def test_constants_are_checked_in_every_element_of_an_array() -> None:
    element = Struct(Const(6, Int8ub), "value" / Int8ub)
    for count in (this.n, 100):
        codec = lower(Struct("n" / Int8ub, "items" / Array(count, element)))
        wire = b"\x64" + b"\x06\x01" * 100
        assert len(codec.parse(wire)["items"]) == 100
        with pytest.raises(CodecError) as caught:
            codec.parse(wire[:-2] + b"\x07\x01")
        assert caught.value.path == "items"


def test_a_negative_count_is_refused() -> None:
    codec = lower(Struct("n" / Int8sb, "items" / Array(this.n, Int8ub)))
    assert codec.kind == "struct"
    assert codec.parse(b"\x01\x05")["items"] == [5]
    with pytest.raises(CodecError, match="count -1") as caught:
        codec.parse(b"\xff\x05")
    assert caught.value.path == "items"


def test_byte_orders_may_alternate() -> None:
    codec = lower(Struct("a" / Int16ub, "b" / Int8ub, "c" / Int16ul, "d" / Int16ub))
    assert codec.kind == "struct"
    values = {"a": 1, "b": 2, "c": 3, "d": 4}
    assert codec.build(values).hex() == "00010203000004"
    assert codec.parse(codec.build(values)) == values


def test_field_names_that_are_python_words_do_no_harm() -> None:
    declaration = Struct("len" / Int8ub, "class" / Bytes(this.len), "_1" / Int8ub, "at" / Int8ub)
    safe = Struct("len" / Int8ub, "class" / Bytes(this.len), "at" / Int8ub, "parts" / Int8ub)
    for each, kind in ((declaration, "compiled"), (safe, "struct")):
        codec = lower(each)
        assert codec.kind == kind
        parsed = codec.parse(b"\x01x\x02\x03")
        assert parsed == plain(each.parse(b"\x01x\x02\x03"))


def test_an_empty_list_is_not_a_missing_sequence() -> None:
    codec = lower(Struct("s" / Sequence(Const(b"a"), Padding(1))))
    assert codec.build({"s": None}) == codec.build({}) == b"a\x00"
    # construct ends a short sequence with StopIteration, whatever its fields could do without.
    with pytest.raises(CodecError):
        codec.build({"s": []})


def test_integers_for_octets_are_left_to_the_interpreter() -> None:
    declaration = Struct("a" / Bytes(2), "b" / BytesInteger(3))
    values = {"a": 258, "b": True}
    assert lower(declaration).build(values) == declaration.build(values) == b"\x01\x02\x00\x00\x01"


@given(st.data(), structs(columnar=False))
def test_interpreter_compiled_and_lowered_agree(data: st.DataObject, case: Case) -> None:
    declaration, codec = case.declaration, lower(case.declaration)
    assert codec.kind == "struct"
    assert codec.fast_parse is not None
    assert codec.fast_build is not None
    values = data.draw(case.values)
    wire = declaration.build(values)
    assert codec.fast_build(values) == declaration.compile().build(values) == wire
    parsed = plain(declaration.parse(wire))
    assert codec.fast_parse(wire, 0) == (parsed, len(wire))
    assert plain(declaration.compile().parse(wire)) == parsed
    assert codec.build(parsed) == wire


@given(st.data(), structs(columnar=False))
def test_bad_bytes_give_the_interpreters_answer(data: st.DataObject, case: Case) -> None:
    wire = bytearray(case.declaration.build(data.draw(case.values)))
    for _ in range(data.draw(st.integers(0, 2)) if wire else 0):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(wire[: data.draw(st.integers(0, len(wire)))])
    codec = lower(case.declaration)
    for each in (bytes(wire), cut):
        expected = outcome(case.declaration.parse, each)
        # repr, because a corrupted float may have become a NaN.
        assert repr(outcome(codec.parse, each)) == repr(expected)


@given(st.data(), structs(columnar=False), structs(columnar=False))
def test_another_declarations_values_give_the_interpreters_answer(
    data: st.DataObject, case: Case, other: Case
) -> None:
    values = data.draw(other.values)
    codec = lower(case.declaration)
    try:
        expected: object = case.declaration.build(values)
    except Exception:
        with pytest.raises(CodecError):
            codec.build(values)
    else:
        assert codec.build(values) == expected
