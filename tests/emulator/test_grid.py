"""The grid topology generator: exact shares, exact totals, the same grid for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid import START_WH_LIMIT, Grid, generate_grid
from emulator.grid_parameters import GridParameters
from tests.support.grids import behaviour, small_grid


def generate(parameters: GridParameters, seed: int = 7) -> Grid:
    return generate_grid(parameters, behaviour(), seed)


def test_meters_are_contiguous_by_concentrator() -> None:
    grid = generate(small_grid(50))
    assert grid.concentrators == 50
    assert grid.first_meter[0] == 0
    assert grid.meters == len(grid.pattern)
    for concentrator in range(50):
        meters = grid.meters_of(concentrator)
        assert len(meters) >= 1
        assert set(grid.concentrator_of(np.array(meters)).tolist()) == {concentrator}


def test_every_share_is_met_exactly() -> None:
    grid = generate(small_grid(1000, meters=5000))
    assert np.bincount(grid.size_category).tolist() == [500, 500]
    assert np.bincount(grid.link_category).tolist() == [250] * 4
    assert np.bincount(grid.concentrator_reachability).tolist() == [300, 700]
    assert np.bincount(grid.meter_reachability).tolist() == [1000, 4000]
    assert np.bincount(grid.pattern).tolist() == [4000, 250, 600, 150]
    assert np.bincount(grid.tariff).tolist() == [3000, 2000]


def test_the_order_of_categories_is_shuffled() -> None:
    grid = generate(small_grid(1000))
    changes = np.count_nonzero(np.diff(grid.link_category.astype(int)))
    assert changes > 600  # 750 on average in a fair shuffle, 3 in none


def test_categories_are_drawn_apart_from_each_other() -> None:
    grid = generate(small_grid(1000, meters=5000))
    # 40 % of the meters have two rates, 20 % are hard to reach: 400 are both, give or take.
    both = np.count_nonzero((grid.tariff == 1) & (grid.meter_reachability == 0))
    assert both == pytest.approx(400, abs=80)
    hard_households = np.count_nonzero((grid.pattern == 0) & (grid.meter_reachability == 0))
    assert hard_households == pytest.approx(800, abs=80)


def test_shares_of_protocols_are_met() -> None:
    grid = generate(small_grid(10, protocols={"dlms": "70 %", "c12": "30 %"}))
    assert np.bincount(grid.protocol).tolist() == [7, 3]


@settings(max_examples=50)
@given(stations=st.integers(1, 60), fill=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_an_exact_total_keeps_every_station_in_its_range(
    stations: int, fill: float, seed: int
) -> None:
    fewest, most = small_grid(stations).meters_range
    total = fewest + int(fill * (most - fewest))
    parameters = small_grid(stations, meters=total)
    grid = generate(parameters, seed)
    assert grid.meters == total
    for count, category in zip(np.diff(grid.first_meter), grid.size_category, strict=True):
        low, high = parameters.sizes[category].meters
        assert low <= count <= high


def test_energy_stays_in_the_range_of_its_pattern() -> None:
    grid = generate(small_grid(300))
    for index, pattern in enumerate(grid.parameters.patterns):
        annual = grid.annual_wh[grid.pattern == index]
        low, high = pattern.annual
        assert low <= annual.min() < low + (high - low) // 5
        assert high - (high - low) // 5 < annual.max() <= high
        feeds_in = grid.annual_export_wh[grid.pattern == index] > 0
        assert feeds_in.all() if pattern.export else not feeds_in.any()


def test_registers_start_below_their_limit_and_only_where_they_count() -> None:
    grid = generate(small_grid(300))
    for starts in (grid.start_rate1_wh, grid.start_rate2_wh, grid.start_export_wh):
        assert 0 < starts.max() < START_WH_LIMIT
    assert not grid.start_rate2_wh[grid.tariff == 0].any()
    assert not grid.start_export_wh[grid.annual_export_wh == 0].any()


def test_the_same_seed_gives_the_same_grid_and_another_does_not() -> None:
    one, same, other = (generate(small_grid(100, meters=500), seed) for seed in (1, 1, 2))
    for name in Grid.__slots__[1:]:
        assert np.array_equal(getattr(one, name), getattr(same, name)), name
    for name in ("first_meter", "pattern", "annual_wh", "start_rate1_wh", "link_category"):
        assert not np.array_equal(getattr(one, name), getattr(other, name)), name


def test_changing_the_tariffs_leaves_the_rest_alone() -> None:
    single = [{"name": "single", "share": "100 %"}]
    one, other = generate(small_grid(100)), generate(small_grid(100, tariffs=single))
    for name in ("first_meter", "pattern", "annual_wh", "start_rate1_wh", "link_category"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_arrays_are_read_only() -> None:
    grid = generate(small_grid(2))
    with pytest.raises(ValueError, match="read-only"):
        grid.pattern[0] = 3


def test_a_scenario_that_says_only_the_number_of_stations_is_generated() -> None:
    grid = generate_grid(GridParameters(transformer_stations=100), BehaviourParameters(), 7)
    assert 3_350 <= grid.meters <= 10_400
