from __future__ import annotations

import math

import numpy as np
import pytest

from reports.compare.bands import Band, chance_of_share, latency_band, scalar_band
from reports.compare.quantiles import Distribution
from tests.support.compared import encoded, latencies


def distribution(seed: int, count: int, median_s: float = 2.4) -> Distribution:
    return Distribution.decode(encoded(latencies(seed, count, median_s=median_s)))


@pytest.mark.parametrize("p", [0.5, 0.9, None])
def test_chance_of_both_runs_and_the_floor_are_added_in_quadrature(p: float | None) -> None:
    old, new = distribution(1, 100), distribution(2, 400)
    band = latency_band("push.latency.p50", p, [old], new, {}, 0.0)
    one, other = ((d.middle() if p is None else d.quantile(p)) for d in (old, new))
    assert band is not None
    assert one.low_s is not None
    assert one.high_s is not None
    assert other.low_s is not None
    assert other.high_s is not None
    assert band.middle == pytest.approx(one.value_s)
    # B is worse if its lower end is still above the upper end of A, and the other way round.
    up = (math.log(one.high_s / one.value_s), math.log(other.value_s / other.low_s))
    down = (math.log(one.value_s / one.low_s), math.log(other.high_s / other.value_s))
    assert math.log(band.high / band.middle) == pytest.approx(math.hypot(math.log(1.15), *up))
    assert math.log(band.middle / band.low) == pytest.approx(math.hypot(math.log(1.15), *down))
    assert band.floor_high == pytest.approx(1.15 * band.middle)
    assert band.floor_low == pytest.approx(band.middle / 1.15)


def test_two_runs_of_a_baseline_are_pooled() -> None:
    parts, new = [distribution(1, 200), distribution(2, 200)], distribution(3, 400)
    pooled = latency_band("push.latency.p50", 0.5, parts, new, {}, 0.0)
    alone = latency_band("push.latency.p50", 0.5, parts[:1], new, {}, 0.0)
    assert pooled is not None
    assert alone is not None
    assert pooled.high / pooled.middle < alone.high / alone.middle


def test_milliseconds_are_the_machines() -> None:
    quick = distribution(1, 3000, median_s=0.005)
    band = latency_band("push.latency.p50", 0.5, [quick], quick, {}, 0.0)
    assert band is not None
    assert band.high - band.middle == pytest.approx(0.01)
    # Who states the noise has measured it.
    stated = latency_band("push.latency.p50", 0.5, [quick], quick, {"*": 0.1}, 0.0)
    assert stated is not None
    assert stated.high - stated.middle < 0.002


def test_no_band_is_narrower_than_twice_the_lag_of_the_generator() -> None:
    run = distribution(1, 3000)
    band = latency_band("push.latency.p50", 0.5, [run], run, {}, 1.0)
    assert band is not None
    assert band.high == pytest.approx(band.middle + 2.0)
    assert band.low == pytest.approx(band.middle - 2.0)
    assert band.floor_high == pytest.approx(1.15 * band.middle)


def test_three_runs_have_no_band_beyond_their_counts() -> None:
    runs = [distribution(seed, 500) for seed in range(4)]
    assert latency_band("push.latency.p90", 0.9, runs[:3], runs[3], {}, 0.0) is not None
    assert latency_band("push.latency.p99", 0.99, runs[:3], runs[3], {}, 0.0) is None


def test_a_figure_of_one_run_has_the_floor_alone() -> None:
    band = scalar_band("resources.headend.memory", [110.0], {})
    assert (band.low, band.high) == pytest.approx((100.0, 121.0))
    assert (band.floor_low, band.floor_high) == (band.low, band.high)
    small = scalar_band("resources.headend.memory", [20.0], {})
    assert (small.low, small.high) == (12.0, 28.0)
    stated = scalar_band("resources.headend.cpu", [1.0], {"resources.*": 0.25})
    assert (stated.low, stated.high) == pytest.approx((0.8, 1.25))


def test_counts_have_no_band() -> None:
    assert scalar_band("readings.lost", [3.0], {"*": 0.5}) == Band(3.0, 3.0, 3.0, 3.0, 3.0)


def test_a_share_is_pinned_down_by_the_exchanges_that_brought_its_readings() -> None:
    chance = chance_of_share((0.44, 40), (0.64, 40))
    assert chance == pytest.approx(3.2905 * math.sqrt(0.54 * 0.46 / 20), rel=1e-4)
    few_exchanges = scalar_band("readings.late", [0.44], {}, chance)
    assert few_exchanges.low < 0.44 - 0.2
    assert few_exchanges.high > 0.64
    assert few_exchanges.floor_high == pytest.approx(0.44 * 1.25), "beyond it, it is unclear"
    many = scalar_band("readings.late", [0.44], {}, chance_of_share((0.44, 4000), (0.64, 4000)))
    assert many.high == pytest.approx(0.44 * 1.25)


def test_chance_is_as_wide_as_shares_of_one_build_differ() -> None:
    draws, share, pairs = 60, 0.3, 4_000
    found = np.random.default_rng(5).binomial(draws, share, (pairs, 2)) / draws
    beyond = [
        abs(one - other) > chance_of_share((one, draws), (other, draws)) for one, other in found
    ]
    # One in a thousand is to be: four of these, and sixteen are six standard errors away.
    assert sum(beyond) <= 16


def test_a_share_of_nobody_knows_how_many_draws_has_the_floor_alone() -> None:
    assert chance_of_share((0.4, 0), (0.5, 40)) == 0.0


def test_the_spread_of_several_runs_has_their_chance_already() -> None:
    values = [0.30, 0.31, 0.29, 0.30]
    assert scalar_band("readings.late", values, {}, 0.5) == scalar_band("readings.late", values, {})
