"""What virtual batteries are for (TrustDER report, Task 7), on the model alone."""

from __future__ import annotations

import pytest

from harness.bal.errors import CurrentOutOfRangeError
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Policy, Share
from tests.support.battery_model import AH, HOUR_MS, add, read, told


def association() -> Batteries:
    """Return two batteries of an association, shared by two homes; north adds one of its own."""
    batteries = Batteries()
    add(batteries, "pool", ah=110, discharge_a=60, holds_ah=88)
    add(batteries, "garage", ah=40, discharge_a=40, holds_ah=32)
    add(batteries, "own", ah=10, discharge_a=10, holds_ah=10)
    batteries.make_aggregator("association", ["pool", "garage"])
    shares = [Share.percent("north share", 75), Share.percent("south", 25)]
    batteries.make_splitter(shares, "association")
    batteries.make_aggregator("north", ["north share", "own"])
    return batteries


def test_homes_use_their_shares_without_knowing_of_each_other() -> None:
    batteries = association()
    north = batteries.status("north")
    assert (north.current.charge_ma_ms, north.current.capacity_ma_ms) == (100 * AH, 122.5 * AH)
    # 90 of 100 Ah are in the share: nine tenths come from there, and 88 of 120 of them from pool.
    orders = told(batteries.set_discharge("north", 10_000, 0))
    assert orders == {"pool": 6_600, "garage": 2_400, "own": 1_000}
    assert told(batteries.set_charge("south", 1_000, 0)) == {"pool": 5_867, "garage": 2_133}
    records = {record.name: record for record in batteries.flows(0, HOUR_MS)}
    assert records["north share"].discharged_ma_ms == 9 * AH
    assert records["south"].charged_ma_ms == AH


def test_a_home_is_not_touched_by_what_its_neighbour_uses_up() -> None:
    batteries = association()
    batteries.set_discharge("north", 50_000, 0)
    read(batteries, "own", 5, HOUR_MS // 2)
    batteries.due(10 * HOUR_MS)
    assert batteries.status("north share").current.max_discharge_ma == 0
    records = {record.name: record for record in batteries.flows(0, 10 * HOUR_MS)}
    assert records["north share"].closing_ma_ms < MILLISECOND_AT_LIMIT
    assert records["south"].closing_ma_ms == 30 * AH


MILLISECOND_AT_LIMIT = 70_000
"""What a partition may keep when it is empty: a millisecond at its greatest current."""


def test_islanded_critical_loads_keep_theirs_when_half_of_the_battery_is_lost() -> None:
    batteries = Batteries()
    for name in ("a", "b"):
        add(batteries, name, ah=100, discharge_a=50, holds_ah=80)
    batteries.make_aggregator("island", ["a", "b"])
    shares = [Share.percent("critical", 50), Share.percent("normal", 30), Share.percent("pool", 20)]
    batteries.make_splitter(shares, "island", Policy.RESERVED)
    batteries.set_discharge("critical", 40_000, 0)
    batteries.set_discharge("normal", 20_000, 0)
    batteries.set_discharge("pool", 20_000, 0)
    batteries.source_lost("b", 60_000)
    # The loads at the bottom are shed, the one at the top does not notice.
    assert batteries.due(60_000) == []
    assert batteries.status("a").expected.current_ma == 40_000
    currents = [batteries.status(share.name).current.current_ma for share in shares]
    assert currents == [40_000, 0, 0]
    read(batteries, "b", 79, 120_000)
    batteries.due(120_000)
    currents = [batteries.status(share.name).current.current_ma for share in shares]
    # The two are out of balance by one part in eighty; the bottom bears that as well.
    assert currents == [40_000, 20_000, 19_375]


def test_a_transformer_is_spared_by_a_battery_that_gives_at_the_peak_and_charges_after() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=50, discharge_a=25, holds_ah=40)
    add(batteries, "b", ah=50, discharge_a=25, holds_ah=40)
    batteries.make_aggregator("feeder", ["a", "b"])
    batteries.schedule("feeder", 40_000, 18 * HOUR_MS, 20 * HOUR_MS, 0)
    batteries.schedule("feeder", -10_000, 20 * HOUR_MS, 23 * HOUR_MS, 0)
    assert told(batteries.due(18 * HOUR_MS)) == {"a": 20_000, "b": 20_000}
    for name in ("a", "b"):
        read(batteries, name, 0, 20 * HOUR_MS)
    assert told(batteries.due(20 * HOUR_MS)) == {"a": -5_000, "b": -5_000}
    assert told(batteries.due(23 * HOUR_MS)) == {"a": 0, "b": 0}
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_discharge("feeder", 1, 23 * HOUR_MS)
