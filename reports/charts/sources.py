"""Picking series out of a record, and turning counters into rates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import numpy as np

from reports.charts.scales import FloatArray
from reports.recording import RunRecord, Series

__all__ = ["Points", "by_source", "pick", "rate"]

Points = tuple[FloatArray, FloatArray]

_LINES_MAX: Final = 8
_STEPS_MAX: Final = 240
_NUMBERED: Final = re.compile(r"(.+?)[-_. ]?[0-9]+")


def pick(record: RunRecord, source: str, metric: str) -> Points | None:
    """Return wall times and values of one series over all classes, or None if not recorded."""
    for series in record.series:
        if (series.source, series.metric, series.label) == (source, metric, ""):
            return _points(series)
    return None


def _points(series: Series) -> Points:
    return np.array(series.wall_s, dtype=np.float64), np.array(series.values, dtype=np.float64)


def rate(points: Points) -> Points:
    """Return the growth a second of a counter, placed at the end of each step.

    A long series is taken in longer steps, so that a rate is an average and no flicker. A counter
    that fell by half was started anew (a process came up again) and counts from zero.
    """
    stride = -(-len(points[0]) // _STEPS_MAX)
    x, y = (column[:: max(stride, 1)] for column in points)
    steps, grown = np.diff(x), np.diff(y)
    grown = np.where(y[1:] < y[:-1] / 2, y[1:], np.maximum(grown, 0.0))
    forward = steps > 0
    return x[1:][forward], grown[forward] / steps[forward]


def by_source(
    record: RunRecord,
    metric: str,
    change: Callable[[Points], Points] | None = None,
    *,
    worst: bool = False,
) -> dict[str, Points]:
    """Return the series of ``metric`` for each component.

    If there are many, those that differ by number only become one: added up, or with ``worst``
    the highest of them at each time. ``change`` is applied to each series before that.
    """
    found = {
        series.source: change(_points(series)) if change else _points(series)
        for series in record.series
        if series.metric == metric and not series.label
    }
    found = {source: points for source, points in found.items() if len(points[0])}
    return found if len(found) <= _LINES_MAX else _join(found, worst)


def _join(found: dict[str, Points], worst: bool) -> dict[str, Points]:
    groups: dict[str, list[Points]] = {}
    for source, points in found.items():
        match = _NUMBERED.fullmatch(source)
        groups.setdefault(match[1] if match else source, []).append(points)
    how = "worst of" if worst else "sum of"
    named = {
        name if len(group) == 1 else f"{name} ({how} {len(group)})": _combine(group, worst)
        for name, group in groups.items()
    }
    return dict(list(named.items())[:_LINES_MAX])


def _combine(group: list[Points], worst: bool) -> Points:
    x = np.unique(np.concatenate([points[0] for points in group]))
    each = np.array([np.interp(x, *points, left=0.0, right=0.0) for points in group])
    return x, each.max(axis=0) if worst else each.sum(axis=0)
