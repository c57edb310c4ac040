"""The rows of the TrustDER report's tables about partitions; charges in Ah."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.bal.errors import CurrentOutOfRangeError
from harness.bal.model.batteries import Batteries
from harness.bal.model.engine import LOOK_AGAIN_MS
from harness.bal.model.partition import REST
from harness.bal.model.values import Kind, Policy, Reading, Share
from tests.support.battery_model import AH, HOUR_MS, add, plate, read, told

THREE = [Share.percent("p1", 50), Share.percent("p2", 30), Share.percent("p3", 20)]


def charges(batteries: Batteries, *names: str) -> list[float]:
    return [batteries.status(name).current.charge_ma_ms / AH for name in names]


def split(policy: Policy, *, ah: int = 125) -> Batteries:
    """Return 100 Ah in a battery that was split 50/30/20."""
    batteries = Batteries()
    add(batteries, "a", ah=ah, discharge_a=100, charge_a=80, holds_ah=100)
    batteries.make_splitter(THREE, "a", policy)
    return batteries


@pytest.mark.parametrize(
    ("policy", "ah", "actual", "shown"),
    [
        (Policy.PROPORTIONAL, 1_000, 90, [45, 27, 18]),
        (Policy.TRANCHED, 1_000, 90, [50, 30, 10]),
        (Policy.RESERVED, 1_000, 90, [50, 30, 10]),
        (Policy.PROPORTIONAL, 1_000, 110, [55, 33, 22]),
        (Policy.TRANCHED, 1_000, 110, [60, 30, 20]),
        (Policy.RESERVED, 1_000, 110, [50, 30, 30]),
        (Policy.RESERVED, 125, 110, [50, 35, 25]),
        (Policy.TRANCHED, 1_000, 15, [15, 0, 0]),
        (Policy.RESERVED, 1_000, 15, [15, 0, 0]),
    ],
)
def test_partitions_show_what_the_source_holds_by_policy(
    policy: Policy, ah: int, actual: int, shown: list[float]
) -> None:
    batteries = split(policy, ah=ah)
    read(batteries, "a", actual, 1_000)
    assert charges(batteries, "p1", "p2", "p3") == shown
    expected = [batteries.status(one.name).expected.charge_ma_ms for one in THREE]
    assert expected == [50 * AH, 30 * AH, 20 * AH]
    batteries.settle("a", 1_000)
    settled = [batteries.status(one.name).expected.charge_ma_ms / AH for one in THREE]
    assert settled == shown


def test_charge_moves_between_partitions_and_the_source_does_the_sum() -> None:  # III.2.9
    batteries = Batteries()
    add(batteries, "a", ah=200, discharge_a=250, holds_ah=100)
    batteries.make_splitter([Share.percent("p1", 40), Share.percent("p2", 60)], "a")
    batteries.set_charge("p1", 40_000, 0)
    assert told(batteries.set_discharge("p2", 40_000, 0)) == {"a": 0}
    start = HOUR_MS
    assert told(batteries.set_current("p1", 0, start)) == {"a": 40_000}
    assert told(batteries.set_current("p2", 0, start)) == {"a": 0}
    read(batteries, "a", 100, start)
    assert charges(batteries, "p1", "p2") == [80, 20]
    assert batteries.status("p2").current.charged_ppm == 166_666

    batteries.set_discharge("p1", 40_000, start)
    assert told(batteries.set_charge("p2", 50_000, start)) == {"a": -10_000}
    read(batteries, "a", 110, start + HOUR_MS)
    assert charges(batteries, "p1", "p2", "a") == [40, 70, 110]
    assert batteries.due(start + 2 * HOUR_MS - 1) == []
    assert batteries.next_due_ms() == start + 2 * HOUR_MS
    assert told(batteries.due(start + 2 * HOUR_MS)) == {"a": 0}
    read(batteries, "a", 120, start + 2 * HOUR_MS)
    assert charges(batteries, "p1", "p2") == [0, 120]
    assert batteries.status("p1").current.max_discharge_ma == 0
    assert batteries.status("p2").current.max_charge_ma == 0


def test_limits_are_shared_out_and_orders_added_up() -> None:  # III.2.11
    batteries = Batteries()
    add(batteries, "a", ah=200, discharge_a=100, charge_a=80, holds_ah=100)
    batteries.make_splitter(THREE, "a")
    for name, charge_ma, discharge_ma, ah in (
        ("p1", 40_000, 50_000, 100),
        ("p2", 24_000, 30_000, 60),
        ("p3", 16_000, 20_000, 40),
    ):
        values = batteries.status(name).current
        assert (values.max_charge_ma, values.max_discharge_ma) == (charge_ma, discharge_ma)
        assert values.capacity_ma_ms == ah * AH
    batteries.set_discharge("p1", 20_000, 0)
    assert told(batteries.set_discharge("p2", 20_000, 0)) == {"a": 40_000}
    assert told(batteries.set_charge("p1", 20_000, 0)) == {"a": 0}
    read(batteries, "a", 100, HOUR_MS)
    assert charges(batteries, "p1", "p2", "p3") == [70, 10, 20]
    with pytest.raises(CurrentOutOfRangeError, match="p3"):
        batteries.set_discharge("p3", 20_001, HOUR_MS)


@pytest.mark.parametrize("policy", list(Policy))
def test_a_partition_that_is_empty_stops_while_others_go_on(policy: Policy) -> None:
    batteries = split(policy)
    batteries.set_discharge("p3", 20_000, 0)
    assert told(batteries.set_discharge("p1", 10_000, 0)) == {"a": 30_000}
    assert batteries.next_due_ms() == HOUR_MS
    assert told(batteries.due(HOUR_MS + 5)) == {"a": 10_000}
    (record,) = [one for one in batteries.flows(0, 2 * HOUR_MS) if one.name == "p3"]
    assert (record.discharged_ma_ms, record.closing_ma_ms) == (20 * AH, 0)


def test_what_is_not_shared_out_belongs_to_the_rest() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=100, discharge_a=100)
    batteries.make_splitter([Share.percent("p1", 25)], "a", Policy.RESERVED)
    read(batteries, "a", 40, 1_000)
    assert charges(batteries, "p1") == [25]
    records = {record.name: record for record in batteries.flows(0, 1_000)}
    assert records[REST].closing_ma_ms == 75 * AH


def test_a_removed_partition_leaves_its_charge_to_the_rest_and_its_records() -> None:
    batteries = split(Policy.PROPORTIONAL)
    batteries.set_discharge("p1", 10_000, 0)
    assert told(batteries.remove("p1", HOUR_MS)) == {"a": 0}
    records = {record.name: record for record in batteries.flows(0, 2 * HOUR_MS)}
    assert records["p1"].discharged_ma_ms == 10 * AH
    assert records["p1"].adjusted_ma_ms == -40 * AH
    assert records[REST].closing_ma_ms == 40 * AH
    batteries.remove("p2", HOUR_MS)
    batteries.remove("p3", HOUR_MS)
    assert told(batteries.set_discharge("a", 1_000, HOUR_MS)) == {"a": 1_000}


def test_accounts_open_with_the_first_complete_reading() -> None:
    fresh = Batteries()
    for name in ("a", "b"):
        fresh.make_battery(name, Kind.PHYSICAL, "", plate(100, 80, 100))
    fresh.make_aggregator("c", ["a", "b"])
    fresh.make_splitter(THREE, "c")
    read(fresh, "a", 60, 1_000)
    assert fresh.flows(0, 9_000) == []
    assert fresh.status("p1").current.max_discharge_ma == 0
    read(fresh, "b", 40, 2_000)
    assert charges(fresh, "p1", "p2", "p3") == [50, 30, 20]
    assert fresh.status("p1").oldest_ms == 1_000
    assert fresh.status("p1").newest_ms == 2_000


def test_a_snapshot_holds_charge_against_accounts_of_the_same_moment() -> None:
    batteries = split(Policy.PROPORTIONAL)
    batteries.set_discharge("p1", 40_000, 0)
    read(batteries, "a", 80, HOUR_MS // 2)
    batteries.due(HOUR_MS)
    # The accounts have moved on for half an hour, the charge was read half an hour ago.
    assert charges(batteries, "p1", "p2", "p3") == [30, 30, 20]


def test_energy_is_metered_at_the_voltage_of_the_readings() -> None:
    batteries = split(Policy.PROPORTIONAL)
    batteries.set_discharge("p1", 10_000, 0)
    values = batteries.status("a").current
    higher = replace(values, voltage_mv=50_000, charge_ma_ms=90 * AH)
    batteries.source_read("a", Reading.at(HOUR_MS, higher), HOUR_MS)
    batteries.due(2 * HOUR_MS)
    before, after = HOUR_MS + LOOK_AGAIN_MS, 2 * HOUR_MS + LOOK_AGAIN_MS
    assert batteries.flows(0, HOUR_MS)[0].discharged_mwh == 480_000
    assert batteries.flows(before, after)[0].discharged_mwh == 500_000
