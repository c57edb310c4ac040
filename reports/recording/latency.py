"""Latency histograms: HDR, in microseconds, tagged by series, in ``latency.hlog``.

The file is the HdrHistogram log format, version 1.2, so other tools read it too. Interval times
are wall seconds since the run began.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

from reports.recording.errors import RecordError
from reports.recording.verdict import LatencyPercentiles

__all__ = [
    "LatencyInterval",
    "format_interval",
    "latencies_at",
    "log_header",
    "merge_intervals",
    "new_histogram",
    "percentiles",
    "read_intervals",
    "record_latency",
]

LONGEST_US: Final = 86_400_000_000
"""One day: no latency of a run is longer; a longer one is recorded as this."""

_TAG: Final = re.compile(r"[A-Za-z0-9_.:/-]+")
_LINE: Final = re.compile(r"(?:Tag=([^,]+),)?([0-9.]+),([0-9.]+),([0-9.]+),(\S+)")
DECODE_ERRORS: Final = (
    HdrCookieException,
    HdrHistogramSettingsException,
    HdrLengthException,
    ValueError,
    zlib.error,
)


def new_histogram() -> Any:  # noqa: ANN401  (hdrhistogram has no types)
    """Return an empty histogram: 1 microsecond to one day, three significant digits."""
    return HdrHistogram(1, LONGEST_US, 3)


def record_latency(histogram: Any, latency_s: float) -> None:  # noqa: ANN401
    """Count one latency; below 1 microsecond counts as that, above one day as one day."""
    histogram.record_value(min(max(round(latency_s * 1e6), 1), LONGEST_US))


def percentiles(histogram: Any) -> LatencyPercentiles:  # noqa: ANN401
    """Return the percentiles of a histogram with at least one sample."""
    p50, p90, p99, p99_9 = latencies_at(histogram, (50.0, 90.0, 99.0, 99.9))
    longest = histogram.get_max_value() / 1e6
    return LatencyPercentiles(p50=p50, p90=p90, p99=p99, p99_9=p99_9, max=longest)


def latencies_at(histogram: Any, percents: Sequence[float]) -> list[float]:  # noqa: ANN401
    """Return the latency in seconds at each of ``percents`` of a histogram with a sample.

    One pass for all of them: each pass goes over thousands of counts in Python.
    """
    found = histogram.get_percentile_to_value_dict(list(percents))
    return [found[percent] / 1e6 for percent in percents]


@dataclass(frozen=True, slots=True)
class LatencyInterval:
    """The latencies of one series between two moments (wall seconds since the run began)."""

    series: str
    start_s: float
    end_s: float
    histogram: Any


def log_header() -> str:
    """Return the lines that open a histogram log."""
    return (
        "#[Histogram log format version 1.2]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    )


def format_interval(interval: LatencyInterval) -> str:
    """Return one line of the log.

    Raises:
        ValueError: the name of the series cannot stand in the log.
    """
    if not _TAG.fullmatch(interval.series):
        raise ValueError(f"{interval.series!r} cannot be the tag of a histogram log")
    histogram = interval.histogram
    return (
        f"Tag={interval.series},{interval.start_s:.3f},{interval.end_s - interval.start_s:.3f},"
        f"{histogram.get_max_value() / 1e6:.6f},{histogram.encode().decode('ascii')}\n"
    )


def read_intervals(path: Path) -> tuple[LatencyInterval, ...]:
    """Read a histogram log; a last line without its newline was cut short and is left out.

    Raises:
        RecordError: a line is not what the format says.
    """
    text = path.read_text(encoding="ascii", errors="replace")
    complete = text[: text.rfind("\n") + 1].splitlines()
    return tuple(
        _parse_line(line, path, number)
        for number, line in enumerate(complete, 1)
        if line and not line.startswith(("#", '"'))
    )


def _parse_line(line: str, path: Path, number: int) -> LatencyInterval:
    match = _LINE.fullmatch(line)
    if match is None:
        raise RecordError("no interval of a histogram log", path=path, line=number)
    try:
        start_s, length_s = float(match[2]), float(match[3])
        histogram = HdrHistogram.decode(match[5])
    except DECODE_ERRORS as error:
        raise RecordError(str(error), path=path, line=number) from None
    return LatencyInterval(match[1] or "all", start_s, start_s + length_s, histogram)


def merge_intervals(intervals: tuple[LatencyInterval, ...]) -> dict[str, Any]:
    """Return one histogram for each series, all its intervals added up."""
    merged: dict[str, Any] = {}
    for interval in intervals:
        whole = merged.setdefault(interval.series, new_histogram())
        whole.add(interval.histogram)
    return merged
