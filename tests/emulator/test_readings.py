"""The truth: cumulative, additive, pure, and the same bits on every processor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid import Grid, generate_grid
from emulator.grid_parameters import GridParameters
from emulator.patterns import Span, consumption_pattern, prefix_sums
from emulator.plan import Plan
from emulator.readings import Truth
from netem.draws import mix_one, stream_key
from tests.support.grids import FIRST_S, behaviour, small_grid, truth_of

STEPS = 192
GRID, TRUTH = truth_of(small_grid(), behaviour(STEPS))
EVERY_METER = range(GRID.meters)
ROOT = Path(__file__).parents[2]


def series(truth: Truth, meter: int, steps: int = STEPS) -> NDArray[np.int64]:
    values, _ = truth.registers(np.full(steps, meter), np.arange(steps))
    return values.astype(np.int64)


def test_registers_never_fall() -> None:
    for meter in EVERY_METER:
        assert (np.diff(series(TRUTH, meter), axis=0) >= 0).all()


def test_the_total_is_the_sum_of_the_rates() -> None:
    for meter in EVERY_METER:
        values = series(TRUTH, meter)
        assert np.array_equal(values[:, 0], values[:, 1] + values[:, 2])


def test_registers_begin_at_their_start() -> None:
    values = TRUTH.block(0, GRID.meters, 0)[0].astype(np.int64)
    later = TRUTH.block(0, GRID.meters, 1)[0].astype(np.int64)
    starts = np.stack(
        [
            GRID.start_rate1_wh.astype(np.int64) + GRID.start_rate2_wh,
            GRID.start_rate1_wh,
            GRID.start_rate2_wh,
            GRID.start_export_wh,
        ],
        axis=1,
    )
    assert (starts <= values).all()
    assert (values <= later).all()


def test_a_single_rate_counts_in_rate_1_only() -> None:
    values, _ = TRUTH.block(0, GRID.meters, STEPS - 1)
    single = GRID.tariff == 0
    assert single.any()
    assert not values[single, 2].any()


def test_the_rates_count_in_their_bands() -> None:
    meter = int(np.flatnonzero((GRID.tariff == 1) & (GRID.pattern == 0))[0])
    rises = np.diff(series(TRUTH, meter), axis=0)[:95]
    day, night = rises[25:87], np.concatenate([rises[:23], rises[89:]])
    assert (day[:, 1] > 0).all()
    assert not day[:, 2].any()
    assert (night[:, 2] > 0).all()
    assert not night[:, 1].any()


def test_feed_in_follows_the_sun() -> None:
    meter = int(np.flatnonzero(GRID.annual_export_wh)[0])
    rises = np.diff(series(TRUTH, meter)[:, 3])[:95]
    assert not rises[:20].any()
    assert (rises[36:60] > 0).all()
    without = GRID.annual_export_wh == 0
    assert not TRUTH.block(0, GRID.meters, STEPS - 1)[0][without, 3].any()


def test_a_days_energy_is_its_part_of_the_year() -> None:
    span = Span(FIRST_S + 3600, 86_400, 2)
    for meter in EVERY_METER:
        pattern = GRID.parameters.patterns[GRID.pattern[meter]]
        sums = prefix_sums(consumption_pattern(pattern, Path()), span, [frozenset(range(96))])
        expected = int(GRID.annual_wh[meter]) * int(sums[0, 1]) / 2**31
        values, rises = series(TRUTH, meter), np.diff(series(TRUTH, meter)[:, 0])
        # A reading lies up to one interval's energy above the energy that has flowed.
        assert abs(values[96, 0] - values[0, 0] - expected) <= rises.max() * 2 + 2


def test_one_reading_by_hand() -> None:
    # Flat pattern, one rate, 365 * 96 kWh in the year: 1,000 Wh a quarter-hour.
    flat = [{"name": "flat", "values": [1] * 96, "annual": ["35040 kWh"] * 2, "share": "100 %"}]
    single = [{"name": "single", "share": "100 %"}]
    grid, truth = truth_of(small_grid(2, patterns=flat, tariffs=single), behaviour(8))
    meter, interval = 1, 5
    fraction = mix_one(stream_key(7, "reading"), (meter << 32) + interval) >> 32
    # floor(annual * floor(5 * 2**31 / 35040) / 2**31) = 4999: both floors round down.
    expected = int(grid.start_rate1_wh[meter]) + 4_999 + (1_000 * fraction >> 32)
    assert truth.registers(np.array([meter]), interval)[0].tolist() == [[expected, expected, 0, 0]]


def test_feed_in_varies_on_its_own() -> None:
    flat = {"source": None, "values": [1] * 96, "annual": ["1000 MWh"] * 2}
    patterns = [{"name": "flat", "share": "100 %", "export": "sun:50.0", **flat}]
    patterns[0]["export_annual"] = ["1000 MWh"] * 2
    _, truth = truth_of(small_grid(2, patterns=patterns), behaviour(STEPS))
    rises = np.diff(series(truth, 0), axis=0)[40:56]
    # Near noon both flow evenly: with one fraction for both they would rise and fall together.
    assert abs(np.corrcoef(rises[:, 0], rises[:, 3])[0, 1]) < 0.9


pairs = st.lists(
    st.tuples(st.integers(0, GRID.meters - 1), st.integers(0, STEPS - 1)), min_size=1, max_size=20
)


@given(pairs)
def test_a_reading_is_the_same_in_any_selection_and_order(
    chosen: list[tuple[int, int]],
) -> None:
    meters, intervals = np.array(chosen).T
    together, status = TRUTH.registers(meters, intervals)
    backwards, _ = TRUTH.registers(meters[::-1], intervals[::-1])
    assert np.array_equal(together, backwards[::-1])
    for row, (meter, interval) in zip(together, chosen, strict=True):
        assert np.array_equal(TRUTH.registers(np.array([meter]), interval)[0][0], row)
    assert status.dtype == np.uint8
    assert not status.any()


@given(st.data(), st.sampled_from([1, 7, 32_768]))
@settings(max_examples=50)
def test_a_block_is_its_readings_one_by_one(data: st.DataObject, rows: int) -> None:
    first = data.draw(st.integers(0, GRID.meters))
    last = data.draw(st.integers(first, GRID.meters))
    interval = data.draw(st.integers(0, STEPS - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emulator.readings._BLOCK_ROWS", rows)
        values, status = TRUTH.block(first, last, interval)
    assert np.array_equal(values, TRUTH.registers(np.arange(first, last), interval)[0])
    assert values.dtype == np.uint32
    assert status.shape == (last - first,)


def test_another_seed_reads_otherwise_on_the_same_grid() -> None:
    other = Truth(GRID, behaviour(STEPS), FIRST_S, 8)
    one, two = TRUTH.block(0, GRID.meters, 40)[0], other.block(0, GRID.meters, 40)[0]
    assert np.mean(one[:, 0] != two[:, 0]) > 0.8


def test_history_flows_on_into_the_plan() -> None:
    begins_s = FIRST_S - 96 * 900
    _, history = truth_of(small_grid(), behaviour(STEPS - 96, preloaded=96))
    _, lived = truth_of(small_grid(), behaviour(STEPS), first_s=begins_s)
    assert history.intervals == range(-96, STEPS - 96)
    for meter in EVERY_METER:
        with_history = history.registers(np.full(STEPS, meter), np.arange(-96, STEPS - 96))[0]
        assert (np.diff(with_history.astype(np.int64), axis=0) >= 0).all()
        # The same energy flows at the same times; only how much of the next interval's a reading
        # is ahead is drawn anew.
        others = series(lived, meter)
        assert (with_history[:-1] <= others[1:]).all()
        assert (with_history[1:] >= others[:-1]).all()


def test_in_history_too_every_meter_is_ahead_by_a_part_of_its_own() -> None:
    flat = {"values": [1] * 96, "annual": ["1000 MWh"] * 2, "name": "flat", "share": "100 %"}
    single = [{"name": "single", "share": "100 %"}]
    parameters = behaviour(4, preloaded=4)
    grid, truth = truth_of(small_grid(patterns=[flat], tariffs=single), parameters)
    for interval in truth.intervals:
        counted = truth.block(0, grid.meters, interval)[0][:, 1] - grid.start_rate1_wh
        assert len(np.unique(counted)) > grid.meters * 0.9


@given(st.lists(st.integers(-96, 10), min_size=1, max_size=5))
def test_a_block_of_history_is_its_readings_one_by_one(intervals: list[int]) -> None:
    grid, truth = truth_of(small_grid(2), behaviour(11, preloaded=96))
    for interval in intervals:
        values = truth.block(0, grid.meters, interval)[0]
        assert np.array_equal(values, truth.registers(np.arange(grid.meters), interval)[0])
    fractions = {truth.block(0, grid.meters, at)[0].tobytes() for at in truth.intervals}
    assert len(fractions) == len(truth.intervals)


def test_power_quality_comes_after_the_energy() -> None:
    _, truth = truth_of(small_grid(power_quality=True), behaviour(STEPS))
    values, _ = truth.block(0, GRID.meters, 40)
    assert np.array_equal(values[:, :4], TRUTH.block(0, GRID.meters, 40)[0])
    assert values.shape[1] == len(truth.profile.registers)
    assert ((values[:, 4:7] >= 225_000) & (values[:, 4:7] <= 235_000)).all()
    assert ((values[:, 7] >= 49_950) & (values[:, 7] <= 50_050)).all()
    assert len(np.unique(values[:, 4])) > GRID.meters * 0.8


def test_the_largest_grid_values_do_not_overflow() -> None:
    heavy = [
        {"name": "heavy", "values": [1] * 96, "annual": ["1000 MWh"] * 2, "share": "100 %"}
        | {"export": "sun:50.0", "export_annual": ["1000 MWh"] * 2}
    ]
    behaviour = BehaviourParameters.model_validate({"steps": 1098, "step": "1 d"})
    grid, truth = truth_of(small_grid(patterns=heavy), behaviour)
    for meter in range(grid.meters):
        values = series(truth, meter, 1098)
        assert (np.diff(values, axis=0) >= 0).all()
        # Almost: the last reading is one interval before the end of the span.
        assert values[-1, 0] - values[0, 0] == pytest.approx(10**9 * 1097 / 365, rel=0.002)
        assert values[-1, 3] - values[0, 3] == pytest.approx(10**9 * 1097 / 365, rel=0.01)


def digest() -> str:
    """Return a digest of everything seeded: grid, truth and plan of a grid of 1,000 stations."""
    parameters = behaviour(96)
    grid = generate_grid(
        GridParameters(transformer_stations=1000, power_quality=True), parameters, 7
    )
    truth, plan = Truth(grid, parameters, FIRST_S, 7), Plan(grid, parameters, FIRST_S, 7)
    state = hashlib.sha256()
    for name in Grid.__slots__[1:]:
        state.update(getattr(grid, name).tobytes())
    for interval in (0, 40, 95):
        state.update(truth.block(0, grid.meters, interval)[0].tobytes())
        state.update(plan.delivery_step_block(interval, 0, grid.meters).tobytes())
    state.update(plan.due_counts().tobytes() + plan.communicating_meters().tobytes())
    state.update(plan.phase_ns(np.arange(grid.concentrators)).tobytes())
    return state.hexdigest()


def dispatched_features() -> list[str]:
    """Return the processor features numpy would use beyond its baseline, where there are any."""
    umath = import_module("numpy._core._multiarray_umath")
    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]


@pytest.mark.slow
def test_the_bits_do_not_depend_on_the_processor() -> None:
    features = dispatched_features()
    if not features:
        pytest.skip("numpy has nothing beyond its baseline on this processor")
    child = subprocess.run(
        [sys.executable, "-c", "from tests.emulator.test_readings import digest; print(digest())"],
        env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(features)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == digest()


def test_the_bits_are_those_of_earlier_versions() -> None:
    """A change here makes every recorded run uncheckable: say so in the changelog."""
    assert digest() == "5718a2a8e954469901a381fb6694a9334c2aae045465cb8f7433b52fa9cac673"
