"""Delay laws: 4096 equally likely delays, as netem's distribution tables have them.

A table of integers makes a draw one index and no floating point, so it is the same on every
processor. netem scales a unit table in 1/8192 of a deviation and cuts negative delays at zero;
so does this, which is why 800 ms with a deviation of 400 ms has a mean of 803.4 ms.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal

from netem.profiles import LinkDirection

TABLE_SIZE: Final = 4096
SIGMA_SCALE: Final = 8192
NANOSECONDS: Final = 1_000_000_000
WHOLE: Final = 1 << 16
COMMON_WEIGHT: Final = 29_309
OWN_WEIGHT: Final = 58_617
"""Of two normal numbers, in 65536ths: their squares add up to one, 0.2 in common and 0.8 apart."""
_CELL: Final = 8
_WIDEST: Final = 8 * SIGMA_SCALE
"""A weighted sum of two unit numbers, each within four deviations, is well within eight."""

Distribution = Literal["normal", "uniform", "constant"]


@dataclass(frozen=True, slots=True)
class DelayLaw:
    """The delays of one direction, all equally likely, with their own mean and deviation."""

    delays_ns: tuple[int, ...]
    mean_s: float
    sigma_s: float
    mean_us: int
    square_mean_us2: int
    """Mean of the squares of the delays."""


@lru_cache
def unit_table(distribution: Distribution) -> tuple[int, ...]:
    """Return the quantiles of a unit distribution in 1/8192 of its width, ascending.

    Normal quantiles are cut at four deviations, as 16-bit table entries are in the kernel.
    """
    middles = [(index + 0.5) / TABLE_SIZE for index in range(TABLE_SIZE)]
    if distribution == "normal":
        unit = NormalDist()
        widths = [max(-4.0, min(4.0 - 1 / SIGMA_SCALE, unit.inv_cdf(p))) for p in middles]
    elif distribution == "uniform":
        widths = [2 * p - 1 for p in middles]
    else:
        widths = [0.0 for _ in middles]
    return tuple(round(width * SIGMA_SCALE) for width in widths)


@lru_cache
def _quantile_table() -> tuple[int, ...]:
    """Return, for unit normal numbers in steps of `_CELL`, which of the quantiles they are."""
    unit = unit_table("normal")
    middles = range(_CELL // 2 - _WIDEST, _WIDEST, _CELL)
    return tuple(min(TABLE_SIZE - 1, bisect_right(unit, middle)) for middle in middles)


def blended(common: int, own: int) -> int:
    """Return the quantile of a packet that has part of its delay in common with others.

    Both are quantiles, in 0..`TABLE_SIZE`-1, and so is what is returned, each equally likely: the
    two are blended as normal numbers (a Gaussian copula), whatever law they are quantiles of.
    """
    unit = unit_table("normal")
    number = (COMMON_WEIGHT * unit[common] + OWN_WEIGHT * unit[own]) // WHOLE
    return _quantile_table()[(number + _WIDEST) // _CELL]


@lru_cache(maxsize=256)
def _law(latency_ns: int, jitter_ns: int, distribution: Distribution) -> DelayLaw:
    delays = tuple(
        max(0, latency_ns + jitter_ns * entry // SIGMA_SCALE) for entry in unit_table(distribution)
    )
    mean = sum(delays) / TABLE_SIZE
    variance = sum((delay - mean) ** 2 for delay in delays) / TABLE_SIZE
    return DelayLaw(
        delays,
        mean_s=mean / NANOSECONDS,
        sigma_s=variance**0.5 / NANOSECONDS,
        mean_us=round(mean / 1e3),
        square_mean_us2=round((variance + mean**2) / 1e6),
    )


def delay_law(direction: LinkDirection) -> DelayLaw:
    """Return the law of ``direction``; equal figures share one table."""
    latency_ns = round(direction.latency * NANOSECONDS)
    jitter_ns = round(direction.jitter * NANOSECONDS)
    return _law(latency_ns, jitter_ns, direction.distribution)
