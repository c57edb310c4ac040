"""The band of a figure: within it two runs are the same.

The band of a latency is made of two things, added in quadrature on the logarithm: how well the
counts of the two runs pin it down (`reports.compare.quantiles`, joined by the method of variance
estimates recovery, Zou and Donner 2008), and the floor for the noise between runs of one build
(`reports.compare.noise`). What holds up the generator is in every latency, which counts from the
intended time, and it holds up a head-end on the same machine too: no band of a latency is narrower
than twice the lag of the generator in the worse of the runs. A share of readings is pinned down by
as many draws as there were exchanges to bring them, for those of one exchange are late together:
its band is the wider of chance and floor. Other figures have the floor alone, and counts of what
must not happen have none. Against three runs or more the band is what their own spread foretells.

All bands are symmetric under exchange of the runs: B is worse than A where A is better than B.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.compare.noise import SPREAD_RUNS_MIN, least_spread, noise_of, rule_of, spread
from reports.compare.quantiles import SIGMAS, Distribution, Quantile

__all__ = [
    "MIDDLE",
    "QUANTILES",
    "Band",
    "chance_of_share",
    "few",
    "latency_band",
    "scalar_band",
    "statistic",
]

QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
MIDDLE: Final = "middle"
"""The geometric mean, beside the quantiles."""

_BEYOND_MIN: Final = 10
"""Samples beyond a quantile from which the spread of several runs is trusted to bound it."""

_LAGS: Final = 2.0
"""How often the generator's lag may be in a latency: once at either end."""


@dataclass(frozen=True, slots=True)
class Band:
    """What B may be: the same from ``low`` to ``high``, and ``middle`` is that of A.

    Where B is beyond ``floor_low`` or ``floor_high`` it has moved by more than runs of one build
    do; within the band chance, or the generator, can still have done it.
    """

    middle: float
    low: float
    high: float
    floor_low: float
    floor_high: float


def scalar_band(
    figure: str, values: Sequence[float], noise: Mapping[str, float], chance: float = 0.0
) -> Band:
    """Return the band of a figure that is one number a run, of at least one run.

    ``chance`` is how far chance alone moves it from one run to another, 0 for what is no share; the
    spread of three runs or more has it already.
    """
    middle, rule = statistics.median(values), rule_of(figure)
    if rule.noise is None:
        low, high = min(values), max(values)
        return Band(middle, low, high, low, high)
    given = noise_of(figure, noise)
    least, width = rule.least if given is None else 0.0, 0.0
    if len(values) >= SPREAD_RUNS_MIN:
        share, width, chance = least_spread(given), spread(values), 0.0
    else:
        share = rule.noise if given is None else given
    # As a factor, so that A against B and B against A come to the same.
    down = max(middle * (1 - 1 / (1 + share)), width, least)
    up = max(middle * share, width, least)
    return Band(
        middle,
        middle - max(down, chance),
        middle + max(up, chance),
        middle - down,
        middle + up,
    )


def chance_of_share(before: tuple[float, int], after: tuple[float, int]) -> float:
    """Return how far apart chance alone leaves two shares, each with the draws it is a share of.

    The normal interval of the difference of two shares of one build. Without draws, 0: nobody
    knows.
    """
    (one, draws), (other, others) = before, after
    if not draws or not others:
        return 0.0
    share = (one * draws + other * others) / (draws + others)
    return SIGMAS * math.sqrt(share * (1 - share) * (1 / draws + 1 / others))


def latency_band(
    figure: str,
    p: float | None,
    before: Sequence[Distribution],
    after: Distribution,
    noise: Mapping[str, float],
    lag_s: float,
) -> Band | None:
    """Return the band of a quantile ``p``, or with None of the geometric mean, of a series.

    None where there are too few samples for one. ``lag_s`` is the largest of all the runs.
    """
    rule, given = rule_of(figure), noise_of(figure, noise)
    logs = [math.log(statistic(one, p).value_s) for one in before]
    middle_s = math.exp(statistics.fmean(logs))
    if len(before) >= SPREAD_RUNS_MIN:
        if p is not None and few([*before, after]) * (1 - p) < _BEYOND_MIN:
            return None
        floor = down = up = max(math.log1p(least_spread(given)), spread(logs))
    else:
        floor = math.log1p((rule.noise or 0.0) if given is None else given)
        joined = _joined(statistic(Distribution.pooled(before), p), statistic(after, p), floor)
        if joined is None:
            return None
        down, up = joined
    least_s = rule.least if given is None else 0.0
    return Band(
        middle_s,
        min(middle_s * math.exp(-down), middle_s - max(least_s, _LAGS * lag_s)),
        max(middle_s * math.exp(up), middle_s + max(least_s, _LAGS * lag_s)),
        min(middle_s * math.exp(-floor), middle_s - least_s),
        max(middle_s * math.exp(floor), middle_s + least_s),
    )


def few(distributions: Sequence[Distribution]) -> int:
    """Return how many samples the smallest of ``distributions`` has."""
    return min(one.samples for one in distributions)


def statistic(distribution: Distribution, p: float | None) -> Quantile:
    """Return the quantile ``p`` of a distribution, or with None its geometric mean."""
    return distribution.middle() if p is None else distribution.quantile(p)


def _joined(old: Quantile, new: Quantile, floor: float) -> tuple[float, float] | None:
    """Return how far the logarithm of the new value may lie below and above that of the old."""
    one, other = _reach(old), _reach(new)
    if one is None or other is None:
        return None
    return math.hypot(floor, one[0], other[1]), math.hypot(floor, one[1], other[0])


def _reach(quantile: Quantile) -> tuple[float, float] | None:
    """Return how far the ends of the interval lie below and above, on the logarithm."""
    if quantile.low_s is None or quantile.high_s is None:
        return None
    value_s = quantile.value_s
    return math.log(value_s / quantile.low_s), math.log(quantile.high_s / value_s)
