"""Latencies of a run: what fleet shards and head-end shards recorded, merged."""

from __future__ import annotations

from typing import Any

from harness.check.recorded import RecordedRun
from harness.histograms import recorded
from reports.recording import new_histogram


def latencies(run: RecordedRun) -> dict[tuple[str, str], Any]:
    """Return one histogram (microseconds) per (series, link profile), merged over all shards."""
    merged: dict[tuple[str, str], Any] = {}
    of_fleet = [part for summary in run.summaries() for part in summary["latencies"]]
    for part in [*of_fleet, *run.facts.latencies]:
        whole = merged.setdefault((part["series"], part["link"]), new_histogram())
        whole.add(recorded(part["histogram"]))
    return merged


def by_series(merged: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return one histogram per series, over all links."""
    series: dict[str, Any] = {}
    for (name, _), histogram in merged.items():
        series.setdefault(name, new_histogram()).add(histogram)
    return series
