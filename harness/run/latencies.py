"""Latencies of a run over time: what the fleet's histograms have grown by, interval by interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from harness.histograms import gained, recorded
from reports.recording import LatencyInterval, RunRecorder, new_histogram

EVERY_S: Final = 2.0
"""Shortest interval worth a line of the log."""


class LatencyLog:
    """Writes ``latency.hlog`` from the shards' histograms, which only ever grow.

    Each shard tells all its latencies since the start; the log wants those of an interval, so that
    the report can draw them over time. The intervals of a series add up to what the shards said.

    Args:
        recorder: the record.
    """

    def __init__(self, recorder: RunRecorder) -> None:
        self._recorder = recorder
        self._told: dict[tuple[int, str, str], str] = {}
        self._since_s: float | None = None

    def take(
        self, wall_s: float, summaries: Iterable[Mapping[str, Any]], *, last: bool = False
    ) -> None:
        """Log what is new in the shards' summaries, in order of shards, at that wall time.

        Nothing is logged before 2 s have passed since the last time, unless it is the ``last``.
        """
        # The fleet came long after the run began: its first interval is as short as the others.
        since_s = max(0.0, wall_s - EVERY_S) if self._since_s is None else self._since_s
        if wall_s - since_s < EVERY_S and not last:
            return
        grown: dict[str, Any] = {}
        for shard, summary in enumerate(summaries):
            for part in summary.get("latencies", ()):
                whole = grown.setdefault(part["series"], new_histogram())
                whole.add(self._growth((shard, part["series"], part["link"]), part["histogram"]))
        for series, histogram in sorted(grown.items()):
            self.put(series, since_s, wall_s, histogram)
        self._since_s = wall_s

    def put(self, series: str, start_s: float, end_s: float, histogram: Any) -> None:  # noqa: ANN401
        """Log the latencies of one interval; one without a sample is left out."""
        if histogram.get_total_count():
            self._recorder.latency(LatencyInterval(series, start_s, end_s, histogram))

    def _growth(self, key: tuple[int, str, str], encoded: str) -> Any:  # noqa: ANN401
        before = self._told.get(key)
        self._told[key] = encoded
        return recorded(encoded) if before is None else gained(encoded, before)
