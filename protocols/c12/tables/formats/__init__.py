"""The built-in types of C12.19, whose layout ST0 chooses: numbers, times, texts, bit fields, sets.

Each is a `Field`: one declaration whose values people use, one that lowers, and the functions
between the columns of the two.
"""

from protocols.c12.tables.formats.bits import BitField, BitSet
from protocols.c12.tables.formats.field import ByteOrder, Field
from protocols.c12.tables.formats.numbers import IntegerForm, NumberFormat, number
from protocols.c12.tables.formats.text import CharacterFormat, Text, identifier
from protocols.c12.tables.formats.times import TimeFormat, date, ltime, stime, time_of_day

__all__ = [
    "BitField",
    "BitSet",
    "ByteOrder",
    "CharacterFormat",
    "Field",
    "IntegerForm",
    "NumberFormat",
    "Text",
    "TimeFormat",
    "date",
    "identifier",
    "ltime",
    "number",
    "stime",
    "time_of_day",
]
