from __future__ import annotations

from dataclasses import replace

import pytest

from harness.bal.errors import CurrentOutOfRangeError, TimeOrderError
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Kind, Reading, Share, Values
from tests.support.battery_model import AH, HOUR_MS, add, plate, read, told


def two() -> Batteries:
    batteries = Batteries()
    add(batteries, "a", ah=110, discharge_a=60, holds_ah=55)
    add(batteries, "b", ah=40, discharge_a=40, holds_ah=20)
    batteries.make_aggregator("c", ["a", "b"])
    return batteries


def test_a_source_out_of_reach_lowers_what_is_there_and_leaves_what_is_expected() -> None:
    batteries = two()
    before = batteries.status("c")
    batteries.source_lost("b", 1_000)
    after = batteries.status("c")
    assert after.expected == before.expected
    assert (after.current.max_discharge_ma, after.current.capacity_ma_ms) == (60_000, 110 * AH)
    assert after.current.charge_ma_ms == 55 * AH
    assert (after.sources, after.sources_online, after.complete) == (2, 1, False)


def test_the_others_take_over_until_a_lost_source_returns_and_is_told_again() -> None:
    batteries = two()
    assert told(batteries.set_discharge("c", 15_000, 0)) == {"a": 11_000, "b": 4_000}
    batteries.source_lost("b", 1_000)
    assert batteries.next_due_ms() == 1_000
    assert told(batteries.due(1_000)) == {"a": 15_000}
    read(batteries, "b", 20, 2_000, current_ma=4_000)
    assert told(batteries.due(2_000)) == {"a": 11_000, "b": 4_000}


def test_an_order_that_nobody_took_is_void_when_its_source_is_lost() -> None:
    batteries = two()
    batteries.schedule("c", 15_000, 1_000, 9_000, 0)
    read(batteries, "a", 55, 1_500)
    assert batteries.next_due_ms() == 1_500
    batteries.source_lost("b", 1_600)
    assert told(batteries.due(1_600)) == {"a": 15_000}


def test_a_set_point_that_cannot_be_held_is_cut_and_taken_up_again() -> None:
    batteries = two()
    batteries.set_discharge("c", 80_000, 0)
    batteries.source_lost("b", 1_000)
    assert told(batteries.due(1_000)) == {"a": 60_000}
    assert batteries.status("c").expected.current_ma == 60_000
    read(batteries, "b", 20, 2_000)
    assert told(batteries.due(2_000)) == {"a": 58_667, "b": 21_333}


def test_all_sources_lost_stop_what_flows_between_partitions() -> None:
    batteries = two()
    batteries.make_splitter([Share.percent("p", 50), Share.percent("q", 50)], "c")
    batteries.set_charge("p", 5_000, 0)
    batteries.set_discharge("q", 5_000, 0)
    batteries.source_lost("a", HOUR_MS)
    batteries.source_lost("b", HOUR_MS)
    assert batteries.due(HOUR_MS) == []
    p, q, _ = batteries.flows(0, 5 * HOUR_MS)
    assert (p.charged_ma_ms, q.discharged_ma_ms) == (5 * AH, 5 * AH)
    assert not batteries.status("p").online


def test_a_snapshot_says_when_its_sources_were_read() -> None:
    batteries = two()
    read(batteries, "a", 50, 7_000)
    read(batteries, "b", 10, 9_000)
    status = batteries.status("c")
    assert (status.oldest_ms, status.newest_ms) == (7_000, 9_000)
    assert status.current.charge_ma_ms == 60 * AH
    batteries.source_lost("a", 9_500)
    assert (batteries.status("c").oldest_ms, batteries.status("c").newest_ms) == (9_000, 9_000)


def test_an_older_reading_does_not_take_the_place_of_a_newer_one() -> None:
    batteries = two()
    read(batteries, "a", 50, 7_000)
    values = batteries.status("a").current
    older = replace(values, charge_ma_ms=1)
    batteries.source_read("a", Reading.at(6_000, older), 7_000)
    assert batteries.status("a").current == values


def test_a_networked_battery_says_itself_what_is_expected_of_it() -> None:
    batteries = Batteries()
    batteries.make_battery("n", Kind.NETWORKED, "v1:far", plate(100, 50, 50))
    there = Values(48_000, 0, 20_000, 20_000, 30 * AH, 60 * AH)
    well = Values(48_000, 0, 50_000, 50_000, 60 * AH, 100 * AH)
    batteries.source_read("n", Reading(there, 100, 400, expected=well), 500)
    status = batteries.status("n")
    assert (status.expected, status.current) == (well, there)
    assert (status.oldest_ms, status.newest_ms) == (100, 400)
    assert told(batteries.set_discharge("n", 20_000, 600)) == {"n": 20_000}


def test_no_current_beyond_the_nameplate_whatever_a_battery_says() -> None:
    batteries = Batteries()
    batteries.make_battery("a", Kind.PHYSICAL, "x", plate(100, 10, 20))
    boast = Values(48_000, 0, 99_000, 99_000, 50 * AH, 100 * AH)
    batteries.source_read("a", Reading.at(0, boast), 0)
    assert batteries.status("a").current.max_charge_ma == 10_000
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_discharge("a", 20_001, 0)


def test_a_battery_that_was_never_read_does_nothing_but_stop() -> None:
    batteries = Batteries()
    batteries.make_battery("a", Kind.PHYSICAL, "x", plate(100, 10, 20))
    assert not batteries.status("a").online
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_discharge("a", 1, 0)
    assert batteries.set_current("a", 0, 0) == []


def test_a_refused_current_names_battery_bounds_and_mend_and_changes_nothing() -> None:
    batteries = two()
    batteries.set_discharge("c", 30_000, 0)
    with pytest.raises(CurrentOutOfRangeError) as refusal:
        batteries.set_charge("c", 90_000, 0)
    assert str(refusal.value) == (
        'battery "c": -90000 mA is out of range; ask for -81818 (charge) to 81818 mA (discharge)'
    )
    assert batteries.due(10) == []
    assert batteries.status("c").expected.current_ma == 30_000


@pytest.mark.parametrize("magnitude", [-1, -30_000])
def test_a_negative_magnitude_is_refused(magnitude: int) -> None:
    with pytest.raises(CurrentOutOfRangeError):
        two().set_charge("c", magnitude, 0)


def test_time_moves_forward_only() -> None:
    batteries = two()
    batteries.set_discharge("c", 30_000, 5_000)
    with pytest.raises(TimeOrderError, match='"c": 4999 ms lies before 5000 ms'):
        batteries.set_discharge("c", 10_000, 4_999)
    read_ahead = Reading.at(6_001, batteries.status("a").current)
    with pytest.raises(TimeOrderError, match='"a": a reading of 6001 ms came at 6000 ms'):
        batteries.source_read("a", read_ahead, 6_000)


def test_what_became_due_counts_from_its_own_moment_however_late_it_is_taken() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=100, discharge_a=100)
    batteries.make_splitter([Share.percent("p", 10)], "a")
    batteries.schedule("p", 4_000, HOUR_MS, 2 * HOUR_MS, 0)
    assert told(batteries.due(10 * HOUR_MS)) == {"a": 0}
    (p, _) = batteries.flows(0, 10 * HOUR_MS)
    assert p.discharged_ma_ms == 4 * AH
    assert p.discharged_mwh == 4 * 48_000


def test_nothing_is_due_where_nothing_is_wanted() -> None:
    batteries = two()
    batteries.due(0)
    read(batteries, "a", 50, 1_000)
    assert batteries.next_due_ms() is None


def test_settling_waits_for_all_sources() -> None:
    batteries = two()
    batteries.make_splitter([Share.percent("p", 100)], "c")
    batteries.source_lost("b", 0)
    batteries.settle("c", 1)
    assert batteries.status("p").expected.charge_ma_ms == 75 * AH
    read(batteries, "b", 10, 2)
    batteries.settle("c", 3)
    batteries.settle("c", 4)
    assert batteries.status("p").expected.charge_ma_ms == 65 * AH
    (p, _) = batteries.flows(0, 5)
    assert (p.adjusted_ma_ms, p.charged_ma_ms, p.discharged_ma_ms) == (-10 * AH, 0, 0)
