"""Topologies made to be expensive."""

from __future__ import annotations

import pytest

from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Kind, Nameplate, Reading, Share, Values

AH = 3_600_000_000
PLATE = Nameplate.of(
    voltage_mv=50_000, max_charge_ma=50_000, max_discharge_ma=50_000, capacity_mah=100_000
)


def read(batteries: Batteries, at_ms: int, charge_ah: int) -> None:
    values = Values(50_000, 0, 50_000, 50_000, charge_ah * AH, 100 * AH)
    batteries.source_read("A", Reading.at(at_ms, values), at_ms)


@pytest.mark.parametrize("parts", [2, 10])
def test_partitions_that_meet_again_level_after_level_cost_what_their_number_is(
    parts: int,
) -> None:
    """There are ``parts ** 16`` ways from the source to the top, and 176 batteries at most."""
    batteries = Batteries()
    batteries.make_battery("A", Kind.PHYSICAL, "", PLATE)
    read(batteries, 0, 50)
    top = "A"
    for level in range(16):
        names = [f"{level}/{part}" for part in range(parts)]
        batteries.make_splitter([Share(name, 1_000_000 // parts) for name in names], top)
        top = f"level {level}"
        batteries.make_aggregator(top, names)
    batteries.set_current(top, 10_000, 1)
    read(batteries, 2, 0)
    assert [order.current_ma for order in batteries.due(3)] == [0]
    batteries.source_lost("A", 4)
    batteries.due(5)
    read(batteries, 6, 50)
    assert [order.current_ma for order in batteries.due(7)] == [10_000]
