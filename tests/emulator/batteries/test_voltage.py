"""Voltages by state of charge."""

from __future__ import annotations

import pytest

from emulator.batteries.voltage import CURVE, loaded_cell_mv, resting_cell_mv


def test_the_curve_passes_through_its_points_and_rises_between_them() -> None:
    assert [resting_cell_mv(charge_ppm) for charge_ppm, _ in CURVE] == [mv for _, mv in CURVE]
    curve = [resting_cell_mv(charge_ppm) for charge_ppm in range(0, 1_000_001, 1_000)]
    assert curve == sorted(curve)


def test_between_two_points_it_is_straight() -> None:
    # A quarter of the way from 3,000 mV at 5 % to 3,200 mV at 10 %.
    assert resting_cell_mv(62_500) == 3_050


@pytest.mark.parametrize("charge_ppm", [-1, 1_000_001])
def test_there_is_no_charge_beyond_full_or_empty(charge_ppm: int) -> None:
    with pytest.raises(ValueError, match="state of charge"):
        resting_cell_mv(charge_ppm)


def test_discharging_pulls_the_voltage_down_and_charging_lifts_it() -> None:
    # 50 A over one milliohm are 50 mV.
    assert loaded_cell_mv(3_290, 50_000, 1_000) == 3_240
    assert loaded_cell_mv(3_290, -50_000, 1_000) == 3_340
    assert loaded_cell_mv(3_290, 10_000_000, 1_000) == 0
