"""Runs as a comparison sees them, made of samples instead of by running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from reports.compare import Subject
from reports.recording import new_histogram, record_latency

SMALL_RUN: Final = 320
"""Pushes of a run of 80 concentrators and four steps."""

ASKED: Final = {
    "name": '"small"',
    "seed": "7",
    "speed": "180.0",
    "link": '"model"',
    "links.order": '"link"',
    "grid.links.0.profile": '"seed-1"',
    "target.kind": '"reference"',
    "target.group_commit": '"0.1 s"',
}
MACHINE: Final = {"processor": "a processor", "cores": "2", "memory": "7.6 GiB"}
FIGURES: Final = {
    "checks.failed": 0.0,
    "readings.lost": 0.0,
    "readings.late": 0.08,
    "throughput.readings_per_s": 240.0,
    "generator.lag": 0.01,
    "resources.fleet.cpu": 30.0,
    "resources.headend.cpu": 40.0,
    "resources.headend.memory": 140.0,
}


def latencies(seed: int, count: int = SMALL_RUN, *, median_s: float = 2.4) -> list[float]:
    """Draw latencies as links make them: log-normal, their sigma 0.4."""
    drawn = np.random.default_rng(seed).lognormal(np.log(median_s), 0.4, count)
    return [float(value) for value in drawn]


def encoded(samples_s: Sequence[float]) -> str:
    histogram: Any = new_histogram()
    for value_s in samples_s:
        record_latency(histogram, value_s)
    text: str = histogram.encode().decode()
    return text


def subject(
    run: str = "run",
    *,
    asked: Mapping[str, str] | None = None,
    machine: Mapping[str, str] | None = None,
    figures: Mapping[str, float] | None = None,
    latency: Mapping[str, Sequence[float]] | None = None,
    **others: Any,
) -> Subject:
    """Return a run that passed, changed as given."""
    told = {"push": latencies(1)} if latency is None else latency
    values: dict[str, Any] = {"verdict": "passed", "owed": 4800} | others
    return Subject(
        run=run,
        asked=ASKED | dict(asked or {}),
        machine=MACHINE | dict(machine or {}),
        figures=FIGURES | dict(figures or {}),
        latency={name: encoded(samples_s) for name, samples_s in told.items()},
        **values,
    )
