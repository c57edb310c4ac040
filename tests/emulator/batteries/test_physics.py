"""The closed form against a battery that is stepped millisecond by millisecond."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.batteries.physics import Course, Ratings, snapshot

AH = 3_600_000_000
"""mA ms."""
HOUR_MS = 3_600_000
BUILT = Ratings(110 * AH, charge_ma_max=60_000, discharge_ma_max=60_000)


def ratings(capacity: int = 110 * AH, **changes: Any) -> Ratings:
    return replace(BUILT, capacity_ma_ms=capacity, **changes)


def stepped(built: Ratings, course: Course, elapsed_ms: int) -> Fraction:
    """Return the charge after so many single milliseconds, without any rounding."""
    charge = Fraction(course.charge_ma_ms)
    share = Fraction(built.efficiency_ppm, 1_000_000) if course.current_ma < 0 else Fraction(1)
    for _ in range(elapsed_ms):
        charge -= course.current_ma * share
        charge = min(Fraction(built.capacity_ma_ms), max(Fraction(0), charge))
    return charge


@given(
    capacity=st.integers(1, 5_000),
    charge_share=st.integers(0, 1_000),
    current_ma=st.integers(-300, 300),
    efficiency_ppm=st.integers(1, 1_000_000),
    elapsed_ms=st.integers(0, 60),
)
def test_the_closed_form_is_what_stepping_gives(
    capacity: int, charge_share: int, current_ma: int, efficiency_ppm: int, elapsed_ms: int
) -> None:
    built = ratings(capacity, efficiency_ppm=efficiency_ppm)
    course = Course(1_000, capacity * charge_share // 1_000, current_ma)
    charge = course.charge_at(built, 1_000 + elapsed_ms)
    exact = stepped(built, course, elapsed_ms)
    assert exact - 1 < charge <= exact
    assert 0 <= charge <= capacity


@pytest.mark.parametrize(
    ("first_ah", "current_ma", "hours", "ah"),
    [
        pytest.param(80, 40_000, 1, 40, id="half of it taken"),
        pytest.param(80, 40_000, 2, 0, id="empty to the milliampere-second"),
        pytest.param(80, 40_000, 9, 0, id="and no further"),
        pytest.param(20, -50_000, 1, 70, id="charged"),
        pytest.param(20, -50_000, 9, 110, id="full and no further"),
    ],
)
def test_charge_by_the_hour(first_ah: int, current_ma: int, hours: int, ah: int) -> None:
    course = Course(0, first_ah * AH, current_ma)
    assert course.charge_at(ratings(), hours * HOUR_MS) == ah * AH


def test_what_is_lost_is_lost_while_charging_only() -> None:
    built = ratings(efficiency_ppm=950_000)
    assert Course(0, 0, -40_000).charge_at(built, HOUR_MS) == 38 * AH
    assert Course(0, 80 * AH, 40_000).charge_at(built, HOUR_MS) == 40 * AH


def test_current_stops_when_there_is_nothing_to_take_or_no_room() -> None:
    built = ratings()
    emptied = Course(0, 40 * AH, 40_000)
    assert emptied.current_at(built, HOUR_MS - 1) == 40_000
    assert emptied.current_at(built, HOUR_MS) == 0
    filled = Course(0, 70 * AH, -40_000)
    assert filled.current_at(built, HOUR_MS - 1) == -40_000
    assert filled.current_at(built, HOUR_MS) == 0
    assert Course(0, 110 * AH, 40_000).current_at(built, 0) == 40_000
    assert Course(0, 0, -40_000).current_at(built, 0) == -40_000


def test_a_time_before_the_course_is_refused() -> None:
    with pytest.raises(ValueError, match="before 10 ms"):
        Course(10, 0).charge_at(ratings(), 9)


def test_a_snapshot_is_one_moment() -> None:
    built = ratings(cells=16)
    now = snapshot(built, Course(0, 84 * AH, 40_000), HOUR_MS)
    # 44 of 110 Ah are 40 %: 3,290 mV at rest, less 40 mV.
    assert (now.at_ms, now.charge_ma_ms, now.current_ma) == (HOUR_MS, 44 * AH, 40_000)
    assert (now.cell_mv, now.voltage_mv, now.charge_ppm) == (3_250, 52_000, 400_000)
    assert now.power_mw == 2_080_000
    assert (now.charge_ma_max, now.discharge_ma_max) == (60_000, 60_000)


def test_what_could_flow_is_nothing_at_the_ends() -> None:
    empty, full = (snapshot(ratings(), Course(0, ah * AH), 0) for ah in (0, 110))
    assert (empty.charge_ma_max, empty.discharge_ma_max) == (60_000, 0)
    assert (full.charge_ma_max, full.discharge_ma_max) == (0, 60_000)


def test_a_constant_voltage_knows_no_charge_but_drops_all_the_same() -> None:
    built = ratings(constant_voltage=True)
    for ah in (0, 55, 110):
        assert snapshot(built, Course(0, ah * AH), 0).cell_mv == 3_200
    assert snapshot(built, Course(0, 55 * AH, 40_000), 0).cell_mv == 3_160


def test_ratings() -> None:
    built = ratings()
    assert [built.allows(ma) for ma in (-60_001, -60_000, 60_000, 60_001)] == [0, 1, 1, 0]
    assert (built.capacity_mah, built.nominal_mv) == (110_000, 51_200)
