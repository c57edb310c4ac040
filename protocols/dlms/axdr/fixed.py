"""What A-XDR types of fixed size look like, and the bounds both directions share.

Source: IEC 62056-5-3 (Green Book 9.5, ASN.1 "Data"); IEC 61334-6. ``bcd`` is an Integer8 there,
but holds two digits: we read it as the octet it is (0..255).
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.data import DataType

MAX_DEPTH: Final = 32
"""How deep arrays and structures may nest; COSEM's deepest attribute needs about six."""

FIXED_FORMATS: Final = {
    DataType.DOUBLE_LONG: "i",
    DataType.DOUBLE_LONG_UNSIGNED: "I",
    DataType.BCD: "B",
    DataType.INTEGER: "b",
    DataType.LONG: "h",
    DataType.UNSIGNED: "B",
    DataType.LONG_UNSIGNED: "H",
    DataType.LONG64: "q",
    DataType.LONG64_UNSIGNED: "Q",
    DataType.ENUM: "B",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
    DataType.DELTA_INTEGER: "b",
    DataType.DELTA_LONG: "h",
    DataType.DELTA_DOUBLE_LONG: "i",
    DataType.DELTA_UNSIGNED: "B",
    DataType.DELTA_LONG_UNSIGNED: "H",
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: "I",
}
"""Numbers: type -> struct format, big-endian."""

FIXED_OCTETS: Final = {DataType.DATE_TIME: 12, DataType.DATE: 5, DataType.TIME: 4}
"""Octets without a length: type -> how many."""
