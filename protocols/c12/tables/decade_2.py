"""Decade 2, registers: ST21, ST22, ST23, ST25 and ST28."""

from __future__ import annotations

from protocols.c12.tables.dimensions import (
    REGISTER_FLAGS_1,
    REGISTER_FLAGS_2,
    Dimensions,
    Registers,
)
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types
from protocols.errors import LocalProtocolError


def actual_registers(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST21."""
    return record(
        "flags_1" / types.bit_field(1, REGISTER_FLAGS_1),
        "flags_2" / types.bit_field(1, REGISTER_FLAGS_2),
        "self_reads" / types.uint8,
        "summations" / types.uint8,
        "demands" / types.uint8,
        "coincident_values" / types.uint8,
        "occurrences" / types.uint8,
        "tiers" / types.uint8,
        "present_demands" / types.uint8,
        "present_values" / types.uint8,
    )


def data_selection(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST22: the sources of ST16 that the registers hold; a maximum's flag is one."""
    registers = _registers(dimensions)
    return record(
        "summations" / types.array(registers.summations, types.uint8),
        "demands" / types.array(registers.demands, types.uint8),
        "maximum_demands" / types.bit_set((registers.demands + 7) // 8),
        "coincident_values" / types.array(registers.coincident_values, types.uint8),
        "coincident_demands" / types.array(registers.coincident_values, types.uint8),
    )


def current_registers(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST23: the totals, then a block of the same layout for each tier."""
    registers = _registers(dimensions)
    block = _data_block(types, registers)
    return record(
        present(registers.demand_reset_counter, "demand_resets", types.uint8),
        "total" / block,
        "tiers" / types.array(registers.tiers, block),
    )


def previous_demand_reset(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST25: ST23 as it was at the last demand reset.

    The layout was not seen in the facts. The choice: before the registers stand the time of the
    snapshot (STIME_DATE) and the season, each only when ST21 says that the decade carries it.
    """
    registers = _registers(dimensions)
    information = record(
        present(registers.date_time, "end_time", types.stime),
        present(registers.season, "season", types.uint8),
    )
    return record(
        "information" / information,
        "registers" / current_registers(types, dimensions),
    )


def present_registers(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST28: the present demands and values, the selection of which is ST27."""
    registers = _registers(dimensions)
    demand = record(
        present(registers.time_remaining, "time_remaining", types.time_of_day),
        "demand" / types.number_2,
    )
    return record(
        "demands" / types.array(registers.present_demands, demand),
        "values" / types.array(registers.present_values, types.number_1),
    )


def _data_block(types: Types, registers: Registers) -> Declaration:
    occurrences = types.array(registers.occurrences, types.number_2)
    stime = types.stime
    times = None if stime is None else types.array(registers.occurrences, stime)
    demand = record(
        present(registers.date_time, "times", times),
        present(registers.cumulative_demand, "cumulative", types.number_1),
        present(registers.continuous_cumulative_demand, "continuous_cumulative", types.number_1),
        "values" / occurrences,
    )
    return record(
        "summations" / types.array(registers.summations, types.number_1),
        "demands" / types.array(registers.demands, demand),
        "coincident_values"
        / types.array(registers.coincident_values, record("values" / occurrences)),
    )


def _registers(dimensions: Dimensions) -> Registers:
    if dimensions.registers is None:
        raise LocalProtocolError("the sizes of decade 2 (ST21) are not known")
    return dimensions.registers
