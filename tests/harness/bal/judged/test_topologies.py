"""Topologies made to be expensive, and readings that say there is nothing."""

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


def test_a_settlement_leaves_no_account_below_nothing() -> None:
    batteries = Batteries()
    batteries.make_battery("A", Kind.PHYSICAL, "", PLATE)
    read(batteries, 0, 50)
    batteries.make_splitter([Share.percent("p", 60), Share.percent("q", 40)], "A")
    batteries.set_discharge("p", 10_000, 0)
    # It was empty at 1,000 ms, and we hear of it a second later: that second was booked.
    empty = Values(50_000, 0, 50_000, 50_000, 0, 100 * AH)
    batteries.source_read("A", Reading.at(1_000, empty), 2_000)
    batteries.settle("A", 2_000)
    batteries.due(2_000)
    for name in ("p", "q"):
        status = batteries.status(name)
        assert status.current.charge_ma_ms == 0
        assert status.expected.charge_ma_ms >= 0
    for flow in batteries.flows(0, 3_000):
        assert flow.closing_ma_ms >= 0
        moved = flow.charged_ma_ms - flow.discharged_ma_ms + flow.adjusted_ma_ms
        assert flow.opening_ma_ms + moved == flow.closing_ma_ms
    # A reading that is newer than the last flow sets all right.
    batteries.source_read("A", Reading.at(3_000, empty), 3_000)
    batteries.settle("A", 3_000)
    assert [flow.closing_ma_ms for flow in batteries.flows(0, 4_000)] == [0, 0, 0]
