"""The rows of the TrustDER report's tables about aggregates; charges in Ah, currents in mA."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bal.errors import CurrentOutOfRangeError
from harness.bal.model.aggregate import joint_limit
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Reading
from tests.support.battery_model import AH, HOUR_MS, add, read, told


def two(a_holds: float = 110, b_holds: float = 40) -> Batteries:
    batteries = Batteries()
    add(batteries, "a", ah=110, discharge_a=60, holds_ah=a_holds)
    add(batteries, "b", ah=40, discharge_a=40, holds_ah=b_holds)
    batteries.make_aggregator("c", ["a", "b"])
    return batteries


def test_two_full_batteries_give_what_the_least_c_rate_allows() -> None:  # III.2.3
    values = two().status("c").current
    assert values.max_discharge_ma == 81_818
    assert values.capacity_ma_ms == values.charge_ma_ms == 150 * AH
    c_rate = Fraction(values.max_discharge_ma * HOUR_MS, values.capacity_ma_ms)
    assert float(c_rate) == pytest.approx(0.54545, abs=1e-5)
    assert values.charge_ma_ms // values.max_discharge_ma // 60_000 == 110


@pytest.mark.parametrize(
    ("current_ma", "a_ma", "b_ma"), [(30_000, 22_000, 8_000), (50_000, 36_667, 13_333)]
)
def test_a_discharge_is_divided_by_charge(current_ma: int, a_ma: int, b_ma: int) -> None:
    assert told(two().set_discharge("c", current_ma, 0)) == {"a": a_ma, "b": b_ma}  # III.2.10


def test_more_than_the_least_c_rate_allows_is_refused() -> None:
    batteries = two()
    with pytest.raises(CurrentOutOfRangeError, match=r'"c": 82000 mA .* to 81818 mA'):
        batteries.set_discharge("c", 82_000, 0)
    assert told(batteries.set_discharge("c", 81_818, 0)) == {"a": 60_000, "b": 21_818}


@pytest.mark.parametrize(
    ("a_holds", "limit_ma", "charged_ppm"), [(10, 50_000, 333_333), (9.9, 49_900, 332_666)]
)
def test_an_unbalanced_pair_gives_a_variable_current(
    a_holds: float, limit_ma: int, charged_ppm: int
) -> None:  # III.2.4
    status = two(a_holds).status("c")
    assert status.current.max_discharge_ma == limit_ma
    assert status.current.charged_ppm == charged_ppm
    assert status.expected.max_discharge_ma == 81_818


def test_the_variable_charge_that_the_report_compares_with() -> None:  # III.2.5
    a_ma = 81 * 1_000 - 40_000
    lasts_ms = 10 * AH // a_ma
    charge = 10 * AH + 40_000 * lasts_ms
    assert lasts_ms / 60_000 == pytest.approx(14.63, abs=0.005)
    assert charge / AH == pytest.approx(19.756, abs=0.0005)
    assert 100 * charge / (150 * AH) == pytest.approx(13.17, abs=0.005)


def test_an_empty_source_holds_up_nobody() -> None:
    batteries = two(a_holds=0, b_holds=20)
    assert batteries.status("c").current.max_discharge_ma == 40_000
    assert told(batteries.set_discharge("c", 40_000, 0)) == {"b": 40_000}
    assert told(batteries.set_charge("c", 20_000, 0)) == {"a": -16_923, "b": -3_077}


def test_empty_sources_give_nothing() -> None:
    batteries = two(0, 0)
    assert batteries.status("c").current.max_discharge_ma == 0
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_discharge("c", 1, 0)
    assert batteries.set_discharge("c", 0, 0) == []


def test_a_full_aggregate_takes_nothing() -> None:
    batteries = two()
    assert batteries.status("c").current.max_charge_ma == 0
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_charge("c", 1, 0)


def test_an_order_that_stays_is_divided_anew_only_when_a_source_cannot_do_its_part() -> None:
    batteries = two()
    batteries.set_discharge("c", 30_000, 0)
    read(batteries, "a", 100, HOUR_MS)
    assert batteries.due(HOUR_MS + 1_000) == []
    read(batteries, "a", 0, 2 * HOUR_MS)
    assert told(batteries.due(2 * HOUR_MS)) == {"a": 0, "b": 30_000}


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**13)), max_size=6))
def test_the_limit_is_the_greatest_that_passes_no_source_s(able: list[tuple[int, int]]) -> None:
    limits, contents = [limit for limit, _ in able], [held for _, held in able]
    joint = joint_limit(limits, contents)
    used = [(limit, held) for limit, held in able if limit and held]
    whole = sum(held for _, held in used)

    def passes(current: int) -> bool:
        return all(Fraction(current * held, whole) <= limit for limit, held in used)

    assert joint == 0 if not used else passes(joint) and not passes(joint + 1)


def test_an_order_is_divided_anew_where_a_part_of_it_has_become_too_much() -> None:
    batteries = two(55, 20)
    assert told(batteries.set_discharge("c", 15_000, 0)) == {"a": 11_000, "b": 4_000}
    values = batteries.status("a").current
    weaker = replace(values, charge_ma_ms=5 * AH, max_discharge_ma=10_000)
    batteries.source_read("a", Reading.at(1_000, weaker), 1_000)
    # All of it can still be done, but no longer in the parts of before.
    assert batteries.status("c").current.max_discharge_ma == 50_000
    assert told(batteries.due(1_000)) == {"a": 3_000, "b": 12_000}
