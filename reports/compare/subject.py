"""What a comparison needs of a run, in one value that a baseline file can hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ConfigDict

from reports.compare.quantiles import Distribution
from reports.recording import Outcome, RunRecord, Verdict, merge_intervals, new_histogram
from reports.story import concluded
from reports.text import without_passwords

__all__ = ["Subject", "subject_of"]

_EXACT: Final = (
    *("lost", "wrong", "duplicated", "invented", "conflicts", "lost_acknowledged", "unattempted"),
)
"""Fates of readings and alarms that nothing excuses."""

OWN: Final = ("fleet", "run", "locust")
"""Components of the test itself."""

_BRINGING: Final = ("push", "pull", "gap")
"""Series of exchanges that bring readings."""

_REGISTRATIONS: Final = ("nodes", "expired", "refused", "retried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One run as a comparison sees it.

    Attributes:
        run: name of its folder.
        verdict: what it concluded.
        reasons: why.
        owed: how many readings were owed.
        asked: the scenario with its defaults, by dotted key, values as JSON.
        machine: facts of the machine it ran on.
        versions: of what was run.
        figures: what is compared, by name; units as their rules say.
        latency: encoded HDR histograms in microseconds by series, and by ``series/link class``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    run: str
    verdict: Outcome
    reasons: tuple[str, ...] = ()
    owed: int = 0
    asked: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    latency: dict[str, str] = field(default_factory=dict)

    @property
    def own_cpu_s(self) -> float | None:
        """CPU time of the test itself, without the system under test; None: not measured."""
        names = (f"resources.{component}.cpu" for component in OWN)
        found = [self.figures[name] for name in names if name in self.figures]
        return sum(found) or None

    def distributions(self) -> dict[str, Distribution]:
        """Return the latencies of each series that has any."""
        return {name: Distribution.decode(text) for name, text in self.latency.items()}

    def exchanges(self) -> int:
        """Return how many exchanges brought readings, as far as their latencies tell."""
        return sum(
            Distribution.decode(self.latency[series]).samples
            for series in _BRINGING
            if series in self.latency
        )


def subject_of(record: RunRecord, by_link: Mapping[tuple[str, str], Any]) -> Subject:
    """Return what a comparison needs of a recorded run.

    Args:
        record: the run.
        by_link: histograms by (series, link class), which the log of latencies does not tell apart.
    """
    verdict = concluded(record)
    return Subject(
        run=record.directory.name,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        owed=verdict.readings.owed,
        asked=dict(_flat("", record.resolved)),
        machine=dict(verdict.environment.host),
        versions=dict(verdict.environment.versions),
        figures=dict(_figures(verdict)) if record.verdict is not None else {},
        latency=_latency(record, by_link),
    )


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield each leaf of a JSON value under its dotted key."""
    items: Iterator[tuple[object, object]]
    if isinstance(value, dict) and value:
        items = iter(value.items())
    elif isinstance(value, list) and value:
        items = iter(enumerate(value))
    else:
        yield key, without_passwords(json.dumps(value, ensure_ascii=False))
        return
    for name, part in items:
        yield from _flat(f"{key}.{name}" if key else str(name), part)


def _latency(record: RunRecord, by_link: Mapping[tuple[str, str], Any]) -> dict[str, str]:
    logged = merge_intervals(record.latency)
    # What the head-end measures of itself is told at its end only and is in no log.
    series = _over_all_links(by_link) | logged
    classes: dict[str, set[str]] = {}
    for name, link in by_link:
        classes.setdefault(name, set()).add(link)
    parts = {
        f"{name}/{link}": histogram
        for (name, link), histogram in sorted(by_link.items())
        if link and len(classes[name]) > 1
    }
    filled = {name: one for name, one in (series | parts).items() if one.get_total_count()}
    return {name: histogram.encode().decode() for name, histogram in sorted(filled.items())}


def _over_all_links(by_link: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    series: dict[str, Any] = {}
    for (name, _), histogram in by_link.items():
        series.setdefault(name, new_histogram()).add(histogram)
    return series


def _figures(verdict: Verdict) -> Iterator[tuple[str, float]]:
    """Yield everything that is one number a run; what was not measured is left out."""
    readings = verdict.readings
    yield "checks.failed", sum(check.passed is False for check in verdict.checks)
    yield from ((f"readings.{name}", getattr(readings, name)) for name in _EXACT)
    if readings.late is not None:
        yield "readings.late", readings.late / max(1, readings.owed)
    if verdict.alarms is not None:
        yield from ((f"alarms.{name}", getattr(verdict.alarms, name)) for name in _EXACT)
    yield from _commands(verdict)
    yield from _registrations(verdict)
    yield "throughput.readings_per_s", verdict.throughput.readings_per_s
    yield "generator.lag", verdict.generator.lag_s_max
    yield from _resources(verdict)


def _commands(verdict: Verdict) -> Iterator[tuple[str, float]]:
    whole_grid = [counts for counts in verdict.commands if not counts.link]
    if whole_grid:
        yield "commands.unexecuted", sum(counts.issued - counts.executed for counts in whole_grid)
        yield "commands.failed", sum(counts.failed for counts in whole_grid)
        yield "commands.repeated", sum(counts.repeated for counts in whole_grid)


def _registrations(verdict: Verdict) -> Iterator[tuple[str, float]]:
    found = verdict.registrations
    if found is None:
        return
    yield from ((f"registrations.{name}", getattr(found, name)) for name in _REGISTRATIONS)
    for storm in found.storms:
        yield f"registrations.missing.{storm.number}", storm.nodes - storm.again
        if storm.last_s is not None:
            yield f"registrations.storm.{storm.number}", storm.last_s


def _resources(verdict: Verdict) -> Iterator[tuple[str, float]]:
    names = {"cpu_s": "cpu", "rss_mib_max": "memory", "bytes": "size"}
    for component, figures in verdict.resources.items():
        for key, value in figures.items():
            if key in names:
                yield f"resources.{component}.{names[key]}", value
