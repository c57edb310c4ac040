"""How far two samples are apart, and what one sample is like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

CRITICAL_5_PERCENT: Final = 1.358
"""Of Kolmogorov's distribution: sqrt(-ln(0.05 / 2) / 2)."""


def largest_step(one: ArrayLike, other: ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance: the largest difference of the two step functions."""
    first, second = np.sort(np.asarray(one, float)), np.sort(np.asarray(other, float))
    at = np.concatenate((first, second))
    below_first = np.searchsorted(first, at, side="right") / len(first)
    below_second = np.searchsorted(second, at, side="right") / len(second)
    return float(np.abs(below_first - below_second).max())


def critical_step(first: int, second: int) -> float:
    """Return the distance that two samples of one law exceed in 5 % of cases, by their sizes."""
    return CRITICAL_5_PERCENT * math.sqrt((first + second) / (first * second))


def quantile_difference(one: ArrayLike, other: ArrayLike) -> float:
    """Return the mean absolute difference of quantiles (W1), in the unit of the samples.

    It is the area between the two step functions, so samples need not be of one size.
    """
    first, second = np.sort(np.asarray(one, float)), np.sort(np.asarray(other, float))
    at = np.sort(np.concatenate((first, second)))
    below_first = np.searchsorted(first, at[:-1], side="right") / len(first)
    below_second = np.searchsorted(second, at[:-1], side="right") / len(second)
    return float(np.sum(np.abs(below_first - below_second) * np.diff(at)))


@dataclass(frozen=True, slots=True)
class Summary:
    """One sample of times, in seconds."""

    count: int
    mean_s: float
    p50_s: float
    p95_s: float


def summary(sample: Sequence[float]) -> Summary:
    """Return what ``sample``, which must not be empty, is like."""
    p50_s, p95_s = (float(np.quantile(sample, part)) for part in (0.5, 0.95))
    return Summary(len(sample), float(np.mean(sample)), p50_s, p95_s)
