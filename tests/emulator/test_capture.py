"""Capture profiles: names, OBIS codes and units."""

from __future__ import annotations

from emulator.capture import CAPTURE_PROFILES, LOAD, LOAD_AND_POWER_QUALITY, capture_profile
from tests.support.grids import small_grid


def test_the_load_profile_carries_energy_in_and_out() -> None:
    assert LOAD.names == ("import_wh", "import_rate1_wh", "import_rate2_wh", "export_wh")
    assert [register.logical_name_octets.hex() for register in LOAD.registers] == [
        "0100010800ff",
        "0100010801ff",
        "0100010802ff",
        "0100020800ff",
    ]
    assert {register.unit for register in LOAD.registers} == {30}


def test_power_quality_comes_after_the_energy() -> None:
    assert LOAD_AND_POWER_QUALITY.registers[:4] == LOAD.registers
    assert LOAD_AND_POWER_QUALITY.names[4:] == (
        "voltage_mv_l1",
        "voltage_mv_l2",
        "voltage_mv_l3",
        "frequency_mhz",
    )
    assert LOAD_AND_POWER_QUALITY.registers[4].logical_name_octets.hex() == "0100200700ff"


def test_the_scenario_decides_the_profile() -> None:
    assert capture_profile(small_grid()) is LOAD
    assert capture_profile(small_grid(power_quality=True)) is LOAD_AND_POWER_QUALITY
    assert {number: profile.number for number, profile in CAPTURE_PROFILES.items()} == {1: 1, 2: 2}
