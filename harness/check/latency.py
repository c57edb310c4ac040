"""Latencies of a run: what fleet shards, clients and head-end shards recorded, merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.check.recorded import RecordedRun
from harness.histograms import recorded
from reports.recording import new_histogram


def latencies(run: RecordedRun) -> dict[tuple[str, str], Any]:
    """Return one histogram (microseconds) per (series, link profile), merged over all of them."""
    working = [*run.summaries(), *run.client_summaries()]
    of_fleet = [part for summary in working for part in summary["latencies"]]
    return merged_latencies([*of_fleet, *run.facts.latencies])


def merged_latencies(parts: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], Any]:
    """Return one histogram (microseconds) per (series, link profile) of all that processes told.

    Raises what decoding raises for a histogram that is damaged, `KeyError` for a part without one.
    """
    merged: dict[tuple[str, str], Any] = {}
    for part in parts:
        whole = merged.setdefault((part["series"], part["link"]), new_histogram())
        whole.add(recorded(part["histogram"]))
    return merged


def by_series(merged: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return one histogram per series, over all links."""
    series: dict[str, Any] = {}
    for (name, _), histogram in merged.items():
        series.setdefault(name, new_histogram()).add(histogram)
    return series
