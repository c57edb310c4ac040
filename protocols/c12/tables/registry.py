"""Which tables there are: number, name, declaration and what the declaration needs.

A registry is a value: `TableRegistry.with_tables` returns another one with a manufacturer's tables,
so that two makes of meter can live in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from construct import SizeofError

from protocols.c12.tables import decade_0, decade_1, decade_2, decade_5, decade_6, decade_7
from protocols.c12.tables import dimensions as limits
from protocols.c12.tables.configuration import (
    MANUFACTURER_BASE,
    Configuration,
    general_configuration,
)
from protocols.c12.tables.dimensions import NO_DIMENSIONS, Dimensions
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError
from protocols.lowering import Codec, lower

Factory: TypeAlias = Callable[[Types, Dimensions], Declaration]
TABLES_MAX: Final = 2 * MANUFACTURER_BASE
TABLE_OCTETS_MAX: Final = (1 << 24) - 1
"""Offsets of partial reads have 24 bits."""


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """One table. ``needs`` names the attributes of `Dimensions` that ``factory`` asks for.

    ``factory`` raises `LocalProtocolError` when one is missing.
    """

    number: int
    name: str
    factory: Factory
    needs: tuple[str, ...] = ()


def _general_configuration(types: Types, _dimensions: Dimensions) -> Declaration:
    return general_configuration(types.configuration)


_LOAD_PROFILE_DATA: Final = ("load_profile", "load_profile_controls")
_DEFINITIONS: Final = (
    TableDefinition(0, "General Configuration Table", _general_configuration),
    TableDefinition(
        1,
        "General Manufacturer Identification Table",
        decade_0.general_manufacturer_identification,
    ),
    TableDefinition(3, "End Device Mode Status Table", decade_0.mode_and_status),
    TableDefinition(5, "Device Identification Table", decade_0.device_identification),
    TableDefinition(6, "Utility Information Table", decade_0.utility_information),
    TableDefinition(7, "Procedure Initiate Table", decade_0.procedure_initiate),
    TableDefinition(8, "Procedure Response Table", decade_0.procedure_response),
    TableDefinition(11, "Actual Sources Limiting Table", decade_1.actual_sources),
    TableDefinition(12, "Unit of Measure Entry Table", decade_1.units_of_measure, ("sources",)),
    TableDefinition(15, "Constants Table", decade_1.constants, ("sources",)),
    TableDefinition(16, "Source Definition Table", decade_1.source_definitions, ("sources",)),
    TableDefinition(21, "Actual Register Table", decade_2.actual_registers),
    TableDefinition(22, "Data Selection Table", decade_2.data_selection, ("registers",)),
    TableDefinition(23, "Current Register Data Table", decade_2.current_registers, ("registers",)),
    TableDefinition(
        25, "Previous Demand Reset Data Table", decade_2.previous_demand_reset, ("registers",)
    ),
    TableDefinition(28, "Present Register Data Table", decade_2.present_registers, ("registers",)),
    TableDefinition(51, "Actual Time and Time-of-Use Table", decade_5.actual_time_of_use),
    TableDefinition(52, "Clock Table", decade_5.clock),
    TableDefinition(55, "Clock State Table", decade_5.clock_state),
    TableDefinition(61, "Actual Load Profile Table", decade_6.actual_load_profile),
    TableDefinition(
        62, "Load Profile Control Table", decade_6.load_profile_control, ("load_profile",)
    ),
    TableDefinition(63, "Load Profile Status Table", decade_6.load_profile_status),
    *(
        TableDefinition(
            63 + n,
            f"Load Profile Data Set {n} Table",
            decade_6.load_profile_data(n),
            _LOAD_PROFILE_DATA,
        )
        for n in range(1, 5)
    ),
    TableDefinition(71, "Actual Log Table", decade_7.actual_log),
    TableDefinition(72, "Events Identification Table", decade_7.events_supported, ("log",)),
    TableDefinition(73, "History Log Control Table", decade_7.log_control, ("log",)),
    TableDefinition(74, "History Log Data Table", decade_7.history_log, ("log",)),
    TableDefinition(75, "Event Log Control Table", decade_7.log_control, ("log",)),
    TableDefinition(76, "Event Log Data Table", decade_7.event_log, ("log",)),
)


@dataclass(frozen=True, slots=True, eq=False)
class TableRegistry:
    """The tables that a program knows; a mapping of numbers to definitions that never changes."""

    definitions: Mapping[int, TableDefinition]

    def __contains__(self, number: object) -> bool:
        return number in self.definitions

    def __iter__(self) -> Iterator[TableDefinition]:
        return iter(self.definitions.values())

    def __getitem__(self, number: int) -> TableDefinition:
        try:
            return self.definitions[number]
        except KeyError:
            raise LocalProtocolError(f"table {number} is not known") from None

    def with_tables(self, tables: Iterable[TableDefinition]) -> TableRegistry:
        """Return a registry that has ``tables`` as well.

        Raises `LocalProtocolError` when a number is taken already, or outside of 0 to 4095.
        """
        merged = dict(self.definitions)
        for table in tables:
            if table.number in merged or not 0 <= table.number < TABLES_MAX:
                raise LocalProtocolError(f"table {table.number} is taken or outside of 0..4095")
            merged[table.number] = table
        return TableRegistry(MappingProxyType(merged))

    def declaration(
        self,
        number: int,
        configuration: Configuration,
        dimensions: Dimensions = NO_DIMENSIONS,
        *,
        columns: bool = False,
    ) -> Declaration:
        """Return the declaration of table ``number``; ``columns`` chooses the dress that lowers.

        Raises:
            LocalProtocolError: the table is not known, or dimensions that it needs are not.
            CodecError: the dimensions ask for a table larger than services can address.
        """
        return _declare(self[number], Types(configuration, columns), dimensions)

    def codec(
        self, number: int, configuration: Configuration, dimensions: Dimensions = NO_DIMENSIONS
    ) -> Codec:
        """Return what parses and builds table ``number``. Raises as `declaration` does."""
        return _codec(self[number], configuration, dimensions)

    def decode(
        self,
        number: int,
        data: bytes,
        configuration: Configuration,
        dimensions: Dimensions = NO_DIMENSIONS,
    ) -> dict[str, Any]:
        """Return the values of a whole table.

        Raises:
            LocalProtocolError: as `declaration` does.
            CodecError: octets are missing, left over, or do not fit their field.
        """
        codec = self.codec(number, configuration, dimensions)
        values, end = codec.parse_from(data)
        if end != len(data):
            raise CodecError(f"{len(data) - end} octets left over", codec=codec.name)
        parsed: dict[str, Any] = values
        return parsed

    def encode(
        self,
        number: int,
        values: Mapping[str, Any],
        configuration: Configuration,
        dimensions: Dimensions = NO_DIMENSIONS,
    ) -> bytes:
        """Return a whole table. Raises as `decode` does."""
        return self.codec(number, configuration, dimensions).build(values)


@lru_cache(maxsize=1024)
def _codec(
    definition: TableDefinition, configuration: Configuration, dimensions: Dimensions
) -> Codec:
    declaration = _declare(definition, Types(configuration), dimensions)
    return lower(declaration, table_label(definition.number))


def _declare(definition: TableDefinition, types: Types, dimensions: Dimensions) -> Declaration:
    declaration = definition.factory(types, dimensions)
    # Refuse before anything is made of it: dimensions come from peers.
    with suppress(SizeofError):
        size = declaration.sizeof()
        if size > TABLE_OCTETS_MAX:
            message = f"{size} octets where offsets reach {TABLE_OCTETS_MAX}"
            raise CodecError(message, codec=table_label(definition.number))
    return declaration


STANDARD_TABLES: Final = TableRegistry(
    MappingProxyType({definition.number: definition for definition in _DEFINITIONS})
)
"""The standard tables of this project."""


def manufacturer_tables(
    tables: Iterable[tuple[int, str, Factory]], registry: TableRegistry = STANDARD_TABLES
) -> TableRegistry:
    """Return ``registry`` with table 2048 + n for each (n, name, factory) of a manufacturer."""
    return registry.with_tables(
        TableDefinition(MANUFACTURER_BASE + number, name, factory)
        for number, name, factory in tables
    )


def table_label(number: int) -> str:
    """Return what people call a table: ST23, MT5."""
    if number >= MANUFACTURER_BASE:
        return f"MT{number - MANUFACTURER_BASE}"
    return f"ST{number}"


_DIMENSION_TABLES: Final[Mapping[int, tuple[str, Callable[[Mapping[str, Any]], Any]]]] = (
    MappingProxyType(
        {
            11: ("sources", limits.Sources.from_values),
            21: ("registers", limits.Registers.from_values),
            51: ("time_of_use", limits.TimeOfUse.from_values),
            61: ("load_profile", limits.LoadProfile.from_values),
            62: ("load_profile_controls", decade_6.controls_of),
            71: ("log", limits.Log.from_values),
        }
    )
)


def read_dimensions(tables: Mapping[int, bytes], configuration: Configuration) -> Dimensions:
    """Return the dimensions that the tables 11, 21, 51, 61, 62 and 71 among ``tables`` give.

    Raises `CodecError` for a table that does not fit, `LocalProtocolError` for ST62 without ST61.
    """
    dimensions = NO_DIMENSIONS
    for number, (name, convert) in _DIMENSION_TABLES.items():
        if number in tables:
            values = STANDARD_TABLES.decode(number, tables[number], configuration, dimensions)
            try:
                dimensions = replace(dimensions, **{name: convert(values)})
            except ValueError as exc:
                raise CodecError(str(exc), codec=table_label(number)) from exc
    return dimensions


def encode_dimensions(dimensions: Dimensions, configuration: Configuration) -> dict[int, bytes]:
    """Return the tables that say ``dimensions``, by number: of 11, 21, 51, 61, 62 and 71."""
    values: dict[int, Any] = {}
    for number, (name, _) in _DIMENSION_TABLES.items():
        known = getattr(dimensions, name)
        if number != 62 and known is not None:
            values[number] = known.values()
    if dimensions.load_profile is not None and any(dimensions.load_profile_controls):
        values[62] = decade_6.control_values(dimensions)
    return {
        number: STANDARD_TABLES.encode(number, one, configuration, dimensions)
        for number, one in values.items()
    }
