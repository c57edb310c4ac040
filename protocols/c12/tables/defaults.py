"""A usual configuration of tables, which `protocols.c12.meter` builds upon (with INT64 registers).

Little endian, because that is what public readers default to; ISO 7-bit texts; NI_FMAT1 is INT48 in
whole watt-hours (a 32-bit register never overflows it, and it stays exact), NI_FMAT2 INT32;
TM_FORMAT 4, seconds since 1970, which carries seconds in STIME_DATE too and which termineter
decodes; reads by offset and by index; identifiers as text, as the meters' names are. Interval data
is UINT32: a 15-minute delta of any 32-bit register fits.

Standard tables are those of `protocols.c12.tables.registry` that a residential meter has. Tables
numbered 7 modulo 8 never show in termineter's used list; that is a limit of termineter's.
"""

from __future__ import annotations

from typing import Final

from protocols.c12.tables.configuration import Configuration, NameplateType
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
from protocols.c12.tables.formats.field import ByteOrder
from protocols.c12.tables.formats.numbers import NumberFormat
from protocols.c12.tables.formats.text import CharacterFormat
from protocols.c12.tables.formats.times import TimeFormat

DEVICE_CLASS: Final = b"MST0"
"""DEVICE_CLASS of the emulated meters: four octets that no registered class uses."""

TABLES: Final = frozenset(
    {0, 1, 3, 5, 6, 7, 8, 11, 12, 15, 16, 21, 22, 23, 25, 28, 51, 52, 55}
    | {61, 62, 63, 64, 71, 72, 73, 74, 75, 76}
)
WRITABLE_TABLES: Final = frozenset({5, 6, 7, 73, 75})
PROCEDURES: Final = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17})

CONFIGURATION: Final = Configuration(
    byte_order=ByteOrder.LITTLE,
    character_format=CharacterFormat.ISO_7_BIT,
    time_format=TimeFormat.SECONDS_SINCE_1970,
    number_format_1=NumberFormat.INT48,
    number_format_2=NumberFormat.INT32,
    device_class=DEVICE_CLASS,
    nameplate_type=NameplateType.ELECTRICITY,
    max_procedure_parameter_length=64,
    max_response_data_length=64,
    standard_version=2,
    manufacturer_status_size=1,
    standard_tables_used=TABLES,
    standard_procedures_used=PROCEDURES,
    standard_tables_writable=WRITABLE_TABLES,
)
"""ST0 of an emulated meter."""


def meter_dimensions(
    channels: int = 4,
    *,
    interval_min: int = 15,
    blocks: int = 8,
    intervals: int = 24,
    tiers: int = 2,
    history_entries: int = 32,
    event_entries: int = 32,
) -> Dimensions:
    """Return the dimensions of an emulated meter.

    ``channels`` are the registers of its capture profile, each a source of its own, summation
    register and load profile channel; ``tiers`` the tariff rates; ``blocks`` of ``intervals`` each
    the load profile keeps (two days by default). The event sets have room for codes 0 to 79.
    """
    return Dimensions(
        sources=Sources(units=channels, sources=channels),
        registers=Registers(
            date_time=True,
            demand_reset_counter=True,
            summations=channels,
            tiers=tiers,
            present_values=channels,
        ),
        time_of_use=TimeOfUse(),
        load_profile=LoadProfile(
            block_end_read=True,
            extended_status=True,
            formats=frozenset({IntervalFormat.UINT32}),
            sets=(LoadProfileSet(blocks, intervals, channels, interval_min), None, None, None),
        ),
        load_profile_controls=(
            LoadProfileControl(
                tuple(ChannelSource(index, True, index) for index in range(channels)),
                IntervalFormat.UINT32,
            ),
            None,
            None,
            None,
        ),
        log=Log(
            history_date_time=True,
            history_sequence=True,
            standard_event_octets=10,
            history_argument_size=2,
            event_argument_size=2,
            history_entries=history_entries,
            event_entries=event_entries,
        ),
    )
