"""The time axis that all charts of a run share, with its faults and phases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reports.charts.lanes import in_lanes
from reports.charts.model import Band
from reports.charts.scales import Scale, time_scale
from reports.recording import FaultBegan, FaultEnded, PhaseEnded, PhaseStarted, RunRecord, RunTime
from reports.text import span

__all__ = ["Timeline", "run_timeline"]

_TIMES_TOLD: Final = 4


@dataclass(frozen=True, slots=True)
class Timeline:
    """Wall time from the run's begin to its end. ``faults`` and ``phases`` are bands on it."""

    scale: Scale
    faults: tuple[Band, ...]
    phases: tuple[Band, ...]


def run_timeline(record: RunRecord) -> Timeline:
    """Lay out the time of ``record``."""
    moments = list(_moments(record)) or [RunTime(0.0, 0.0)]
    first = min(moments, key=lambda at: at.wall_s)
    last = max(moments, key=lambda at: at.wall_s)
    length_s = last.wall_s - first.wall_s
    rate = (last.scenario_s - first.scenario_s) / length_s if length_s else 1.0

    def scenario_s(wall_s: float) -> float:
        return first.scenario_s + (wall_s - first.wall_s) * rate

    scale = time_scale(min(first.wall_s, 0.0), last.wall_s, scenario_s)
    return Timeline(scale, _faults(record, scale), _phases(record, scale))


def _moments(record: RunRecord) -> Iterable[RunTime]:
    for event in record.events:
        yield event.at
    for series in record.series:
        if series.wall_s:
            yield RunTime(series.scenario_s[0], series.wall_s[0])
            yield RunTime(series.scenario_s[-1], series.wall_s[-1])


def _band(scale: Scale, name: str, text: str, low_s: float, high_s: float) -> Band:
    low, high = scale.place(np.array([low_s, high_s]))
    return Band(name, text, float(low), float(high))


def _end(name: str, start_s: float, ends: list[tuple[str, float]], scale: Scale) -> float:
    """Return when what began at ``start_s`` ended: the next end of its name, or the run's."""
    later = [end_s for ended, end_s in ends if ended == name and end_s >= start_s]
    return min(later, default=scale.high)


def _faults(record: RunRecord, scale: Scale) -> tuple[Band, ...]:
    ends = [(e.fault, e.at.wall_s) for e in record.events if isinstance(e, FaultEnded)]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for event in record.events:
        if isinstance(event, FaultBegan):
            begins_s = event.at.wall_s
            times = found.setdefault((event.fault, event.description), [])
            times.append((begins_s, _end(event.fault, begins_s, ends, scale)))
    return in_lanes(
        replace(_band(scale, f"F{number}", text if first else "", *time), what=fault)
        for number, ((fault, description), times) in enumerate(found.items(), 1)
        for text in [_told(fault, description, times)]
        for first, time in zip([True, *[False] * len(times)], times, strict=False)
    )


def _told(fault: str, description: str, times: Sequence[tuple[float, float]]) -> str:
    what = f"{fault}: {description}" if description else fault
    told = [f"{span(begins_s)} to {span(ends_s)}" for begins_s, ends_s in times[:_TIMES_TOLD]]
    if len(times) > _TIMES_TOLD:
        told.append(f"and {len(times) - _TIMES_TOLD} times more")
    return f"{what} ({', '.join(told)})"


def _phases(record: RunRecord, scale: Scale) -> tuple[Band, ...]:
    ends = [(e.phase, e.at.wall_s) for e in record.events if isinstance(e, PhaseEnded)]
    return tuple(
        _band(scale, _short(e.phase), "", e.at.wall_s, _end(e.phase, e.at.wall_s, ends, scale))
        for e in record.events
        if isinstance(e, PhaseStarted)
    )


def _short(phase: str) -> str:
    return re.sub(r"[_\s]+", " ", phase).strip()
