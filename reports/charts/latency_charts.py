"""Latency: percentile curves of the whole run, and percentiles over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from reports.charts.model import Chart, Curve, build_chart
from reports.charts.scales import log_scale, percentile_scale
from reports.charts.timeline import Timeline
from reports.recording import LatencyInterval, latencies_at, merge_intervals, new_histogram
from reports.text import seconds, span

__all__ = ["latency_over_time", "percentile_curves"]

_CURVE_POINTS: Final = 160
_TIME_BINS: Final = 120
_TABLE_PERCENTILES: Final = np.array([0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99])
_SERIES_MAX: Final = 8


def percentile_curves(intervals: tuple[LatencyInterval, ...]) -> Chart | None:
    """Draw the latency at every percentile up to 99.99, one curve a series."""
    merged = {k: h for k, h in merge_intervals(intervals).items() if h.get_total_count()}
    names = sorted(merged)[:_SERIES_MAX]
    if not names:
        return None
    curves = [_percentile_curve(name, merged[name], i) for i, name in enumerate(names, 1)]
    return build_chart(
        key="percentiles",
        title="Latency by percentile",
        note="Counted from the moment the work was due, not from when it was begun. "
        "A curve ends where the run has no sample beyond it.",
        unit="seconds",
        y_title="latency, logarithmic",
        x=percentile_scale(),
        y=_latency_scale(curves),
        curves=curves,
        text=seconds,
        x_text=lambda p: f"{p:g} %",
        table_x=_TABLE_PERCENTILES,
    )


def _latency_scale(curves: Sequence[Curve]) -> Any:  # noqa: ANN401
    low = min(float(curve.y.min()) for curve in curves)
    high = max(float(curve.y.max()) for curve in curves)
    return log_scale(max(low, 1e-6), high, seconds)


def _percentile_curve(name: str, histogram: Any, colour: int) -> Curve:  # noqa: ANN401
    # One sample in ten thousand is needed to speak of the 99.99th percentile.
    nines = min(4.0, max(math.log10(histogram.get_total_count()), 0.1))
    spread = 100.0 * (1.0 - 10.0 ** -np.linspace(0.0, nines, _CURVE_POINTS))
    at = np.union1d(spread, _TABLE_PERCENTILES[spread[-1] + 1e-9 >= _TABLE_PERCENTILES])
    return Curve(name, at, np.array(latencies_at(histogram, at.tolist())), colour)


def latency_over_time(intervals: tuple[LatencyInterval, ...], timeline: Timeline) -> Chart | None:
    """Draw the median and the 99th percentile of each series over the run."""
    names = sorted({i.series for i in intervals if i.histogram.get_total_count()})
    curves = [
        curve
        for colour, name in enumerate(names[: _SERIES_MAX // 2], 1)
        for curve in _over_time(name, intervals, timeline, colour)
    ]
    if not curves:
        return None
    return build_chart(
        key="latency-time",
        title="Latency over the run",
        note="Median and 99th percentile of what was finished in each interval.",
        unit="seconds",
        y_title="latency, logarithmic",
        x=timeline.scale,
        y=_latency_scale(curves),
        curves=curves,
        text=seconds,
        x_text=span,
        bands=timeline.faults,
    )


def _over_time(
    name: str, intervals: tuple[LatencyInterval, ...], timeline: Timeline, colour: int
) -> list[Curve]:
    bins = _binned([i for i in intervals if i.series == name], timeline)
    at = np.array([when for when, _ in bins])
    p50, p99 = np.array([latencies_at(histogram, (50.0, 99.0)) for _, histogram in bins]).T
    return [
        Curve(f"{name} p99", at, p99, colour),
        Curve(f"{name} median", at, p50, colour, dashed=True),
    ]


def _binned(intervals: list[LatencyInterval], timeline: Timeline) -> list[tuple[float, Any]]:
    """Add up the intervals of all processes that end in the same stretch of time."""
    length_s = timeline.scale.high - timeline.scale.low
    width_s = max(length_s / _TIME_BINS, max(i.end_s - i.start_s for i in intervals), 1e-3)
    bins: dict[int, Any] = {}
    for interval in intervals:
        if interval.histogram.get_total_count():
            whole = bins.setdefault(int(interval.start_s // width_s), new_histogram())
            whole.add(interval.histogram)
    return [((number + 0.5) * width_s, bins[number]) for number in sorted(bins)]
