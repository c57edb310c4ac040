"""Every system of a run in one table: how much it did, how fast, and whether it was right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reports.recording import LatencyPercentiles, OperationFigures, Verdict
from reports.systems import systems
from reports.text import count, counted, figure, seconds, series_words

__all__ = ["COUNTS", "OVERVIEW_HEAD", "OverviewLine", "overview"]

OVERVIEW_HEAD: Final = ("", "asked", "answered", "refused", "failed", "per second", "p50", "p99")
COUNTS: Final = 5
"""So many columns after the first are counts, and how many a second; latencies follow."""
_SYSTEMS: Final = {"batteries": "bal", "bills": "billing"}
"""The system that each part of the record beside the readings is about."""
_TITLES: Final = {"bal": "Battery layer", "billing": "Billing"}
_OURS: Final = ("push", "pull", "command")
"""Series of latencies that are the head-end's."""


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """One system, with ``told`` saying whether it was right; or one thing that it did.

    ``cells`` are as `OVERVIEW_HEAD` names them, after the first; none of a system as a whole.
    """

    label: str
    told: str = ""
    cells: tuple[str, ...] = ()


def overview(verdict: Verdict) -> tuple[OverviewLine, ...]:
    """Return the lines; none where the head-end was alone, as all of the report is then on it."""
    beside = {_SYSTEMS[part.key]: part.sentence for part in systems(verdict)}
    names = dict.fromkeys([*beside, *(operation.system for operation in verdict.operations)])
    if not names:
        return ()
    lines = [OverviewLine("Head-end", _readings(verdict)), *_head_end(verdict)]
    for name in names:
        lines.append(OverviewLine(_TITLES.get(name, name), beside.get(name, "")))
        lines += [
            _operation(operation, verdict.latency_s.get(operation.name))
            for operation in verdict.operations
            if operation.system == name
        ]
    return tuple(lines)


def _readings(verdict: Verdict) -> str:
    readings = verdict.readings
    told = f"{count(readings.correct)} of {counted(readings.owed, 'reading')} owed stored and right"
    if readings.preloaded:
        told += f"; {count(readings.preloaded)} of before the run there and right"
    return f"{told}; {figure(verdict.throughput.readings_per_s)} readings/s"


def _head_end(verdict: Verdict) -> Iterator[OverviewLine]:
    for name in _OURS:
        latency = verdict.latency_s.get(name)
        if latency is not None:
            yield OverviewLine(name, cells=(*[""] * COUNTS, *_latency(latency)))


def _operation(operation: OperationFigures, latency: LatencyPercentiles | None) -> OverviewLine:
    counts = (operation.asked, operation.answered, operation.refused, operation.failed)
    return OverviewLine(
        series_words(operation.name),
        cells=(*map(count, counts), figure(operation.answered_per_s), *_latency(latency)),
    )


def _latency(latency: LatencyPercentiles | None) -> tuple[str, str]:
    return ("", "") if latency is None else (seconds(latency.p50), seconds(latency.p99))
