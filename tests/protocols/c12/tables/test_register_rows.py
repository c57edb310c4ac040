"""ST23 of many meters: construct's own reading is the judge."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
from protocols.c12.tables.dimensions import Dimensions, Registers
from protocols.c12.tables.formats import ByteOrder, NumberFormat
from protocols.c12.tables.register_rows import register_layout
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import CodecError, LocalProtocolError


@pytest.mark.parametrize(("order", "ni"), list(product(ByteOrder, NumberFormat)))
@pytest.mark.parametrize("tiers", [0, 2])
def test_rows_are_tables(order: ByteOrder, ni: NumberFormat, tiers: int) -> None:
    configuration = replace(CONFIGURATION, byte_order=order, number_format_1=ni)
    dimensions = meter_dimensions(3, tiers=tiers)
    layout = register_layout(configuration, dimensions)
    values = np.random.default_rng(1).integers(0, 99_999, (5, 1 + tiers, 3))
    octets = layout.encode(values, np.arange(5))
    assert (layout.decode(octets) == values).all()
    for meter, row in enumerate(octets):
        parsed = STANDARD_TABLES.decode(23, row.tobytes(), configuration, dimensions)
        blocks = [parsed["total"], *parsed["tiers"]]
        assert [block["summations"] for block in blocks] == values[meter].tolist()
        assert parsed["demand_resets"] == meter


def test_demands_are_read_over_but_not_written() -> None:
    registers = Registers(summations=1, demands=1, occurrences=2, coincident_values=1, tiers=1)
    dimensions = Dimensions(registers=registers)
    layout = register_layout(CONFIGURATION, dimensions)
    demand = {"values": [7, 8]}
    block = {"summations": [5], "demands": [demand], "coincident_values": [demand]}
    tier = {**block, "summations": [6]}
    octets = STANDARD_TABLES.encode(
        23, {"total": block, "tiers": [tier]}, CONFIGURATION, dimensions
    )
    found = layout.decode(np.frombuffer(octets, np.uint8)[None])
    assert found.tolist() == [[[5], [6]]]
    with pytest.raises(LocalProtocolError):
        layout.encode(found)


def test_what_does_not_fit() -> None:
    layout = register_layout(CONFIGURATION, meter_dimensions(1, tiers=0))
    with pytest.raises(CodecError):
        layout.encode(np.array([[[1 << 47]]]))
    decimals = replace(CONFIGURATION, number_format_1=NumberFormat.INT32_FOUR_DECIMALS)
    with pytest.raises(CodecError):  # times ten thousand, it would wrap round to a small number
        register_layout(decimals, meter_dimensions(1, tiers=0)).encode(np.array([[[1 << 60]]]))
    with pytest.raises(CodecError):
        layout.decode(np.zeros((2, layout.size - 1), np.uint8))
    with pytest.raises(LocalProtocolError):
        register_layout(CONFIGURATION, Dimensions(registers=Registers()))
