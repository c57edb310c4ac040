"""The battery generator."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from emulator.batteries.grid import BatteryGrid, battery_name, generate_batteries
from emulator.batteries.parameters import BatteryParameters

SEED = 11


def drawn(seed: int = SEED, **changes: object) -> BatteryGrid:
    return generate_batteries(BatteryParameters.model_validate({"count": 1_000, **changes}), seed)


def arrays(grid: BatteryGrid) -> dict[str, list[int]]:
    values = {field.name: getattr(grid, field.name) for field in fields(grid)}
    return {name: value.tolist() for name, value in values.items() if isinstance(value, np.ndarray)}


def test_one_seed_gives_one_grid_and_another_seed_another() -> None:
    assert arrays(drawn()) == arrays(drawn())
    other = arrays(drawn(SEED + 1))
    assert all(values != other[name] for name, values in arrays(drawn()).items())


def test_shares_are_met_exactly() -> None:
    grid = drawn()
    interfaces = [grid.interface(number) for number in range(grid.batteries)]
    assert (interfaces.count("sunspec"), interfaces.count("jbd")) == (600, 400)
    assert np.bincount(grid.link_category).tolist() == [250] * 4


def test_values_lie_in_the_ranges_of_their_category_and_use_them() -> None:
    grid = drawn()
    home = grid.category == 0
    assert 100_000 <= grid.capacity_mah[home].min() < 110_000
    assert 270_000 < grid.capacity_mah[home].max() <= 280_000
    share = grid.first_charge_ma_ms / (grid.capacity_mah * 3_600_000)
    assert 0.2 <= share.min() < 0.22
    assert 0.78 < share.max() <= 0.8


def test_limits_follow_from_capacity() -> None:
    category = {
        "name": "pack",
        "share": "100 %",
        "interface": "jbd",
        "capacity": ("110 Ah", "110 Ah"),
        "charge_rate": "20 %",
        "discharge_rate": "50 %",
        "efficiency": "97 %",
        "first_charge": ("100 %", "100 %"),
        "cells": 4,
        "voltage": "constant",
    }
    ratings = drawn(count=1, categories=[category]).ratings(0)
    assert (ratings.charge_ma_max, ratings.discharge_ma_max) == (22_000, 55_000)
    assert (ratings.efficiency_ppm, ratings.cells) == (970_000, 4)
    assert ratings.constant_voltage
    assert not drawn().ratings(0).constant_voltage
    assert ratings.capacity_ma_ms == 110_000 * 3_600_000


def test_only_what_is_commanded_by_power_shows_no_drop() -> None:
    grid = drawn()
    for number in range(grid.batteries):
        resistance_uohm = grid.ratings(number).resistance_uohm
        if grid.interface(number) == "sunspec":
            assert resistance_uohm == 0
        else:
            assert 900 <= resistance_uohm <= 1_100


def test_the_largest_battery_overflows_nothing() -> None:
    category = {
        "name": "plant",
        "share": "100 %",
        "interface": "sunspec",
        "capacity": ("10000 Ah", "10000 Ah"),
        "first_charge": ("100 %", "100 %"),
    }
    grid = drawn(count=1, categories=[category])
    assert int(grid.first_charge_ma_ms[0]) == grid.ratings(0).capacity_ma_ms == 36 * 10**12


def test_changing_the_links_leaves_the_batteries_alone() -> None:
    before, after = arrays(drawn()), arrays(drawn(links=[{"profile": "lte", "share": "100 %"}]))
    del before["link_category"], after["link_category"]
    assert before == after


def test_names_sort_as_numbers_do() -> None:
    assert battery_name(0) == "battery-0000001"
    assert battery_name(999) > battery_name(998)
