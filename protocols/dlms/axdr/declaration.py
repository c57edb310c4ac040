"""A-XDR `Data` declared: the specification the fast codecs are held against.

Parsing gives, and building takes, ``{"type": int, "value": ...}``; arrays and structures hold
lists of those. Source: IEC 62056-5-3 (Green Book 9.5, ASN.1 "Data"), IEC 61334-6.
"""

from __future__ import annotations

from typing import Any, Final

from construct import (
    Bytes,
    Computed,
    Const,
    Construct,
    ExprAdapter,
    ExprValidator,
    Float32b,
    Float64b,
    FocusedSeq,
    GreedyBytes,
    GreedyString,
    Int8sb,
    Int8ub,
    Int16sb,
    Int16ub,
    Int24ub,
    Int32sb,
    Int32ub,
    Int64sb,
    Int64ub,
    LazyBound,
    Prefixed,
    PrefixedArray,
    RawCopy,
    Select,
    Struct,
    Switch,
    obj_,
    this,
)

from protocols.dlms.data import DataType


def _long_form(first: int, length: Construct[int, int]) -> Construct[int, int]:
    return FocusedSeq("length", Const(first, Int8ub), "length" / length)


LENGTH: Final = Select(
    ExprValidator(Int8ub, obj_ < 0x80),
    _long_form(0x81, Int8ub),
    _long_form(0x82, Int16ub),
    _long_form(0x83, Int24ub),
    _long_form(0x84, Int32ub),
)
OCTETS: Final = Prefixed(LENGTH, GreedyBytes)

_NOTHING: Any = Computed(None)
# Any octet but 0 is true; one that is not 1 is kept, so that it is written back as it came.
_BOOLEAN: Any = ExprAdapter(
    Int8ub, lambda octet, _: octet if octet > 1 else bool(octet), lambda value, _: int(value)
)
_DESCRIPTION: Any = LazyBound(lambda: TYPE_DESCRIPTION)
_CONTENTS: Final[dict[int, Any]] = {
    DataType.ARRAY: Struct("count" / Int16ub, "element" / _DESCRIPTION),
    DataType.STRUCTURE: PrefixedArray(LENGTH, _DESCRIPTION),
}
TYPE_DESCRIPTION: Any = Struct(
    "type" / Int8ub,
    "content" / Switch(this.type, _CONTENTS, default=_NOTHING),
)

_DATA: Any = LazyBound(lambda: DATA)
_VALUES: Final[dict[int, Any]] = {
    DataType.NULL_DATA: _NOTHING,
    DataType.ARRAY: PrefixedArray(LENGTH, _DATA),
    DataType.STRUCTURE: PrefixedArray(LENGTH, _DATA),
    DataType.BOOLEAN: _BOOLEAN,
    DataType.BIT_STRING: Struct("size" / LENGTH, "octets" / Bytes((this.size + 7) // 8)),
    DataType.DOUBLE_LONG: Int32sb,
    DataType.DOUBLE_LONG_UNSIGNED: Int32ub,
    DataType.OCTET_STRING: OCTETS,
    DataType.VISIBLE_STRING: Prefixed(LENGTH, GreedyString("latin-1")),
    DataType.UTF8_STRING: Prefixed(LENGTH, GreedyString("utf8")),
    DataType.BCD: Int8ub,
    DataType.INTEGER: Int8sb,
    DataType.LONG: Int16sb,
    DataType.UNSIGNED: Int8ub,
    DataType.LONG_UNSIGNED: Int16ub,
    DataType.COMPACT_ARRAY: Struct("description" / RawCopy(TYPE_DESCRIPTION), "contents" / OCTETS),
    DataType.LONG64: Int64sb,
    DataType.LONG64_UNSIGNED: Int64ub,
    DataType.ENUM: Int8ub,
    DataType.FLOAT32: Float32b,
    DataType.FLOAT64: Float64b,
    DataType.DATE_TIME: Bytes(12),
    DataType.DATE: Bytes(5),
    DataType.TIME: Bytes(4),
    DataType.DELTA_INTEGER: Int8sb,
    DataType.DELTA_LONG: Int16sb,
    DataType.DELTA_DOUBLE_LONG: Int32sb,
    DataType.DELTA_UNSIGNED: Int8ub,
    DataType.DELTA_LONG_UNSIGNED: Int16ub,
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: Int32ub,
    DataType.DONT_CARE: _NOTHING,
}
DATA: Any = Struct("type" / Int8ub, "value" / Switch(this.type, _VALUES))
