from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.compare.quantiles import CONFIDENCE, Distribution, ranks
from reports.recording import latencies_at, new_histogram, record_latency
from tests.support.compared import encoded, latencies


@pytest.mark.parametrize(
    ("samples", "p", "expected"),
    [
        # Hahn and Meeker, Statistical Intervals, 5.2.3: 95 % for the 50th and 90th percentile.
        pytest.param(100, 0.5, (40, 61), id="median-of-a-hundred"),
        pytest.param(100, 0.9, (84, 96), id="ninetieth-of-a-hundred"),
        # A median of six samples lies between all of them with 1 - 2 / 2**6 = 96.9 %.
        pytest.param(6, 0.5, (1, 6), id="six-samples-just-do"),
        # Of five samples only 1 - 2 / 2**5 = 93.8 %.
        pytest.param(5, 0.5, (None, None), id="five-do-not"),
        pytest.param(0, 0.5, (None, None), id="none-at-all"),
    ],
)
def test_the_ranks_are_those_of_the_binomial_distribution(
    samples: int, p: float, expected: tuple[int | None, int | None]
) -> None:
    assert ranks(samples, p, 0.95) == expected


@given(st.integers(1, 400), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_ranks_are_the_narrowest_that_keep_the_confidence(samples: int, p: float) -> None:
    low, high = ranks(samples, p)
    tail = (1 - CONFIDENCE) / 2
    up_to = np.cumsum([_binomial(samples, k, p) for k in range(samples + 1)])
    if low is None:
        assert up_to[0] > tail
    else:
        assert up_to[low - 1] <= tail * (1 + 1e-9) < up_to[low]
    if high is None:
        assert up_to[samples - 1] < 1 - tail
    else:
        assert up_to[high - 1] >= 1 - tail - 1e-12
        assert high < 2 or up_to[high - 2] < 1 - tail


def _binomial(n: int, k: int, p: float) -> float:
    return math.exp(
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )


def test_a_million_samples_take_no_factorial() -> None:
    low, high = ranks(1_000_000, 0.5)
    assert low is not None
    assert high is not None
    # Half a million, plus or minus 3.29 times the square root of a quarter of a million.
    assert (high - low) / 2 == pytest.approx(3.29 * 500, rel=0.01)


@given(st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200))
def test_quantiles_are_those_that_the_report_shows(samples_s: list[float]) -> None:
    histogram = new_histogram()
    for value_s in samples_s:
        record_latency(histogram, value_s)
    found = Distribution.of(histogram)
    assert found.samples == len(samples_s)
    shown = latencies_at(histogram, (50.0, 90.0, 99.0))
    assert [found.quantile(p).value_s for p in (0.5, 0.9, 0.99)] == pytest.approx(shown)


def test_an_interval_encloses_the_true_quantile_as_often_as_it_says() -> None:
    # From a known distribution, 150 times; intervals of 95 % would miss seven or eight.
    missed = 0
    for seed in range(150):
        found = Distribution.decode(encoded(latencies(seed, 100))).quantile(0.5)
        assert found.low_s is not None
        assert found.high_s is not None
        missed += not found.low_s <= 2.4 <= found.high_s
    assert missed <= 2


def test_the_middle_is_the_geometric_mean_and_its_error_follows_from_the_counts() -> None:
    samples_s = latencies(3, 40)
    found = Distribution.decode(encoded(samples_s)).middle()
    logs = np.log(samples_s)
    assert found.value_s == pytest.approx(np.exp(logs.mean()), rel=1e-3)
    assert found.high_s is not None
    sigmas = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2)
    error = sigmas * logs.std(ddof=1) / np.sqrt(40)
    assert math.log(found.high_s / found.value_s) == pytest.approx(error, rel=5e-3)


def test_too_few_samples_have_no_interval() -> None:
    found = Distribution.decode(encoded(latencies(3, 29)))
    assert found.middle().low_s is None
    assert found.quantile(0.9).high_s is None


def test_pooling_adds_up_the_counts() -> None:
    one, other = latencies(1, 50), latencies(2, 70)
    pooled = Distribution.pooled([Distribution.decode(encoded(part)) for part in (one, other)])
    whole = Distribution.decode(encoded([*one, *other]))
    assert pooled.values_us.tolist() == whole.values_us.tolist()
    assert pooled.up_to.tolist() == whole.up_to.tolist()
