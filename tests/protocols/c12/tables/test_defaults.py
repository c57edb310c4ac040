"""The emulated meters' own configuration hangs together."""

from __future__ import annotations

import pytest

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
from protocols.c12.tables.dimensions import IntervalFormat
from protocols.c12.tables.interval_blocks import block_layout
from protocols.c12.tables.procedures import PROCEDURES
from protocols.c12.tables.registry import STANDARD_TABLES, encode_dimensions, read_dimensions


def test_every_table_that_a_meter_has_is_declared() -> None:
    dimensions = meter_dimensions()
    for number in CONFIGURATION.standard_tables_used:
        STANDARD_TABLES.codec(number, CONFIGURATION, dimensions)
    assert CONFIGURATION.standard_tables_writable <= CONFIGURATION.standard_tables_used
    assert CONFIGURATION.standard_procedures_used <= set(PROCEDURES)


def test_the_tables_say_so_themselves() -> None:
    read = Configuration.decode(CONFIGURATION.encode())
    tables = encode_dimensions(meter_dimensions(), CONFIGURATION)
    assert read_dimensions(tables, read) == meter_dimensions()


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_a_channel_for_each_register(channels: int) -> None:
    dimensions = meter_dimensions(channels)
    layout = block_layout(CONFIGURATION, dimensions)
    assert layout.channels == channels
    assert dimensions.registers is not None
    assert dimensions.registers.summations == channels
    control = dimensions.load_profile_controls[0]
    assert control is not None
    assert control.interval_format is IntervalFormat.UINT32
