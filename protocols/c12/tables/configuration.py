"""ST0, the general configuration: what decides the layout of every other table (facts, 2.6).

All of ST0 is single octets and sets, so that it reads the same before the byte order is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from construct import Bytes, Int8ub

from protocols.c12.tables.formats.bits import BitField, BitSet, members, octets_of
from protocols.c12.tables.formats.field import ByteOrder, Declaration
from protocols.c12.tables.formats.numbers import IntegerForm, NumberFormat
from protocols.c12.tables.formats.text import CharacterFormat
from protocols.c12.tables.formats.times import TimeFormat
from protocols.c12.tables.options import TableOptions
from protocols.c12.tables.record import record
from protocols.errors import CodecError
from protocols.lowering import lower

MANUFACTURER_BASE: Final = 2048
"""Tables and procedures of the manufacturer are numbered from here."""
FIXED_SIZE: Final = 19
"""The octets of ST0 before its sets."""


class DataAccess(IntEnum):
    """DATA_ACCESS_METHOD of ST0: which partial reads and writes a device serves."""

    FULL_ONLY = 0
    OFFSET = 1
    INDEX = 2
    BOTH = 3


class IdentifierForm(IntEnum):
    """ID_FORM of ST0: identifiers as texts or as packed decimals of half the size."""

    STRING = 0
    PACKED_DECIMAL = 1


class NameplateType(IntEnum):
    """NAMEPLATE_TYPE of ST0: what the device measures. More numbers exist than are known here."""

    GAS = 0
    WATER = 1
    ELECTRICITY = 2


FORMAT_CONTROL_1: Final = BitField(
    1,
    ByteOrder.LITTLE,
    {"data_order": (0, 0), "character_format": (1, 3), "model_select": (4, 6)},
)
FORMAT_CONTROL_2: Final = BitField(
    1,
    ByteOrder.LITTLE,
    {
        "time_format": (0, 2),
        "data_access": (3, 4),
        "identifier_form": (5, 5),
        "integer_form": (6, 7),
    },
)
FORMAT_CONTROL_3: Final = BitField(
    1, ByteOrder.LITTLE, {"number_format_1": (0, 3), "number_format_2": (4, 7)}
)
# Field by field in the order of the standard; the sets' sizes are the counts before them.
_COUNTS: Final = (
    "dim_standard_tables",
    "dim_manufacturer_tables",
    "dim_standard_procedures",
    "dim_manufacturer_procedures",
)
_SETS: Final = (
    ("standard_tables_used", 0),
    ("manufacturer_tables_used", 1),
    ("standard_procedures_used", 2),
    ("manufacturer_procedures_used", 3),
    ("standard_tables_writable", 0),
    ("manufacturer_tables_writable", 1),
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What ST0 says, and how we read what the standard's public sources leave open.

    The sets hold numbers within their kind: manufacturer table 2048 + n is n here (see
    `uses_table`). ``set_sizes`` are the octets of the sets of standard tables, manufacturer
    tables, standard procedures and manufacturer procedures, ``None`` for the fewest that hold them.
    """

    byte_order: ByteOrder = ByteOrder.LITTLE
    character_format: CharacterFormat = CharacterFormat.ISO_7_BIT
    model_select: int = 0
    time_format: TimeFormat = TimeFormat.SECONDS_SINCE_1970
    data_access: DataAccess = DataAccess.BOTH
    identifier_form: IdentifierForm = IdentifierForm.STRING
    integer_form: IntegerForm = IntegerForm.TWOS_COMPLEMENT
    number_format_1: NumberFormat = NumberFormat.INT48
    number_format_2: NumberFormat = NumberFormat.INT32
    device_class: bytes = bytes(4)
    nameplate_type: int = NameplateType.ELECTRICITY
    default_set_used: int = 0
    max_procedure_parameter_length: int = 0
    max_response_data_length: int = 0
    standard_version: int = 2
    standard_revision: int = 0
    manufacturer_status_size: int = 0
    pending_tables: int = 0
    standard_tables_used: frozenset[int] = frozenset({0})
    manufacturer_tables_used: frozenset[int] = frozenset()
    standard_procedures_used: frozenset[int] = frozenset()
    manufacturer_procedures_used: frozenset[int] = frozenset()
    standard_tables_writable: frozenset[int] = frozenset()
    manufacturer_tables_writable: frozenset[int] = frozenset()
    set_sizes: tuple[int, int, int, int] | None = None
    options: TableOptions = field(default=TableOptions())

    @property
    def dimensions_of_sets(self) -> tuple[int, int, int, int]:
        """The octets of the four kinds of sets: given, or the fewest that hold every member."""
        if self.set_sizes is not None:
            return self.set_sizes
        return (
            _fewest(self.standard_tables_used | self.standard_tables_writable),
            _fewest(self.manufacturer_tables_used | self.manufacturer_tables_writable),
            _fewest(self.standard_procedures_used),
            _fewest(self.manufacturer_procedures_used),
        )

    def uses_table(self, number: int) -> bool:
        """Say whether the device has table ``number``; 2048 + n is manufacturer table n."""
        if number >= MANUFACTURER_BASE:
            return number - MANUFACTURER_BASE in self.manufacturer_tables_used
        return number in self.standard_tables_used

    def may_write_table(self, number: int) -> bool:
        """Say whether ST0 lists table ``number`` as writable."""
        if number >= MANUFACTURER_BASE:
            return number - MANUFACTURER_BASE in self.manufacturer_tables_writable
        return number in self.standard_tables_writable

    def encode(self) -> bytes:
        """Return ST0. Raises `CodecError` naming the field that does not fit."""
        sizes = self.dimensions_of_sets
        values = {
            "format_control_1": {
                "data_order": int(self.byte_order is ByteOrder.BIG),
                "character_format": self.character_format,
                "model_select": self.model_select,
            },
            "format_control_2": {name: getattr(self, name) for name in _CONTROL_2},
            "format_control_3": {name: getattr(self, name) for name in _CONTROL_3},
            **{name: getattr(self, name) for name in _PLAIN},
            **dict(zip(_COUNTS, sizes, strict=True)),
        }
        sets = (self._set(name, sizes[kind]) for name, kind in _SETS)
        return _HEAD.build(values) + b"".join(sets)

    @classmethod
    def decode(cls, data: bytes, options: TableOptions = TableOptions()) -> Configuration:  # noqa: B008 - frozen
        """Return what the ST0 in ``data`` says. Raises `CodecError`."""
        head = _HEAD.parse(data)
        sizes = tuple(head[name] for name in _COUNTS)
        lengths = [sizes[kind] for _, kind in _SETS]
        if len(data) != FIXED_SIZE + sum(lengths):
            message = f"{len(data)} octets where the sets ask for {FIXED_SIZE + sum(lengths)}"
            raise CodecError(message, codec="ST0")
        at = FIXED_SIZE
        sets: dict[str, Any] = {}
        for (name, _), length in zip(_SETS, lengths, strict=True):
            sets[name] = members(data[at : at + length])
            at += length
        return cls(
            **_formats(head),
            **{name: head[name] for name in _PLAIN},
            **sets,
            set_sizes=sizes,
            options=options,
        )

    def _set(self, name: str, size: int) -> bytes:
        try:
            return octets_of(getattr(self, name), size)
        except (OverflowError, ValueError) as exc:
            message = f"a member outside of 0..{8 * size - 1}"
            raise CodecError(message, codec="ST0", path=name) from exc


_CONTROL_2: Final = ("time_format", "data_access", "identifier_form", "integer_form")
_CONTROL_3: Final = ("number_format_1", "number_format_2")
_ENUMERATIONS: Final[dict[str, type[IntEnum]]] = {
    "character_format": CharacterFormat,
    "time_format": TimeFormat,
    "data_access": DataAccess,
    "identifier_form": IdentifierForm,
    "integer_form": IntegerForm,
    "number_format_1": NumberFormat,
    "number_format_2": NumberFormat,
}
_PLAIN: Final = (
    "device_class",
    "nameplate_type",
    "default_set_used",
    "max_procedure_parameter_length",
    "max_response_data_length",
    "standard_version",
    "standard_revision",
    "manufacturer_status_size",
    "pending_tables",
)


def _head(*sets: Declaration) -> Declaration:
    return record(
        "format_control_1" / FORMAT_CONTROL_1,
        "format_control_2" / FORMAT_CONTROL_2,
        "format_control_3" / FORMAT_CONTROL_3,
        "device_class" / Bytes(4),
        "nameplate_type" / Int8ub,
        "default_set_used" / Int8ub,
        "max_procedure_parameter_length" / Int8ub,
        "max_response_data_length" / Int8ub,
        "standard_version" / Int8ub,
        "standard_revision" / Int8ub,
        *(name / Int8ub for name in _COUNTS),
        "manufacturer_status_size" / Int8ub,
        "pending_tables" / Int8ub,
        *sets,
    )


_HEAD: Final = lower(_head(), "ST0")


def general_configuration(configuration: Configuration) -> Declaration:
    """Declare ST0 with the sets that ``configuration`` has (for reads of its parts)."""
    sizes = configuration.dimensions_of_sets
    return _head(*(name / BitSet(sizes[kind]) for name, kind in _SETS))


def _formats(head: dict[str, Any]) -> dict[str, Any]:
    control = head["format_control_1"] | head["format_control_2"] | head["format_control_3"]
    formats: dict[str, Any] = {
        "byte_order": ByteOrder.BIG if control["data_order"] else ByteOrder.LITTLE,
        "model_select": control["model_select"],
    }
    for name, kind in _ENUMERATIONS.items():
        try:
            formats[name] = kind(control[name])
        except ValueError as exc:
            raise CodecError(str(exc), codec="ST0", path=name) from exc
    return formats


def _fewest(numbers: frozenset[int]) -> int:
    return max(numbers, default=-1) // 8 + 1
