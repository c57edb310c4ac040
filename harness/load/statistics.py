"""Pre-aggregated counts of a shard, entered into Locust's statistics.

Locust's own way, one event per request, costs 3 µs each; a batch of any size costs 60 µs. The form
is the one Locust's master uses for its workers' reports, so distribution works unchanged
(facts/scale.md 1.7). Locust keeps two significant digits: its percentiles are a live view, the
run's HDR log is the truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time


def enter_batch(stats: RequestStats, batch: Mapping[str, Any]) -> None:
    """Add one batch of a shard to ``stats``.

    ``batch`` has: ``method`` and ``name``; ``milliseconds``, a map of latency in whole
    milliseconds to how many exchanges took that long; ``octets`` in all; ``failures``, a map of
    cause to how many exchanges failed of it.
    """
    entry = _entry(stats, batch)
    if entry.num_requests == 0:
        return
    stats.get(entry.name, entry.method).extend(entry)
    stats.total.extend(entry)
    for cause, times in batch["failures"].items():
        _enter_failures(stats, entry, cause, times)


def _entry(stats: RequestStats, batch: Mapping[str, Any]) -> StatsEntry:
    latencies: Mapping[int, int] = batch["milliseconds"]
    failures = sum(batch["failures"].values())
    answered = sum(latencies.values())
    now = int(time.time())
    entry = StatsEntry(stats, batch["name"], batch["method"])
    entry.num_requests = answered + failures
    entry.num_none_requests = failures
    entry.num_failures = failures
    entry.total_response_time = sum(latency * times for latency, times in latencies.items())
    entry.total_content_length = batch["octets"]
    entry.max_response_time = max(latencies, default=0)
    entry.min_response_time = min(latencies, default=None)
    entry.last_request_timestamp = time.time()
    entry.num_reqs_per_sec = {now: entry.num_requests}
    entry.num_fail_per_sec = {now: failures} if failures else {}
    for latency, times in latencies.items():
        bucket = bucket_response_time(latency)
        entry.response_times[bucket] = entry.response_times.get(bucket, 0) + times
    return entry


def _enter_failures(stats: RequestStats, entry: StatsEntry, cause: str, times: int) -> None:
    key = StatsError.create_key(entry.method, entry.name, cause)
    error = stats.errors.setdefault(key, StatsError(entry.method, entry.name, cause))
    error.occurrences += times
    error.last_seen = time.time()
    error.first_seen = error.first_seen or error.last_seen
