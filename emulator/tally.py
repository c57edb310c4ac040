"""What a shard has done: counts for Locust, latencies for the record, the worst lag.

Latencies are real seconds from the *intended* moment. Histograms are HDR with three
significant digits from a microsecond to an hour.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from hdrh.histogram import HdrHistogram

LATENCY_US_MAX: Final = 3_600_000_000
DIGITS: Final = 3
RECEIVED: Final = "octets received"
SENT: Final = "octets sent"


@dataclass(slots=True)
class _Batch:
    milliseconds: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    octets: int = 0


class Tally:
    """Counts of one shard, by series (``push``, ``served``) and link profile."""

    def __init__(self) -> None:
        self.lag_s_max = 0.0
        self.counts: Counter[str] = Counter()
        self._batches: dict[tuple[str, str, str], _Batch] = {}
        self._latencies: dict[tuple[str, str], HdrHistogram] = {}

    def lagged(self, lag_s: float) -> None:
        """Note how late, in real seconds, the generator began something that was due."""
        self.lag_s_max = max(self.lag_s_max, lag_s)

    def count(self, what: str, times: int = 1) -> None:
        """Count something that happened."""
        self.counts[what] += times

    def carried(self, *, received: int = 0, sent: int = 0) -> None:
        """Count octets of data that crossed sockets, without the headers beneath them."""
        self.counts[RECEIVED] += received
        self.counts[SENT] += sent

    def answered(
        self, series: str, link: str, latency_s: float, octets: int, protocol: str = "dlms"
    ) -> None:
        """Note an exchange that succeeded, ``latency_s`` after it was intended."""
        batch = self._batch(protocol, series, link)
        batch.milliseconds[round(latency_s * 1000)] += 1
        batch.octets += octets
        self.counts[f"{series}.answered"] += 1
        latency_us = min(LATENCY_US_MAX, max(1, round(latency_s * 1_000_000)))
        self._histogram(series, link).record_value(latency_us)

    def failed(self, series: str, link: str, cause: str, protocol: str = "dlms") -> None:
        """Note an exchange that did not succeed."""
        self._batch(protocol, series, link).failures[cause] += 1
        self.counts[f"{series}.failed"] += 1
        self.counts[f"{series}.failed: {cause}"] += 1

    def take_batches(self) -> list[dict[str, Any]]:
        """Return, once, what happened since the last call, in the form Locust's side enters."""
        batches, self._batches = self._batches, {}
        return [
            {
                "method": protocol.upper(),
                "name": f"{series} over {link}",
                "milliseconds": dict(batch.milliseconds),
                "failures": dict(batch.failures),
                "octets": batch.octets,
            }
            for (protocol, series, link), batch in batches.items()
        ]

    def histograms(self) -> list[dict[str, Any]]:
        """Return every latency histogram since the start: series, link, encoded text."""
        return [
            {"series": series, "link": link, "histogram": histogram.encode().decode()}
            for (series, link), histogram in self._latencies.items()
        ]

    def _batch(self, protocol: str, series: str, link: str) -> _Batch:
        return self._batches.setdefault((protocol, series, link), _Batch())

    def _histogram(self, series: str, link: str) -> HdrHistogram:
        key = (series, link)
        if key not in self._latencies:
            self._latencies[key] = HdrHistogram(1, LATENCY_US_MAX, DIGITS)
        return self._latencies[key]
