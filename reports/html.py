"""The report a person opens: one file, offline, readable without JavaScript."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reports import text
from reports.asked import asked
from reports.charts import draw_charts
from reports.charts.model import SIZE
from reports.overview import OVERVIEW_HEAD, overview
from reports.recording import RunRecord, Verdict
from reports.recoveries import HEAD, last_stored_line, recovery_lines
from reports.story import (
    account,
    alarm_line,
    check_mark,
    check_words,
    concluded,
    distrust,
    headline,
    order_checks,
    scale,
)
from reports.systems import systems
from reports.timetable import happenings

__all__ = ["render_html"]

_HERE: Final = Path(__file__).parent
_FAILURES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class _Tile:
    """One of the figures beside the verdict."""

    label: str
    value: str
    note: str
    tone: str = "plain"


def render_html(record: RunRecord) -> str:
    """Return the whole page. Everything it shows is escaped; it asks the network for nothing."""
    verdict, charts = concluded(record), draw_charts(record)
    script = (_HERE / "static" / "report.js").read_text(encoding="utf-8")
    return _page().render(
        record=record,
        verdict=verdict,
        headline=headline(verdict),
        alarm_line=alarm_line(verdict),
        scale=scale(verdict),
        tiles=_tiles(verdict),
        account=account(verdict.readings),
        checks=order_checks(verdict),
        asked=asked(record.resolved),
        charts=charts,
        recovery_head=HEAD,
        recoveries=recovery_lines(verdict, {band.what: band.name for band in charts.faults}),
        last_stored=last_stored_line(verdict),
        overview_head=OVERVIEW_HEAD,
        overview=overview(verdict),
        systems=systems(verdict),
        failures=verdict.failures[:_FAILURES_MAX],
        happenings=happenings(record),
        distrust=distrust(record, verdict),
        # Both files are ours: they are the only text that goes in as it is.
        style=Markup((_HERE / "static" / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=_content_hash(script),
    )


def _content_hash(script: str) -> str:
    """Return what allows exactly this script in the page's content security policy."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


@cache
def _page() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (text.count, text.seconds, text.figure, text.measured, text.share, text.span):
        environment.filters[function.__name__] = function
    environment.filters["utc"] = text.utc
    environment.filters["grid_clock"] = text.grid_clock
    environment.filters["named_figure"] = text.named_figure
    environment.filters["series_name"] = text.series_name
    environment.filters["words"] = text.words
    environment.globals.update(size=SIZE, check_mark=check_mark, check_words=check_words)
    environment.finalize = _printable
    return environment.get_template("report.html")


def _printable(value: object) -> object:
    return value if isinstance(value, Markup) else text.printable(str(value))


def _tiles(verdict: Verdict) -> tuple[_Tile, ...]:
    r = verdict.readings
    complete = text.share(r.correct, r.owed) or "–"  # noqa: RUF001
    sound = "plain" if verdict.verdict == "inconclusive" else "good"
    tiles = [
        _Tile("Owed", text.count(r.owed), "readings"),
        _Tile(
            "Complete",
            complete,
            f"{text.count(r.correct)} stored and correct",
            "bad" if r.correct < r.owed else sound,
        ),
        _Tile("Lost", text.count(r.lost), "owed, sent, not stored", "bad" if r.lost else "plain"),
        _Tile("Late", text.count(r.late), text.share(r.late or 0, r.owed) or "of none"),
    ]
    for name, at in sorted(verdict.latency_s.items(), key=lambda item: item[0] != "push")[:1]:
        tiles.append(
            _Tile(
                f"{text.series_words(name)} p99".capitalize(),
                text.seconds(at.p99),
                "from when it was due",
            )
        )
    rate = verdict.throughput
    note = f"{text.figure(rate.readings_per_s)} readings/s"
    tiles.append(_Tile("Pace", f"{rate.times_real_time:.3g} ×", f"real time, {note}"))  # noqa: RUF001
    return tuple(tiles)
