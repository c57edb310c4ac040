"""Locust's CSV files, written again at the very end.

Locust writes them every second while the test runs and not once more after the last counts have
arrived, so they say less than its console and JSON (locust #1806, facts/scale.md 1.7).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust.env import Environment
from locust.stats import PERCENTILES_TO_REPORT, StatsCSV


def rewrite_tables(environment: Environment) -> None:
    """Replace ``PREFIX_stats.csv`` and ``PREFIX_failures.csv``; nothing where none were asked for.

    Locust still holds the old files open and flushes them when it closes: new ones take their
    names, so that this does no harm.
    """
    options = environment.parsed_options
    prefix = getattr(options, "csv_prefix", None)
    if prefix is None:
        return
    tables = StatsCSV(environment, PERCENTILES_TO_REPORT)
    _replace(Path(f"{prefix}_stats.csv"), tables.requests_csv)
    _replace(Path(f"{prefix}_failures.csv"), tables.failures_csv)


def _replace(path: Path, write: Callable[[Any], None]) -> None:
    beside = path.with_name(path.name + ".new")
    with beside.open("w", newline="", encoding="utf-8") as file:
        write(csv.writer(file))
    beside.replace(path)
