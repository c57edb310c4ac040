"""Axes: from values to places, and where the ticks go.

A place is a share of the axis, 0 at its low end and 1 at its high end, so that the drawing can be
stretched to any width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reports.text import grid_clock, short_count

__all__ = [
    "FloatArray",
    "Scale",
    "Tick",
    "linear_scale",
    "log_scale",
    "percentile_scale",
    "time_scale",
]

FloatArray = NDArray[np.float64]

_TIME_STEPS_S: Final = tuple(
    float(step)
    for step in (
        *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
        *(3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800),
    )
)
_PERCENTILES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis. ``second`` is a second line of text below, ``minor`` may be hidden."""

    place: float
    text: str
    second: str = ""
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: `place` maps values to 0..1; ``kind`` tells the page how to read them back."""

    kind: str
    low: float
    high: float
    ticks: tuple[Tick, ...]

    def place(self, values: FloatArray) -> FloatArray:
        """Return where ``values`` lie on the axis, clipped to it."""
        low, high = _inner(self.kind, np.array([self.low, self.high]))
        share: FloatArray = (_inner(self.kind, values) - low) / (high - low)
        return share.clip(0.0, 1.0)


def _inner(kind: str, values: FloatArray) -> FloatArray:
    if kind == "log":
        return np.log10(np.maximum(values, 1e-9))
    if kind == "percentile":
        return -np.log10(np.maximum(1.0 - values / 100.0, 1e-9))
    return values


def _scale(kind: str, low: float, high: float, marks: list[tuple[float, str, bool]]) -> Scale:
    bare = Scale(kind, low, high, ())
    places = bare.place(np.array([value for value, _, _ in marks], dtype=np.float64))
    ticks = tuple(
        Tick(float(place), text, minor=minor)
        for place, (_, text, minor) in zip(places, marks, strict=True)
    )
    return Scale(kind, low, high, ticks)


def linear_scale(
    high: float,
    text: Callable[[float], str] = short_count,
    *,
    base: float = 10.0,
    whole: bool = False,
) -> Scale:
    """Return an axis from 0 to a round number at or above ``high``, with four to six ticks.

    ``base`` 2 makes the steps powers of two, as sizes want them; ``whole`` allows no fractions.
    """
    step = _nice_step(high / 5 if high > 0 else 0.2, base)
    if whole:
        step = max(step, 1.0)
    steps = max(math.ceil(high / step - 1e-9), 1)
    marks = [(step * i, text(step * i), False) for i in range(steps + 1)]
    return _scale("linear", 0.0, step * steps, marks)


def _nice_step(rough: float, base: float) -> float:
    if base == 2.0:
        return float(2.0 ** math.ceil(math.log2(rough)))
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(m * magnitude for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * magnitude >= rough * 0.999)


def log_scale(low: float, high: float, text: Callable[[float], str]) -> Scale:
    """Return a logarithmic axis whose ends are 1, 2 or 5 times a power of ten."""
    candidates = [m * 10.0**e for e in range(-7, 7) for m in (1.0, 2.0, 5.0)]
    first = max((c for c in candidates if c <= low), default=candidates[0])
    last = min((c for c in candidates if c >= high and c > first), default=candidates[-1])
    inside = [c for c in candidates if first <= c <= last]
    many = len(inside) > 8
    marks = [(c, text(c), many and not _is_decade(c)) for c in inside]
    return _scale("log", first, last, marks)


def _is_decade(value: float) -> bool:
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9


def percentile_scale() -> Scale:
    """Return the axis of percentile curves: every further nine takes the same width."""
    marks = [(p, f"{p:g} %", p == 0.0) for p in _PERCENTILES]
    return _scale("percentile", 0.0, _PERCENTILES[-1], marks)


def _run_time(value_s: float, longest_s: float) -> str:
    """Return one unit for all ticks of an axis, so that they compare at a glance."""
    if longest_s <= 240:
        return f"{value_s:g} s"
    return f"{value_s / 60:g} min" if longest_s <= 4 * 3600 else f"{value_s / 3600:g} h"


def time_scale(low: float, high: float, scenario_s: Callable[[float], float]) -> Scale:
    """Return the axis of wall time; the second line of each tick is the scenario's time."""
    high = max(high, low + 1.0)
    step = next((s for s in _TIME_STEPS_S if (high - low) / s <= 8), _TIME_STEPS_S[-1])
    values = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    ticks = []
    for number, value in enumerate(values):
        place = (value - low) / (high - low)
        text, second = _run_time(value, high), grid_clock(scenario_s(value))
        ticks.append(Tick(place, text, second, minor=number % 2 == 1))
    return Scale("time", low, high, tuple(ticks))
