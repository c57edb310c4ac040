"""Numbers at their limits, in the other integer forms, and exact against columns."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from construct import ConstructError, Struct
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.formats import ByteOrder, IntegerForm, NumberFormat, number
from protocols.c12.tables.formats.field import Field
from protocols.errors import CodecError
from protocols.lowering import lower_to_dtype

ORDERS = list(ByteOrder)
INTEGERS = [ni for ni in NumberFormat if ni.name.startswith("INT")]


def column_octets(field: Field, values: list[int] | list[float]) -> bytes:
    layout = lower_to_dtype(Struct("x" / field.wire))
    return layout.encode({"x": field.to_wire(np.array(values))}, len(values)).tobytes()


def column_values(field: Field, octets: bytes) -> list[int]:
    layout = lower_to_dtype(Struct("x" / field.wire))
    rows = layout.decode(octets, len(octets) // layout.size)
    values: list[int] = field.to_values(rows["x"]).tolist()
    return values


@pytest.mark.parametrize("form", IntegerForm)
@pytest.mark.parametrize("ni", INTEGERS)
@given(data=st.data(), order=st.sampled_from(ORDERS))
def test_integers_exact_and_by_column_agree(
    ni: NumberFormat, form: IntegerForm, data: st.DataObject, order: ByteOrder
) -> None:
    field = number(ni, order, form)
    top = (1 << (8 * ni.size - 1)) - 1
    raw = data.draw(st.integers(-top, top))
    exact = field.exact.build(Decimal(raw).scaleb(-4) if ni.unit > 1 else raw)
    assert exact == column_octets(field, [raw])
    assert field.exact.parse(exact) * ni.unit == raw
    assert column_values(field, exact) == [raw]


@pytest.mark.parametrize(
    ("form", "octets"),
    [
        (IntegerForm.TWOS_COMPLEMENT, "fffffe"),
        (IntegerForm.ONES_COMPLEMENT, "fffffd"),
        (IntegerForm.SIGN_AND_MAGNITUDE, "800002"),
    ],
)
def test_minus_two_in_each_form(form: IntegerForm, octets: str) -> None:
    field = number(NumberFormat.INT24, ByteOrder.BIG, form)
    assert field.exact.build(-2).hex() == octets
    assert column_values(field, bytes.fromhex(octets)) == [-2]


@pytest.mark.parametrize("octets", ["ffffff", "000000"])
def test_negative_zero_is_zero(octets: str) -> None:
    field = number(NumberFormat.INT24, ByteOrder.BIG, IntegerForm.ONES_COMPLEMENT)
    assert field.exact.parse(bytes.fromhex(octets)) == 0


@pytest.mark.parametrize("ni", [NumberFormat.BCD4, NumberFormat.BCD6, NumberFormat.BCD8])
@given(data=st.data())
def test_packed_decimals_are_their_hexadecimal_digits(
    ni: NumberFormat, data: st.DataObject
) -> None:
    value = data.draw(st.integers(0, 10 ** (2 * ni.size) - 1))
    field = number(ni, ByteOrder.LITTLE)
    assert field.exact.build(value).hex() == f"{value:0{2 * ni.size}d}"
    assert column_octets(field, [value]) == field.exact.build(value)
    assert column_values(field, field.exact.build(value)) == [value]


def test_packed_decimals_turn_round_when_told_to() -> None:
    field = number(NumberFormat.BCD4, ByteOrder.LITTLE, bcd_follows_order=True)
    assert field.exact.build(12345678).hex() == "78563412"
    assert field.exact.parse(bytes.fromhex("78563412")) == 12345678
    assert column_octets(field, [12345678]).hex() == "78563412"
    assert column_values(field, bytes.fromhex("78563412")) == [12345678]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"  -12.5 ", Decimal("-12.5")),
        (b"1.5E3", Decimal("1500")),
        (b"+7", 7),
        (b".5", Decimal("0.5")),
        (b"00042", 42),
    ],
)
def test_texts(text: bytes, value: int | Decimal) -> None:
    field = number(NumberFormat.CHAR12, ByteOrder.BIG)
    parsed = field.exact.parse(text.ljust(12))
    assert parsed == value
    assert type(parsed) is type(value)
    assert field.exact.parse(field.exact.build(value)) == value


@pytest.mark.parametrize("text", [b"", b"1 2", b"x", b"1\0", b"--1", b"\xb2"])
def test_what_is_no_number(text: bytes) -> None:
    field = number(NumberFormat.CHAR6, ByteOrder.BIG)
    with pytest.raises(ConstructError):
        field.exact.parse(text.ljust(6))
    with pytest.raises(CodecError):
        column_values(field, text.ljust(6))


@pytest.mark.parametrize(
    ("ni", "value"),
    [
        (NumberFormat.INT24, 1 << 23),
        (NumberFormat.INT48, 1 << 47),
        (NumberFormat.INT48, -(1 << 47) - 1),
        (NumberFormat.BCD4, 10**8),
        (NumberFormat.BCD4, -1),
        (NumberFormat.CHAR6, 10**6),
        (NumberFormat.FLOAT32, (1 << 24) + 1),
        (NumberFormat.FLOAT64, (1 << 53) + 1),
    ],
)
def test_columns_refuse_what_does_not_fit(ni: NumberFormat, value: int) -> None:
    with pytest.raises(CodecError):
        column_octets(number(ni, ByteOrder.LITTLE), [value])


@pytest.mark.parametrize(
    ("ni", "value"),
    [
        (NumberFormat.INT32_FOUR_DECIMALS, Decimal("0.00001")),
        (NumberFormat.INT32_FOUR_DECIMALS, Decimal("1." + "0" * 40 + "1")),
        (NumberFormat.INT32_FOUR_DECIMALS, 1 << 31),
        (NumberFormat.BCD4, 10**8),
        (NumberFormat.CHAR6, Decimal("1234.567")),
        (NumberFormat.INT40, 1 << 39),
    ],
)
def test_values_that_do_not_fit_are_refused(ni: NumberFormat, value: int | Decimal) -> None:
    with pytest.raises(ConstructError):
        number(ni, ByteOrder.LITTLE).exact.build(value)


def test_a_text_beyond_64_bits() -> None:
    with pytest.raises(CodecError):
        column_values(number(NumberFormat.CHAR21, ByteOrder.BIG), b"9" * 21)


def test_a_nibble_that_is_no_digit() -> None:
    field = number(NumberFormat.BCD4, ByteOrder.BIG)
    with pytest.raises(ConstructError):
        field.exact.parse(b"\x00\x00\x00\x1a")
    with pytest.raises(CodecError):
        column_values(field, b"\x00\x00\x00\xa1")


def test_a_column_of_floats_is_no_integer() -> None:
    with pytest.raises(CodecError):
        column_octets(number(NumberFormat.INT48, ByteOrder.BIG), [1.5])
