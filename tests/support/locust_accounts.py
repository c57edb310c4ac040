"""Both ways into Locust's statistics, in a process of their own: Locust patches its process.

Reads a batch of a shard as JSON from standard input; writes what Locust says after it was entered
at once, and after each of its exchanges was logged by Locust's own means.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from locust.stats import RequestStats, StatsEntry

from harness.load.statistics import enter_batch

FIELDS: Final = (
    "num_requests",
    "num_none_requests",
    "num_failures",
    "total_response_time",
    "min_response_time",
    "max_response_time",
    "total_content_length",
    "response_times",
)
PERCENTS: Final = (0.5, 0.9, 0.99, 1.0)


def at_once(batches: list[dict[str, Any]]) -> RequestStats:
    """Enter batches as our driver does."""
    stats = RequestStats()
    for batch in batches:
        enter_batch(stats, batch)
    return stats


def one_by_one(batches: list[dict[str, Any]]) -> RequestStats:
    """Enter every exchange as Locust's request event does."""
    stats = RequestStats()
    for batch in batches:
        octets = batch["octets"]
        for latency, times in batch["milliseconds"].items():
            for _ in range(times):
                stats.log_request(batch["method"], batch["name"], latency, octets)
                octets = 0
        for cause, times in batch["failures"].items():
            for _ in range(times):
                stats.log_request(batch["method"], batch["name"], None, 0)  # type: ignore[arg-type]
                stats.log_error(batch["method"], batch["name"], cause)
    return stats


def told(stats: RequestStats) -> dict[str, Any]:
    """Return what ``stats`` says, as JSON values."""
    entries = {entry.name: entry for entry in stats.entries.values()} | {"total": stats.total}
    return {
        "entries": {name: _entry(entry) for name, entry in entries.items()},
        "errors": {error.error: error.occurrences for error in stats.errors.values()},
    }


def _entry(entry: StatsEntry) -> Mapping[str, Any]:
    values = {name: getattr(entry, name) for name in FIELDS}
    percentiles = [entry.get_response_time_percentile(percent) for percent in PERCENTS]
    a_second = sum(entry.num_reqs_per_sec.values()), sum(entry.num_fail_per_sec.values())
    return values | {"percentiles": percentiles, "a second": a_second}


def main() -> None:
    """Compare both ways."""
    batches = json.load(sys.stdin)
    for batch in batches:
        batch["milliseconds"] = {int(key): n for key, n in batch["milliseconds"].items()}
    json.dump([told(at_once(batches)), told(one_by_one(batches))], sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
