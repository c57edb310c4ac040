"""COSEM data: the values that attributes hold and A-XDR carries.

A `Data` keeps its type beside its value, because the type goes on the wire and a value that is
read must be written back octet for octet. Source: IEC 62056-6-2 (Blue Book 4.1.5, "Common data
types") for the tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias


class DataType(IntEnum):
    """The tag of a common data type."""

    NULL_DATA = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DELTA_INTEGER = 28
    DELTA_LONG = 29
    DELTA_DOUBLE_LONG = 30
    DELTA_UNSIGNED = 31
    DELTA_LONG_UNSIGNED = 32
    DELTA_DOUBLE_LONG_UNSIGNED = 33
    DONT_CARE = 255


@dataclass(frozen=True, slots=True)
class CompactArray:
    """The value of a compact-array: one type description and the packed contents.

    ``description`` is the encoded TypeDescription; ``contents`` the packed octets, kept as they
    came so that they are written back octet for octet.
    """

    description: bytes
    contents: bytes


@dataclass(frozen=True, slots=True)
class BitString:
    """``size`` bits, first bit first, packed in ``octets`` (unused trailing bits are zero)."""

    size: int
    octets: bytes


Value: TypeAlias = (
    "bool | int | float | bytes | str | BitString | CompactArray | tuple[Data, ...] | None"
)


@dataclass(frozen=True, slots=True, init=False)
class Data:
    """One value with its type.

    ``value`` is ``None`` for null-data and don't-care; ``bool``; ``int`` for every integer, enum,
    bcd and delta type, and for a boolean that came as neither 0 nor 1; ``float``; ``bytes`` for
    octet-string, date-time (12), date (5), time (4); ``str`` for visible-string and utf8-string;
    `BitString`; `CompactArray`; a tuple of `Data` for array and structure.
    """

    type: DataType
    value: Value

    def __init__(self, type: DataType, value: Value = None) -> None:  # noqa: A002 - the field
        # What a frozen dataclass does, in half the time: a push of 70 readings makes 900 of these.
        _set_type(self, type)
        _set_value(self, value)


_set_type: Callable[[Data, DataType], None] = vars(Data)["type"].__set__
_set_value: Callable[[Data, Value], None] = vars(Data)["value"].__set__

NULL = Data(DataType.NULL_DATA)


def structure(*items: Data) -> Data:
    """Return a structure of ``items``."""
    return Data(DataType.STRUCTURE, items)


def array(items: Iterable[Data] = ()) -> Data:
    """Return an array of ``items``."""
    return Data(DataType.ARRAY, tuple(items))


def octet_string(value: bytes) -> Data:
    """Return an octet-string."""
    return Data(DataType.OCTET_STRING, value)


def unsigned(value: int) -> Data:
    """Return an unsigned (8 bits)."""
    return Data(DataType.UNSIGNED, value)


def long_unsigned(value: int) -> Data:
    """Return a long-unsigned (16 bits)."""
    return Data(DataType.LONG_UNSIGNED, value)


def double_long_unsigned(value: int) -> Data:
    """Return a double-long-unsigned (32 bits)."""
    return Data(DataType.DOUBLE_LONG_UNSIGNED, value)


def integer(value: int) -> Data:
    """Return an integer (8 bits, signed)."""
    return Data(DataType.INTEGER, value)


def enum(value: int) -> Data:
    """Return an enum (8 bits)."""
    return Data(DataType.ENUM, value)


def boolean(value: bool) -> Data:
    """Return a boolean."""
    return Data(DataType.BOOLEAN, value)
