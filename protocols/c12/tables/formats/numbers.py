"""NI_FORMAT: the fourteen number types that ST0 may choose for NI_FMAT1 and NI_FMAT2.

Values are exact: integers, `Decimal` where the type has a decimal point (INT32 with four implied
decimals; texts with a point or exponent), floats for the two IEEE 754 types. In columns, INT32 with
implied decimals stays an integer number of ten-thousandths, and texts must hold integers.

What the facts leave open, and what is done: packed decimals are unsigned, their most significant
digit first in either byte order (``bcd_follows_order`` turns them round); texts are right-justified
with spaces when built and may have spaces on either side when parsed, in ISO 7-bit characters
whatever the character format.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final

import numpy as np
from construct import Bytes, BytesInteger, FormatField, Struct

from protocols.c12.tables.formats.field import (
    ByteOrder,
    Column,
    Declaration,
    ExactAdapter,
    Field,
    Values,
    misfit,
    plain_field,
    refuse,
)


class NumberFormat(IntEnum):
    """NI_FORMAT of ST0: the layout of a non-integer number type."""

    FLOAT64 = 0
    FLOAT32 = 1
    CHAR12 = 2
    CHAR6 = 3
    INT32_FOUR_DECIMALS = 4
    BCD6 = 5
    BCD4 = 6
    INT24 = 7
    INT32 = 8
    INT40 = 9
    INT48 = 10
    INT64 = 11
    BCD8 = 12
    CHAR21 = 13

    @property
    def size(self) -> int:
        """The octets of one number."""
        return _SIZES[self]

    @property
    def unit(self) -> int:
        """How many of a column's integers make one: 10,000 with four implied decimals."""
        return UNIT if self is NumberFormat.INT32_FOUR_DECIMALS else 1

    @property
    def is_float(self) -> bool:
        """Whether values are binary floating point."""
        return self in (NumberFormat.FLOAT64, NumberFormat.FLOAT32)


class IntegerForm(IntEnum):
    """INT_FORMAT of ST0: how negative integers are written."""

    TWOS_COMPLEMENT = 0
    ONES_COMPLEMENT = 1
    SIGN_AND_MAGNITUDE = 2


IMPLIED_DECIMALS: Final = 4
UNIT: Final = 10_000
_SIZES: Final = dict(zip(NumberFormat, (8, 4, 12, 6, 4, 6, 4, 3, 4, 5, 6, 8, 8, 21), strict=True))
_TEXTS: Final = (NumberFormat.CHAR12, NumberFormat.CHAR6, NumberFormat.CHAR21)
_PACKED: Final = (NumberFormat.BCD4, NumberFormat.BCD6, NumberFormat.BCD8)
_TEXT_NUMBER: Final = re.compile(rb" *([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) *")
_INTEGER: Final = re.compile(rb"[+-]?\d+")
_STRUCT_LETTERS: Final = {1: "b", 2: "h", 4: "l", 8: "q"}


def number(
    ni: NumberFormat,
    order: ByteOrder,
    form: IntegerForm = IntegerForm.TWOS_COMPLEMENT,
    *,
    bcd_follows_order: bool = False,
) -> Field:
    """Return the field of ``ni`` in ``order``; ``form`` is how negative integers are written."""
    if ni.is_float:
        return _floating(ni.size, order)
    if ni in _TEXTS:
        return _text(ni.size)
    if ni in _PACKED:
        return _packed(ni.size, reverse=bcd_follows_order and order.is_little)
    whole = integer(ni.size, order, form)
    return _with_decimals(whole) if ni.unit > 1 else whole


def _floating(size: int, order: ByteOrder) -> Field:
    layout = FormatField(order.value, "d" if size == 8 else "f")

    def to_wire(values: Values) -> Column:
        column = np.asarray(values)
        written = column.astype(f"f{size}")
        if column.dtype.kind in "iu" and not (written.astype(column.dtype) == column).all():
            raise misfit(f"integers that {8 * size} bits of floating point do not hold")
        return written

    return Field(layout, layout, plain_field(layout, "f8").to_values, to_wire)


def integer(
    size: int,
    order: ByteOrder,
    form: IntegerForm = IntegerForm.TWOS_COMPLEMENT,
    *,
    signed: bool = True,
) -> Field:
    """Return an integer of 1 to 8 octets; ``form`` matters to signed ones only."""
    if signed and form is not IntegerForm.TWOS_COMPLEMENT:
        return _other_form(size, order, form)
    if size in _STRUCT_LETTERS:
        letter = _STRUCT_LETTERS[size]
        layout = FormatField(order.value, letter if signed else letter.upper())
        return plain_field(layout, "i8" if signed or size < 8 else "u8")
    exact = BytesInteger(size, signed=signed, swapped=order.is_little)
    return _halves(exact, size, order, signed=signed)


def _halves(exact: Declaration, size: int, order: ByteOrder, *, signed: bool) -> Field:
    """An integer of 3, 5, 6 or 7 octets: numpy has none, so its column is two numbers."""
    low_size = 2 if size == 3 else 4
    low = "low" / FormatField(order.value, _STRUCT_LETTERS[low_size].upper())
    high = "high" / integer(size - low_size, order, signed=signed).wire
    wire = Struct(low, high) if order.is_little else Struct(high, low)
    shift, mask = 8 * low_size, (1 << 8 * low_size) - 1

    def to_values(column: Column) -> Values:
        return np.asarray((column["high"].astype(np.int64) << shift) | column["low"])

    def to_wire(values: Values) -> Column:
        whole = np.asarray(values)
        if whole.dtype.kind not in "iu":
            raise misfit(f"expected integers, got {whole.dtype}")
        return {"high": whole >> shift, "low": whole & mask}

    return Field(exact, wire, to_values, to_wire)


def _with_decimals(whole: Field) -> Field:
    return Field(_ImpliedDecimals(whole.exact), whole.wire, whole.to_values, whole.to_wire)


class _ImpliedDecimals(ExactAdapter):
    """An integer number of ten-thousandths as a `Decimal`."""

    def _decode(self, obj: int, _context: object, _path: object) -> Decimal:
        return Decimal(obj).scaleb(-IMPLIED_DECIMALS)

    def _encode(self, obj: Decimal | int, _context: object, path: str) -> int:
        # Fractions, because Decimal arithmetic would round what has too many digits.
        scaled = Fraction(obj) * UNIT
        if scaled.denominator != 1:
            raise refuse(f"{obj} has more than {IMPLIED_DECIMALS} decimals", path)
        return scaled.numerator


def _other_form(size: int, order: ByteOrder, form: IntegerForm) -> Field:
    """One's complement, or sign and magnitude: an unsigned integer read otherwise."""
    unsigned = integer(size, order, signed=False)
    exact = _OtherForm(unsigned.exact, 8 * size, form)
    sign, ones = 1 << (8 * size - 1), (1 << 8 * size) - 1
    invert = ones if form is IntegerForm.ONES_COMPLEMENT else sign

    def to_values(column: Column) -> Values:
        raw = unsigned.to_values(column).astype(np.uint64)
        magnitude = np.where(raw & np.uint64(sign), raw ^ np.uint64(invert), raw).astype(np.int64)
        return np.where(raw & np.uint64(sign), -magnitude, magnitude)

    def to_wire(values: Values) -> Column:
        whole = np.asarray(values).astype(np.int64, casting="safe")
        if whole.size and not -sign < whole.min() <= whole.max() < sign:
            raise misfit(f"{whole.min()}..{whole.max()} is outside of {8 * size} bits")
        magnitude = np.abs(whole).astype(np.uint64)
        return unsigned.to_wire(np.where(whole < 0, magnitude ^ np.uint64(invert), magnitude))

    return Field(exact, unsigned.wire, to_values, to_wire)


class _OtherForm(ExactAdapter):
    """Negative zero parses to zero."""

    def __init__(self, unsigned: Declaration, bits: int, form: IntegerForm) -> None:
        super().__init__(unsigned)
        self._sign = 1 << (bits - 1)
        ones = (1 << bits) - 1
        self._invert = ones if form is IntegerForm.ONES_COMPLEMENT else self._sign

    def _decode(self, obj: int, _context: object, _path: object) -> int:
        return -(obj ^ self._invert) if obj & self._sign else obj

    def _encode(self, obj: int, _context: object, path: str) -> int:
        if not -self._sign < obj < self._sign:
            raise refuse(f"{obj} is outside of {1 - self._sign}..{self._sign - 1}", path)
        return -obj ^ self._invert if obj < 0 else obj


def _packed(size: int, *, reverse: bool) -> Field:
    powers = 100 ** np.arange(size, dtype=np.int64)[:: 1 if reverse else -1]

    def to_values(column: Column) -> Values:
        octets = _as_octets(column, size)
        high, low = octets >> 4, octets & 15
        if (high > 9).any() or (low > 9).any():
            raise misfit("a nibble that is no decimal digit")
        return np.asarray(((high * 10 + low).astype(np.int64) * powers).sum(-1))

    def to_wire(values: Values) -> Column:
        whole = np.asarray(values).astype(np.int64, casting="safe")
        if whole.size and not 0 <= whole.min() <= whole.max() < 100**size:
            raise misfit(f"{whole.min()}..{whole.max()} is outside of {2 * size} digits")
        pairs = whole[..., None] // powers % 100
        return _as_blobs((pairs // 10 << 4 | pairs % 10).astype(np.uint8))

    return Field(_Packed(size, reverse=reverse), Bytes(size), to_values, to_wire)


class _Packed(ExactAdapter):
    """Two decimal digits in an octet."""

    def __init__(self, size: int, *, reverse: bool) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        self._size, self._step = size, -1 if reverse else 1

    def _decode(self, obj: bytes, _context: object, path: str) -> int:
        digits = obj[:: self._step].hex()
        if not digits.isdecimal():
            raise refuse(f"{digits} has a nibble that is no decimal digit", path)
        return int(digits)

    def _encode(self, obj: int, _context: object, path: str) -> bytes:
        if not 0 <= obj < 100**self._size:
            raise refuse(f"{obj} is outside of {2 * self._size} digits", path)
        return bytes.fromhex(f"{int(obj):0{2 * self._size}d}")[:: self._step]


def _text(size: int) -> Field:
    def to_values(column: Column) -> Values:
        octets = np.ascontiguousarray(column)
        stripped = np.strings.strip(octets.view(f"S{size}").reshape(octets.shape))
        # numpy takes zero octets at the end of a text for none at all.
        if not _as_octets(octets, size).all() or not all(
            _INTEGER.fullmatch(text) for text in stripped.reshape(-1).tolist()
        ):
            raise misfit("columns of texts hold integers only")
        try:
            return np.asarray(stripped.astype(np.int64))
        except OverflowError as exc:
            raise misfit("a number beyond 64 bits") from exc

    def to_wire(values: Values) -> Column:
        texts = np.asarray(values).astype(np.int64, casting="safe").astype("S21")
        if texts.size and np.strings.str_len(texts).max() > size:
            raise misfit(f"a number longer than {size} characters")
        return np.strings.rjust(texts, size).astype(f"S{size}") if texts.size else texts

    return Field(_TextNumber(size), Bytes(size), to_values, to_wire)


class _TextNumber(ExactAdapter):
    """Digits as text: an integer when there is neither point nor exponent, a `Decimal` else."""

    def __init__(self, size: int) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        self._size = size

    def _decode(self, obj: bytes, _context: object, path: str) -> int | Decimal:
        matched = _TEXT_NUMBER.fullmatch(obj)
        if matched is None:
            raise refuse(f"{obj!r} is no number", path)
        return int(matched[1]) if _INTEGER.fullmatch(matched[1]) else Decimal(matched[1].decode())

    def _encode(self, obj: int | Decimal, _context: object, path: str) -> bytes:
        text = f"{obj:f}" if isinstance(obj, Decimal) else f"{obj:d}"
        if len(text) > self._size:
            raise refuse(f"{text} is longer than {self._size} characters", path)
        return text.rjust(self._size).encode("ascii")


def _as_octets(column: Column, size: int) -> Values:
    octets = np.ascontiguousarray(column)
    return octets.view(np.uint8).reshape(*octets.shape, size)


def _as_blobs(octets: Values) -> Column:
    size = octets.shape[-1]
    return np.ascontiguousarray(octets).view(f"V{size}").reshape(octets.shape[:-1])
