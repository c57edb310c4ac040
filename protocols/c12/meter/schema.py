"""What an emulated meter's tables look like: ST0 and the dimension tables of a capture profile.

Emulator and head-end work from the same schema, so it is a value: a function of the registers, the
capture period and the settings. Sources (ST16) are the registers in their order, then the demand
that is worked out from the first imported energy.

Unit codes are from the C12.19 vocabulary as people quote it; the facts hold no list, so codes of
volts (8) and hertz (33) are [uncertain].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from construct import Array, Rebuild, len_, this
from numpy.typing import NDArray

from protocols.c12.meter.keepsakes import Keepsakes
from protocols.c12.meter.settings import DEFAULT_SETTINGS, MeterSettings
from protocols.c12.tables.configuration import MANUFACTURER_BASE, Configuration
from protocols.c12.tables.defaults import CONFIGURATION
from protocols.c12.tables.dimensions import (
    ChannelSource,
    Dimensions,
    IntervalFormat,
    LoadProfile,
    LoadProfileControl,
    LoadProfileSet,
    Log,
    Registers,
    Sources,
    TimeOfUse,
)
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.formats.numbers import NumberFormat
from protocols.c12.tables.record import present, record
from protocols.c12.tables.registry import TableRegistry, manufacturer_tables
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError
from protocols.lowering import Codec
from protocols.plugin import ConcentratorModel, RegisterDescription

CONTROL_LOG: Final = MANUFACTURER_BASE + 1
"""Manufacturer table 1: what the meter was made to do, newest last."""
STATUS_LOG: Final = MANUFACTURER_BASE + 2
"""Manufacturer table 2: status bits newly set, by the capture that first showed them."""

SET_TARIFF: Final = MANUFACTURER_BASE + 1
"""Manufacturer procedure 1: count in another rate; parameter: the rate (UINT8)."""
SWITCH_SEGMENT: Final = MANUFACTURER_BASE + 2
"""Manufacturer procedure 2: parameters: the segment (UINT8, 1 to 8), closed or not (UINT8)."""

WRITABLE_TABLES: Final = frozenset({5, 6, 7})
STANDARD_PROCEDURES: Final = frozenset({0, 1, 3, 4, 5, 6, 7, 9, 10, 21})

WATT_HOUR, VOLT, HERTZ = 30, 35, 44
"""Units as a capture profile names them (DLMS UA)."""
_CODES: Final = {WATT_HOUR: 0, VOLT: 8, HERTZ: 33}
_MULTIPLIERS: Final = {0: 0, 2: 1, 3: 2, 6: 3, 9: 4, -2: 5, -3: 6, -6: 7}
_DIAL_READING, _INSTANTANEOUS, _BLOCK_DEMAND = 0, 1, 4
_QUADRANTS: Final = {1: (1, 4), 2: (2, 3)}
_SEGMENTATIONS: Final = {32: 5, 52: 6, 72: 7}
STANDARD_EVENTS: Final = frozenset(range(1, 49))
"""What ST72 says the meter can log: the codes of the facts, 1 (power down) to 48 (reversal)."""


@dataclass(frozen=True, slots=True)
class RegisterPlan:
    """Which columns of a reading are which registers of decade 2.

    ``totals`` are the energies without a rate, imported first; ``tiers`` for each rate from 1 on
    the column that belongs to each total, ``None`` where the meter does not tell its rates apart.
    """

    totals: tuple[int, ...]
    tiers: tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True)
class MeterSchema:
    """The layout of every table of one kind of meter. Made by `meter_schema`."""

    registers: tuple[RegisterDescription, ...]
    period_s: int
    settings: MeterSettings = DEFAULT_SETTINGS

    def __hash__(self) -> int:
        """Return a hash, worked out once: layouts are looked up by schema all the time."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.registers, self.period_s, self.settings))

    @cached_property
    def plan(self) -> RegisterPlan:
        """Which columns are totals and rates."""
        energies = {
            (register.logical_name[2], register.logical_name[4]): column
            for column, register in enumerate(self.registers)
            if register.unit == WATT_HOUR and register.logical_name[3] == 8
        }
        kinds = sorted({quantity for quantity, rate in energies if rate == 0})
        rates = max((rate for _, rate in energies), default=0)
        return RegisterPlan(
            tuple(energies[kind, 0] for kind in kinds),
            tuple(
                tuple(energies.get((kind, rate)) for kind in kinds) for rate in range(1, rates + 1)
            ),
        )

    @cached_property
    def counts(self) -> NDArray[np.bool_]:
        """Which registers count, and which measure, (registers,)."""
        return np.array([register.logical_name[3] == 8 for register in self.registers])

    @cached_property
    def configuration(self) -> Configuration:
        """What ST0 says."""
        return replace(
            CONFIGURATION,
            number_format_1=NumberFormat.INT64,
            manufacturer_tables_used=_within(CONTROL_LOG, STATUS_LOG),
            standard_procedures_used=STANDARD_PROCEDURES,
            manufacturer_procedures_used=_within(SET_TARIFF, SWITCH_SEGMENT),
            standard_tables_writable=WRITABLE_TABLES,
        )

    @cached_property
    def dimensions(self) -> Dimensions:
        """What ST11, ST21, ST51, ST61, ST62 and ST71 say."""
        channels = len(self.registers)
        control = LoadProfileControl(
            tuple(ChannelSource(source, True, source) for source in range(channels)),
            IntervalFormat.UINT32,
        )
        return Dimensions(
            sources=Sources(
                block_demand=True, units=channels + 1, constants=1, sources=channels + 1
            ),
            registers=self._register_sizes(),
            time_of_use=TimeOfUse(),
            load_profile=self._load_profile(),
            load_profile_controls=(control, None, None, None),
            log=self._log_sizes(),
        )

    @cached_property
    def registry(self) -> TableRegistry:
        """The standard tables and the manufacturer's."""
        return manufacturer_tables(
            [
                (CONTROL_LOG - MANUFACTURER_BASE, "Control Log Table", _control_log),
                (STATUS_LOG - MANUFACTURER_BASE, "Status Log Table", _status_log),
            ]
        )

    def declaration(self, table: int, *, columns: bool = False) -> Declaration:
        """Return a table's declaration. Raises `LocalProtocolError`: there is no such table."""
        key = (table, columns)
        if key not in self._declarations:
            self._declarations[key] = self.registry.declaration(
                table, self.configuration, self.dimensions, columns=columns
            )
        return self._declarations[key]

    @cached_property
    def _declarations(self) -> dict[tuple[int, bool], Declaration]:
        return {}

    def encode(self, table: int, values: Mapping[str, Any]) -> bytes:
        """Return a whole table. Raises `CodecError`, `LocalProtocolError`."""
        return self._codec(table).build(values)

    def decode(self, table: int, data: bytes) -> dict[str, Any]:
        """Return the values of a whole table. Raises `CodecError`, `LocalProtocolError`."""
        codec = self._codec(table)
        values, end = codec.parse_from(data)
        if end != len(data):
            raise CodecError(f"{len(data) - end} octets left over", codec=codec.name)
        decoded: dict[str, Any] = values
        return decoded

    @cached_property
    def _codecs(self) -> dict[int, Codec]:
        return {}

    def _codec(self, table: int) -> Codec:
        """Return the codec of a table, kept here: finding it costs a hash of all the sizes."""
        if table not in self._codecs:
            codec = self.registry.codec(table, self.configuration, self.dimensions)
            self._codecs[table] = codec
        return self._codecs[table]

    @cached_property
    def units(self) -> tuple[dict[str, int], ...]:
        """The entries of ST12, one for each source."""
        demand = {"code": 0, "time_base": _BLOCK_DEMAND, "quadrant_1": 1, "quadrant_4": 1}
        return (*(_unit(register) for register in self.registers), demand)

    def _register_sizes(self) -> Registers:
        return Registers(
            date_time=True,
            demand_reset_counter=True,
            summations=len(self.plan.totals),
            demands=1,
            occurrences=1,
            tiers=len(self.plan.tiers),
            present_demands=1,
            present_values=len(self.registers),
        )

    def _load_profile(self) -> LoadProfile:
        minutes, rest = divmod(self.period_s, 60)
        fits = not rest and minutes < 256
        one = LoadProfileSet(self.settings.blocks, 1, len(self.registers), minutes * fits)
        channels = len(self.registers)
        block = 4 + 8 * channels + channels // 2 + 1 + 4 * channels
        return LoadProfile(
            memory_octets=self.settings.blocks * block,
            block_end_read=True,
            extended_status=True,
            formats=frozenset({IntervalFormat.UINT32}),
            sets=(one, None, None, None),
        )

    def _log_sizes(self) -> Log:
        return Log(
            history_date_time=True,
            history_sequence=True,
            standard_event_octets=max(STANDARD_EVENTS) // 8 + 1,
            history_argument_size=4,
            event_argument_size=4,
            history_entries=self.settings.history_entries,
            event_entries=self.settings.event_entries,
        )


def _unit(register: RegisterDescription) -> dict[str, int]:
    """Return the entry of ST12; raises `LocalProtocolError` for a unit that has no code."""
    quantity, kind = register.logical_name[2], register.logical_name[3]
    try:
        code, multiplier = _CODES[register.unit], _MULTIPLIERS[register.scaler]
    except KeyError as exc:
        raise LocalProtocolError(f"register {register.name} has no unit of C12.19") from exc
    return {
        "code": code,
        "time_base": _DIAL_READING if kind == 8 else _INSTANTANEOUS,
        "multiplier": multiplier,
        "segmentation": _SEGMENTATIONS.get(quantity, 0),
        **{f"quadrant_{quadrant}": 1 for quadrant in _QUADRANTS.get(quantity, ())},
    }


def _within(*numbers: int) -> frozenset[int]:
    """Return manufacturer numbers as ST0 counts them."""
    return frozenset(number - MANUFACTURER_BASE for number in numbers)


def _control_log(types: Types, _dimensions: Dimensions) -> Declaration:
    entry = record(
        "kind" / types.uint8,
        "parameter" / types.uint32,
        present(True, "time", types.ltime),
        "counter" / types.uint32,
    )
    return _rows(types, entry)


def _status_log(types: Types, _dimensions: Dimensions) -> Declaration:
    return _rows(types, record(present(True, "time", types.ltime), "bits" / types.uint16))


def _rows(types: Types, entry: Declaration) -> Declaration:
    """Declare a list that is as long as it says."""
    entries: Any = Array(this.valid_entries, entry)
    return record("valid_entries" / Rebuild(types.uint16, len_(this.entries)), "entries" / entries)


@lru_cache(maxsize=64)
def _schema(
    registers: tuple[RegisterDescription, ...], period_s: int, settings: MeterSettings
) -> MeterSchema:
    return MeterSchema(registers, period_s, settings)


def meter_schema(
    registers: Sequence[RegisterDescription],
    period_s: int,
    settings: MeterSettings = DEFAULT_SETTINGS,
) -> MeterSchema:
    """Return the layout of meters that capture ``registers`` every ``period_s`` seconds."""
    return _schema(tuple(registers), period_s, settings)


def schema_of(model: ConcentratorModel, settings: MeterSettings = DEFAULT_SETTINGS) -> MeterSchema:
    """Return the layout of the meters behind a concentrator."""
    kept = _SCHEMAS.of(model)
    if settings not in kept:
        kept[settings] = meter_schema(model.registers, model.capture_period_s, settings)
    return kept[settings]


_SCHEMAS: Final = Keepsakes[dict[MeterSettings, MeterSchema]](dict)
"""Kept, because finding one costs a hash of all registers."""
