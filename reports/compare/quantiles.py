"""Quantiles of a recorded histogram, and how far they can be trusted given its counts.

The interval of a quantile is that of order statistics: of n independent samples the number below
the quantile p is binomial (n, p), whatever the distribution, so two samples, by rank, enclose it
with a probability that depends on n and p only (Hahn and Meeker, Statistical Intervals, chapter 5).
Where n is too small for one of the two ranks to exist there is no interval and nothing can be said.

Samples of one run are not independent: what holds up one exchange holds up its neighbours. The
interval is therefore a lower bound of what chance does, and `reports.compare.noise` adds what runs
of the same build differ by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any, Final, Self

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.ctypeslib import as_array
from numpy.typing import NDArray

from reports.recording.latency import DECODE_ERRORS

__all__ = ["CONFIDENCE", "DECODE_ERRORS", "SIGMAS", "Distribution", "Quantile", "ranks"]

CONFIDENCE: Final = 0.999
"""Of each interval, two-sided. A comparison has tens of figures: at 95 % one of them would cry wolf
in most comparisons of a build with itself."""

_WINDOW_SIGMAS: Final = 12.0
SIGMAS: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""How many standard errors such an interval of the normal distribution reaches each way."""
_NORMAL_FROM: Final = 30


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile in seconds; ``low_s`` and ``high_s`` enclose it, None: too few samples to say."""

    value_s: float
    low_s: float | None
    high_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The latencies of one series: ``values_us`` ascending (int64), how many up to each (int64)."""

    values_us: NDArray[np.int64]
    up_to: NDArray[np.int64]

    @classmethod
    def of(cls, histogram: Any) -> Self:  # noqa: ANN401 - hdrhistogram has no types
        """Return what an HDR histogram of microseconds holds, to its own resolution."""
        counts = as_array(histogram.counts).astype(np.int64)
        filled = np.flatnonzero(counts)
        # The highest value of a bucket, as HdrHistogram's own percentiles are.
        values = [
            histogram.get_highest_equivalent_value(histogram.get_value_from_index(index))
            for index in filled.tolist()
        ]
        return cls(np.array(values, np.int64), np.cumsum(counts[filled]))

    @classmethod
    def decode(cls, encoded: str) -> Self:
        """Return what an encoded HDR histogram holds.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls.of(HdrHistogram.decode(encoded))
        except DECODE_ERRORS as error:
            raise ValueError(f"no encoded histogram: {error}") from error

    @classmethod
    def pooled(cls, parts: Sequence[Distribution]) -> Distribution:
        """Return all latencies of at least one distribution as one."""
        values, which = np.unique(
            np.concatenate([part.values_us for part in parts]), return_inverse=True
        )
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, which, np.concatenate([np.diff(part.up_to, prepend=0) for part in parts]))
        return cls(values, np.cumsum(counts))

    @property
    def samples(self) -> int:
        """How many latencies there are."""
        return int(self.up_to[-1]) if len(self.up_to) else 0

    def quantile(self, p: float) -> Quantile:
        """Return the quantile ``p`` (above 0, below 1) of at least one sample."""
        low, high = ranks(self.samples, p)
        return Quantile(
            self._at_rank(max(1, int(p * self.samples + 0.5))),  # as HdrHistogram rounds
            None if low is None else self._at_rank(low),
            None if high is None else self._at_rank(high),
        )

    def middle(self) -> Quantile:
        """Return the geometric mean: it uses every sample, so it moves least by chance.

        Its interval is that of the normal distribution on the logarithm; from 30 samples on.
        """
        counts = np.diff(self.up_to, prepend=0)
        logs = np.log(self.values_us / 1e6)
        mean = float(np.average(logs, weights=counts))
        if self.samples < _NORMAL_FROM:
            return Quantile(math.exp(mean), None, None)
        variance = float(np.average((logs - mean) ** 2, weights=counts))
        reach = SIGMAS * math.sqrt(variance / (self.samples - 1))
        return Quantile(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))

    def _at_rank(self, rank: int) -> float:
        """Return the ``rank``-th smallest latency (1 is the smallest) in seconds."""
        return float(self.values_us[np.searchsorted(self.up_to, rank)]) / 1e6


@cache
def ranks(samples: int, p: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Return the ranks, from 1, of the samples that enclose the quantile ``p``; None: no such one.

    Each of the two is wrong with a probability of at most half of what ``confidence`` leaves,
    binomial and exact.
    """
    tail = (1 - confidence) / 2
    middle, sigma = samples * p, float(np.sqrt(samples * p * (1 - p)))
    first = max(0, int(middle - _WINDOW_SIGMAS * sigma - 1))
    last = min(samples, int(middle + _WINDOW_SIGMAS * sigma + 1))
    below = np.arange(first, last + 1)
    # ln P(X = k + 1) - ln P(X = k): no factorial of a large number is ever needed.
    growth = np.log((samples - below[:-1]) / (below[:-1] + 1)) + np.log(p / (1 - p))
    logs = np.concatenate([[0.0], np.cumsum(growth)])
    weights = np.exp(logs - logs.max())
    up_to = np.cumsum(weights) / weights.sum()
    # The low-th sample lies above the quantile only if fewer than `low` samples lie below it.
    low = int(below[np.searchsorted(up_to, tail, side="right")])
    high = int(below[np.searchsorted(up_to, 1 - tail)]) + 1
    return (low if low >= 1 else None, high if high <= samples else None)
