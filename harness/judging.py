"""A scenario's checks held against what a run measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from harness.limits import MEASURES, PARTS, PERCENTILES, Limit, Unit
from reports.recording import Check, Verdict

MEBIBYTE: Final = 2**20


def judge(checks: Mapping[str, Limit], measured: Mapping[str, float]) -> tuple[Check, ...]:
    """Return every check with its outcome, in the order of ``checks``.

    A check of something that was not measured has no outcome: the run is inconclusive.
    """
    return tuple(_judge(name, limit, measured) for name, limit in checks.items())


def _judge(name: str, limit: Limit, measured: Mapping[str, float]) -> Check:
    value = measured.get(name)
    measure = MEASURES[name]
    whole = int(measured.get(measure.whole, 0)) if measure.whole else None
    return Check(
        name=name,
        limit=str(limit),
        measured=None if value is None else _written(value, whole, limit.unit),
        passed=None if value is None else limit.holds(value, whole=whole),
        explanation=measure.meaning,
    )


def _written(value: float, whole: int | None, unit: Unit) -> int | str:
    if unit is Unit.COUNT:
        return int(value)
    if unit is Unit.OCTETS:
        return f"{value / MEBIBYTE:,.1f} MiB"
    number = 100 * value / (whole or 1) if unit is Unit.SHARE else value
    return f"{number:.6g} {unit.value}"


def measurements(verdict: Verdict) -> dict[str, float]:
    """Return what ``verdict`` says about each of `MEASURES`; what it did not measure is left out.

    Counts, seconds, octets and factors, as `Limit.holds` takes them.
    """
    measured: dict[str, float] = {
        f"readings.{name}": count
        for name, count in asdict(verdict.readings).items()
        if count is not None
    }
    measured |= _commands(verdict)
    for service, latency in verdict.latency_s.items():
        for percentile in PERCENTILES:
            measured[f"{service}.latency.{percentile}"] = getattr(latency, percentile)
    measured["throughput.times_real_time"] = verdict.throughput.times_real_time
    measured |= _resources(verdict)
    return {name: value for name, value in measured.items() if name in MEASURES}


def _commands(verdict: Verdict) -> dict[str, float]:
    whole_grid = [counts for counts in verdict.commands if not counts.link]
    issued, executed, repeated, failed = (
        sum(getattr(counts, name) for counts in whole_grid)
        for name in ("issued", "executed", "repeated", "failed")
    )
    return {
        "commands.issued": issued,
        "commands.executed": executed,
        "commands.repeated": repeated,
        "commands.failed": failed,
        "commands.lost": issued - executed - failed,
    }


def _resources(verdict: Verdict) -> dict[str, float]:
    measured: dict[str, float] = {}
    for part in PARTS:
        figures = verdict.resources.get(part, {})
        if "rss_mib_max" in figures:
            measured[f"resources.{part}.memory"] = figures["rss_mib_max"] * MEBIBYTE
    store = verdict.resources.get("store", {})
    if "bytes" in store:
        measured["resources.store.size"] = store["bytes"]
    return measured
