"""The distances against numpy's quantiles, closed forms and the critical value's own meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.calibration.distances import (
    critical_step,
    largest_step,
    quantile_difference,
    summary,
)


def test_samples_that_share_nothing_are_one_apart_and_equal_ones_nothing() -> None:
    assert largest_step([1, 2, 3], [4, 5]) == 1
    assert largest_step([1, 2, 2, 3], [3, 2, 1, 2]) == 0
    assert quantile_difference([1, 2, 2, 3], [3, 2, 1, 2]) == 0


def test_the_largest_step_of_two_small_samples_by_hand() -> None:
    # At 2 the first has 2 of 4, the second 0 of 2; at 3 it is 3 of 4 and 1 of 2.
    assert largest_step([1, 2, 3, 4], [3, 5]) == 0.5


def test_a_shift_is_its_own_quantile_difference() -> None:
    sample = np.random.default_rng(1).normal(1.0, 0.3, 500)
    assert quantile_difference(sample, sample + 0.07) == pytest.approx(0.07)


def test_the_quantile_difference_is_that_of_the_quantiles() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(1, 0.2, 300), random.gamma(4, 0.3, 500)
    at = (np.arange(150_000) + 0.5) / 150_000
    quantiles = [np.quantile(sample, at, method="inverted_cdf") for sample in (one, other)]
    expected = np.abs(quantiles[0] - quantiles[1]).mean()
    assert quantile_difference(one, other) == pytest.approx(expected, rel=1e-3)


def test_normals_of_one_mean_differ_by_the_difference_of_their_deviations() -> None:
    random = np.random.default_rng(3)
    narrow, wide = random.normal(0, 1, 200_000), random.normal(0, 1.5, 200_000)
    assert quantile_difference(narrow, wide) == pytest.approx(
        0.5 * math.sqrt(2 / math.pi), rel=0.02
    )


def test_one_law_exceeds_the_critical_step_in_about_a_twentieth_of_cases() -> None:
    random = np.random.default_rng(4)
    critical = critical_step(300, 600)
    assert critical_step(300, 300) == pytest.approx(0.111, abs=5e-4)
    exceeded = sum(
        largest_step(random.normal(size=300), random.normal(size=600)) > critical
        for _ in range(1_000)
    )
    # 5 % of 1,000, and a bit less because samples are finite.
    assert 25 <= exceeded <= 70


def test_a_summary_has_mean_and_quantiles() -> None:
    found = summary([float(value) for value in range(101)])
    assert (found.count, found.mean_s, found.p50_s, found.p95_s) == (101, 50, 50, 95)
