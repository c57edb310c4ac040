"""Every declaration: round trips, sizes, both dresses, vectors written from the facts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from construct import Int8ub, SizeofError
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.configuration import Configuration, IdentifierForm
from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
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
from protocols.c12.tables.formats import ByteOrder, NumberFormat, TimeFormat
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import record
from protocols.c12.tables.registry import (
    STANDARD_TABLES,
    TableDefinition,
    encode_dimensions,
    manufacturer_tables,
    read_dimensions,
    table_label,
)
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError
from protocols.lowering import lower_to_dtype

FULL = Dimensions(
    sources=Sources(
        power_fail_exclude=True,
        thermal_demand=True,
        set_1_present=True,
        set_2_present=True,
        units=2,
        demand_controls=3,
        data_control_length=4,
        data_controls=5,
        constants=2,
        sources=3,
    ),
    registers=Registers(
        season=True,
        date_time=True,
        demand_reset_counter=True,
        cumulative_demand=True,
        continuous_cumulative_demand=True,
        time_remaining=True,
        self_read_demand_reset=2,
        summations=2,
        demands=2,
        coincident_values=1,
        occurrences=2,
        tiers=2,
        present_demands=1,
        present_values=2,
    ),
    time_of_use=TimeOfUse(
        separate_summations_and_demands=True, seasons=4, special_schedules=3, tier_switches=300
    ),
    load_profile=LoadProfile(
        memory_octets=70_000,
        inhibit_overflow=frozenset({1, 4}),
        block_end_read=True,
        block_end_pulse=True,
        scalars_and_divisors=frozenset({2}),
        extended_status=True,
        simple_status=True,
        block_end_read_indicator=True,
        formats=frozenset(IntervalFormat),
        sets=(LoadProfileSet(2, 4, 3, 15), LoadProfileSet(1, 9, 2, 60), None, None),
    ),
    load_profile_controls=(
        LoadProfileControl(tuple(ChannelSource(n) for n in range(3)), IntervalFormat.UINT16),
        LoadProfileControl(
            (ChannelSource(0, True, 1), ChannelSource(1)), IntervalFormat.NUMBER_2, (3, 4), (5, 6)
        ),
        None,
        None,
    ),
    log=Log(
        event_number=True,
        history_sequence=True,
        standard_event_octets=10,
        manufacturer_event_octets=1,
        history_argument_size=2,
        event_argument_size=3,
        history_entries=2,
        event_entries=3,
        extended_flags=1,
        program_tables=300,
    ),
)
USED = CONFIGURATION.standard_tables_used | {65}
ABSENT = (66, 67)
NUMBERS = [table.number for table in STANDARD_TABLES if table.number not in ABSENT]
GREEDY = (7, 8)


def configuration_of(
    order: ByteOrder,
    ni: NumberFormat = NumberFormat.INT48,
    tm: TimeFormat = TimeFormat.SECONDS_SINCE_1970,
) -> Configuration:
    return replace(
        CONFIGURATION,
        byte_order=order,
        number_format_1=ni,
        number_format_2=ni,
        time_format=tm,
        standard_tables_used=USED,
        set_sizes=CONFIGURATION.dimensions_of_sets,
    )


@pytest.mark.parametrize("number", NUMBERS)
@given(data=st.data(), order=st.sampled_from(list(ByteOrder)))
def test_any_octets_round_trip(number: int, data: st.DataObject, order: ByteOrder) -> None:
    configuration = configuration_of(order)
    declaration = STANDARD_TABLES.declaration(number, configuration, FULL)
    size = 9 if number in GREEDY else declaration.sizeof()
    octets = data.draw(st.binary(min_size=size, max_size=size))
    values = STANDARD_TABLES.decode(number, octets, configuration, FULL)
    assert STANDARD_TABLES.encode(number, values, configuration, FULL) == octets


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in GREEDY])
def test_tables_of_another_length(number: int) -> None:
    configuration = configuration_of(ByteOrder.LITTLE)
    size = STANDARD_TABLES.declaration(number, configuration, FULL).sizeof()
    for length in (size - 1, size + 1):
        with pytest.raises(CodecError):
            STANDARD_TABLES.decode(number, bytes(length), configuration, FULL)


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in (0, *GREEDY)])
@pytest.mark.parametrize(("order", "tm"), list(product(ByteOrder, TimeFormat)))
def test_both_dresses_have_the_same_size(number: int, order: ByteOrder, tm: TimeFormat) -> None:
    for ni in NumberFormat:
        configuration = configuration_of(order, ni, tm)
        exact = STANDARD_TABLES.declaration(number, configuration, FULL)
        columns = STANDARD_TABLES.declaration(number, configuration, FULL, columns=True)
        assert lower_to_dtype(columns).size == exact.sizeof() == columns.sizeof()


REGISTERS_VALUES: dict[str, Any] = {
    "demand_resets": 3,
    "total": {
        "summations": [1, 2],
        "demands": [
            {"times": [16, 17], "cumulative": 4, "continuous_cumulative": 5, "values": [6, 7]},
            {"times": [18, 19], "cumulative": 8, "continuous_cumulative": 9, "values": [10, 11]},
        ],
        "coincident_values": [{"values": [12, 13]}],
    },
    "tiers": [],
}
# Big endian, NI_FMAT1 INT24, NI_FMAT2 INT32.
REGISTERS_OCTETS = (
    "03 000001 000002"
    " 00000010 00000011 000004 000005 00000006 00000007"
    " 00000012 00000013 000008 000009 0000000a 0000000b"
    " 0000000c 0000000d"
)


def test_current_registers_octet_by_octet() -> None:
    assert FULL.registers is not None
    dimensions = Dimensions(registers=replace(FULL.registers, tiers=0))
    configuration = Configuration(
        byte_order=ByteOrder.BIG,
        number_format_1=NumberFormat.INT24,
        number_format_2=NumberFormat.INT32,
    )
    octets = bytes.fromhex(REGISTERS_OCTETS)
    assert STANDARD_TABLES.encode(23, REGISTERS_VALUES, configuration, dimensions) == octets
    assert STANDARD_TABLES.decode(23, octets, configuration, dimensions) == REGISTERS_VALUES
    previous = STANDARD_TABLES.decode(
        25, bytes.fromhex("00000020 02") + octets, configuration, dimensions
    )
    assert previous["information"] == {"end_time": 32, "season": 2}
    assert previous["registers"] == REGISTERS_VALUES


def test_tiers_repeat_the_block_of_the_totals() -> None:
    configuration = configuration_of(ByteOrder.LITTLE)
    block = {"summations": [1, 2, 3, 4], "demands": [], "coincident_values": []}
    values = {"demand_resets": 0, "total": block, "tiers": [block, block]}
    octets = STANDARD_TABLES.encode(23, values, configuration, meter_dimensions())
    assert octets == b"\0" + 3 * b"".join(n.to_bytes(6, "little") for n in (1, 2, 3, 4))


def test_registers_of_many_meters_at_once() -> None:
    configuration, dimensions = configuration_of(ByteOrder.LITTLE), meter_dimensions()
    declaration = STANDARD_TABLES.declaration(23, configuration, dimensions, columns=True)
    layout = lower_to_dtype(declaration)
    field = Types(configuration, columns=True).number_1_field()
    meters = 5
    values = np.arange(meters * 12).reshape(meters, 3, 4) * 10_000_000_000
    columns = {
        "demand_resets": np.arange(meters),
        "total": {"summations": field.to_wire(values[:, 0])},
        "tiers": {"summations": field.to_wire(values[:, 1:])},
    }
    octets = layout.encode(columns, meters).tobytes()
    for meter in range(meters):
        one = octets[meter * layout.size : (meter + 1) * layout.size]
        parsed = STANDARD_TABLES.decode(23, one, configuration, dimensions)
        assert parsed["demand_resets"] == meter
        assert parsed["total"]["summations"] == values[meter, 0].tolist()
        assert parsed["tiers"][1]["summations"] == values[meter, 2].tolist()
    rows = layout.decode(octets, meters)
    assert (field.to_values(rows["tiers"]["summations"]) == values[:, 1:]).all()


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (11, "71 02 03 04 05 02 02 03"),
        (21, "77 20 00 02 02 01 02 02 01 02"),
        (51, "00 04 34 00 00 012c 0000"),
        # memory, flags 1-4-4end-5pulse-7scalars2-10ext-11simple-12indicator, formats, two sets
        (61, "00011170 1cb9 ff  0002 0004 03 0f  0001 0009 02 3c"),
        (62, "000000 000100 000200 02  010001 000100 80 0003 0004 0005 0006"),
        (71, "07 0a 01 02 03 0002 0003 01 012c"),
    ],
)
def test_dimension_tables_octet_by_octet(number: int, octets: str) -> None:
    configuration = configuration_of(ByteOrder.BIG)
    assert encode_dimensions(FULL, configuration)[number] == bytes.fromhex(octets)


@pytest.mark.parametrize("order", ByteOrder)
def test_dimensions_are_read_back(order: ByteOrder) -> None:
    configuration = configuration_of(order)
    for dimensions in (FULL, meter_dimensions()):
        used = replace(
            configuration,
            standard_tables_used=USED if dimensions is FULL else CONFIGURATION.standard_tables_used,
        )
        assert read_dimensions(encode_dimensions(dimensions, used), used) == dimensions
    assert read_dimensions({}, configuration) == Dimensions()
    assert encode_dimensions(Dimensions(), configuration) == {}


def test_an_interval_format_that_does_not_exist() -> None:
    configuration = configuration_of(ByteOrder.BIG)
    tables = encode_dimensions(FULL, configuration)
    tables[62] = bytes.fromhex("000000 000100 000200 03") + tables[62][10:]
    with pytest.raises(CodecError):
        read_dimensions(tables, configuration)


def test_log_limits_of_the_first_version_are_shorter() -> None:
    configuration = replace(configuration_of(ByteOrder.BIG), standard_version=1)
    octets = encode_dimensions(FULL, configuration)[71]
    assert len(octets) == 9
    log = read_dimensions({71: octets}, configuration).log
    assert FULL.log is not None
    assert log == replace(FULL.log, extended_flags=0, program_tables=0)


def test_unit_of_measure_bits() -> None:
    configuration = configuration_of(ByteOrder.BIG)
    dimensions = Dimensions(sources=Sources(units=1))
    values = STANDARD_TABLES.decode(12, bytes.fromhex("80 e8 3a 07"), configuration, dimensions)
    (entry,) = values["entries"]
    # Whatever is not named here is zero: 0x80e83a07 bit by bit.
    assert (entry["code"], entry["time_base"], entry["multiplier"]) == (7, 2, 7)
    assert (entry["quadrant_1"], entry["quadrant_2"], entry["net_flow"]) == (False, False, False)
    assert (entry["segmentation"], entry["harmonic"], entry["resource"]) == (5, True, 1)
    assert entry["not_standard"] is True


def test_identifiers_of_packed_decimals_are_half_as_long() -> None:
    configuration = replace(CONFIGURATION, identifier_form=IdentifierForm.PACKED_DECIMAL)
    sizes = [STANDARD_TABLES.declaration(n, configuration).sizeof() for n in (1, 5, 6)]
    assert sizes == [24, 10, 180]
    sizes = [STANDARD_TABLES.declaration(n, CONFIGURATION).sizeof() for n in (1, 5, 6)]
    assert sizes == [32, 20, 230]


def test_the_clock_with_its_qualifier() -> None:
    configuration = configuration_of(ByteOrder.LITTLE)
    clock = STANDARD_TABLES.decode(52, bytes.fromhex("00f15365 12"), configuration)
    assert clock["clock"] == 1_700_000_000
    assert clock["qualifier"]["day_of_week"] == 2
    assert clock["qualifier"]["universal_time"] is True
    state = STANDARD_TABLES.decode(55, bytes.fromhex("00f15365 12 8953"), configuration, FULL)
    assert state["status"]["season"] == 5
    assert (state["status"]["summation_tier"], state["status"]["demand_tier"]) == (1, 1)
    assert STANDARD_TABLES.decode(55, bytes(7), configuration)["status"]["tier"] == 0


def test_constants_of_gas_are_not_known() -> None:
    assert FULL.sources is not None
    gas = Dimensions(sources=replace(FULL.sources, constants_selector=0))
    with pytest.raises(LocalProtocolError):
        STANDARD_TABLES.declaration(15, CONFIGURATION, gas)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_table_needs_what_it_says_it_needs(number: int) -> None:
    configuration = configuration_of(ByteOrder.LITTLE)
    needs = STANDARD_TABLES[number].needs
    for need in needs:
        without = replace(FULL, **{need: getattr(Dimensions(), need)})
        with pytest.raises(LocalProtocolError):
            STANDARD_TABLES.codec(number, configuration, without)
    only = Dimensions(**{need: getattr(FULL, need) for need in needs})
    STANDARD_TABLES.codec(number, configuration, only)


def test_dimensions_do_not_choose_our_memory() -> None:
    many = Registers(summations=255, demands=255, occurrences=255, tiers=255)
    with pytest.raises(CodecError):
        STANDARD_TABLES.declaration(23, CONFIGURATION, Dimensions(registers=many), columns=True)
    profile = LoadProfile(sets=(LoadProfileSet(65_535, 65_535, 0, 15), None, None, None))
    control = LoadProfileControl((), IntervalFormat.UINT8)
    dimensions = Dimensions(load_profile=profile, load_profile_controls=(control, None, None, None))
    with pytest.raises(CodecError):
        STANDARD_TABLES.decode(64, b"", CONFIGURATION, dimensions)


def test_a_set_that_the_profile_has_not() -> None:
    with pytest.raises(LocalProtocolError):
        STANDARD_TABLES.declaration(66, CONFIGURATION, FULL)
    without_control = replace(FULL, load_profile_controls=(None,) * 4)
    with pytest.raises(LocalProtocolError):
        STANDARD_TABLES.declaration(64, CONFIGURATION, without_control)


def test_procedures_have_parameters_of_any_length() -> None:
    with pytest.raises(SizeofError):
        STANDARD_TABLES.declaration(7, CONFIGURATION).sizeof()


def _serials(types: Types, _dimensions: Dimensions) -> Declaration:
    return record("serial" / types.uint32, "kind" / Int8ub)


def test_a_manufacturer_adds_tables_without_touching_the_others() -> None:
    registry = manufacturer_tables([(5, "Serial numbers", _serials)])
    assert 2053 in registry
    assert 2053 not in STANDARD_TABLES
    assert registry.encode(2053, {"serial": 1, "kind": 2}, CONFIGURATION).hex() == "0100000002"
    assert registry[2053].name == "Serial numbers"
    assert registry[23] is STANDARD_TABLES[23]
    with pytest.raises(LocalProtocolError):
        STANDARD_TABLES.decode(2053, bytes(5), CONFIGURATION)
    with pytest.raises(LocalProtocolError):
        manufacturer_tables([(5, "Twice", _serials)], registry)
    with pytest.raises(LocalProtocolError):
        STANDARD_TABLES.with_tables([TableDefinition(4096, "Too far", _serials)])


def test_labels() -> None:
    assert table_label(23) == "ST23"
    assert table_label(2053) == "MT5"


def test_every_bit_of_a_procedure_identifier() -> None:
    values = STANDARD_TABLES.decode(8, bytes.fromhex("01fc 05 06 0708"), CONFIGURATION)
    assert values == {
        "procedure": {"number": 1025, "manufacturer": True, "selector": 15},
        "sequence": 5,
        "result": 6,
        "data": b"\x07\x08",
    }
