"""Numbers as people read them: grouped digits, units, few digits."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

__all__ = [
    "clip",
    "count",
    "counted",
    "figure",
    "grid_clock",
    "measured",
    "named_figure",
    "octets",
    "printable",
    "seconds",
    "series_name",
    "series_words",
    "share",
    "short_count",
    "span",
    "utc",
    "without_passwords",
    "words",
]

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_PASSWORD: Final = re.compile(r"(?<=://)([^\s/?#@:]*):[^\s/?#]*@|(?<=[?&])(password=)[^\s&#]*")

_WORDS: Final = {
    "cpu_s": "processor time",
    "rss_mib_max": "memory, most",
    "bytes": "size",
    "descriptors_max": "descriptors, most",
    "received_bytes": "received",
    "transmitted_bytes": "sent",
}


_SERIES: Final = {
    "bal.status": "battery status",
    "bal.command": "battery command",
    "billing.bill": "bill",
    "billing.statistics": "billing statistics",
    "billing.export": "billing export",
}


def series_words(series: str) -> str:
    """Return what a series of latencies is of: ``push``, ``battery status``."""
    return _SERIES.get(series, series)


def series_name(series: str) -> str:
    """Return the same with the name that checks have for it: ``battery status (bal.status)``."""
    return f"{_SERIES[series]} ({series})" if series in _SERIES else series


def printable(text: str) -> str:
    """Replace what no document may hold (control characters, lone surrogates) by U+FFFD."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def without_passwords(text: str) -> str:
    """Return ``text`` with ``***`` for every password that a URL in it carries."""
    return _PASSWORD.sub(
        lambda found: f"{found[1]}:***@" if found[2] is None else "password=***", text
    )


def clip(text: str, length: int) -> str:
    """Return ``text``, ended with an ellipsis where it is longer than ``length``."""
    return text if len(text) <= length else text[: length - 1] + "…"


def count(value: float | None) -> str:
    """Return an integer with grouped digits: ``1,234``; ``unknown`` for None."""
    return "unknown" if value is None else f"{round(value):,}"


def counted(value: int, noun: str, plural: str = "") -> str:
    """Return ``1 reading``, ``2 readings``; ``plural`` where that is no mere s more."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {plural or f'{noun}s'}"


def short_count(value: float) -> str:
    """Return a count for an axis: ``250``, ``50 k``, ``1.5 M``."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def figure(value: float) -> str:
    """Return any number: integers grouped, others with four significant digits."""
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def measured(value: float | str | None) -> str:
    """Return the measured value of a check; a check that could not run has none."""
    if value is None:
        return "not measured"
    return value if isinstance(value, str) else figure(value)


def seconds(value: float) -> str:
    """Return a latency: ``850 µs``, ``8.5 ms``, ``1.84 s``, ``12.3 min``."""
    if value == 0:
        return "0 s"
    for size, unit, below in ((1e-6, "µs", 1e-3), (1e-3, "ms", 1.0), (1.0, "s", 120.0)):
        if abs(value) < below:
            return f"{value / size:.3g} {unit}"
    return f"{value / 60:,.1f} min" if abs(value) < 7200 else f"{value / 3600:,.1f} h"


def span(value: float) -> str:
    """Return a time span of whole seconds: ``45 s``, ``2 min``, ``1 min 30 s``, ``1 d 6 h``."""
    rest = round(abs(value))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        whole, rest = divmod(rest, size)
        if whole:
            parts.append(f"{whole} {unit}")
    sign = "-" if value < 0 and parts else ""
    return sign + (" ".join(parts[:2]) or "0 s")


def octets(value: float) -> str:
    """Return a size: ``512 B``, ``148 MiB``."""
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(value) >= size:
            scaled = value / size
            return f"{scaled:.0f} {unit}" if abs(scaled) >= 1000 else f"{scaled:.3g} {unit}"
    return f"{value:.3g} B"


def share(part: float, whole: float) -> str:
    """Return ``part`` of ``whole`` in per cent, never rounded up to 100 or down to 0."""
    if whole <= 0:
        return ""
    percent = 100 * part / whole
    if part == whole:
        return "100 %"
    if part == 0:
        return "0 %"
    if percent > 99.9:
        return f"{min(percent, 99.999):.3f} %"
    if percent < 0.001:
        return "< 0.001 %"
    return f"{percent:.3g} %"


def grid_clock(value: float) -> str:
    """Return scenario time as hours and minutes: ``0:15``, ``-0:05``, ``1 d 6:00``."""
    minutes = round(abs(value) / 60)
    days, minutes = divmod(minutes, 1440)
    sign = "-" if value < 0 and (days or minutes) else ""
    return f"{sign}{f'{days} d ' if days else ''}{minutes // 60}:{minutes % 60:02d}"


def utc(value: int) -> str:
    """Return POSIX seconds as a date and time, UTC; what no calendar has stays a number."""
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{value}"


def words(name: str) -> str:
    """Return a key as words, without its unit: ``rss_mib_max`` becomes ``memory, most``."""
    without_unit = re.sub(r"_(s|mib|bytes)(?=_|$)", "", name)
    return _WORDS.get(name, without_unit.replace("_", " "))


def named_figure(value: float, name: str) -> str:
    """Return a figure in the unit that the end of its name tells."""
    stem = re.sub(r"_(max|min|mean|total|p[0-9_]+)$", "", name)
    if stem == "cpu_s":
        return f"{value:,.1f} s"
    if stem.endswith("_s"):
        return seconds(value)
    if stem.endswith("_mib"):
        return octets(value * (1 << 20))
    if stem == "bytes" or stem.endswith("_bytes"):
        return octets(value)
    return figure(value)
