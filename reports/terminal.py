"""The verdict on a terminal: what a person needs in one screen."""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.overview import COUNTS, OVERVIEW_HEAD, overview
from reports.recording import RunRecord, Verdict
from reports.recoveries import LINES_MAX, last_stored_line, recovery_lines
from reports.story import (
    Tone,
    account,
    alarm_line,
    check_mark,
    check_words,
    concluded,
    distrust,
    headline,
    order_checks,
    registration_line,
    scale,
)
from reports.systems import systems
from reports.text import count, figure, measured, printable, seconds, series_name, share

__all__ = ["print_summary", "render_terminal"]

_COLOUR: Final = {
    "passed": "bold green",
    "failed": "bold red",
    "inconclusive": "bold yellow",
}
_STYLE: Final = {Tone.GOOD: "green", Tone.BAD: "bold red", Tone.DOUBT: "yellow", Tone.PLAIN: "dim"}
_MARK: Final = {Tone.GOOD: "ok", Tone.BAD: "FAILED", Tone.DOUBT: "unknown"}


def print_summary(record: RunRecord, console: Console | None = None) -> None:
    """Print the summary of ``record``; plain text where there is no terminal or with NO_COLOR."""
    where = console or Console(highlight=False)
    where.print(render_terminal(record))


def render_terminal(record: RunRecord) -> RenderableType:
    """Return the summary of ``record`` for rich."""
    verdict = concluded(record)
    parts: list[RenderableType] = [Text(), _title(verdict)]
    parts += [_indent(Text(scale(verdict), style="dim")), _indent(Text(headline(verdict)))]
    parts += [_indent(Text(f"- {printable(reason)}")) for reason in verdict.reasons]
    account_table = _account(verdict) if record.verdict is not None else None
    for section in (
        account_table,
        _nodes(verdict),
        _overview(verdict),
        _recoveries(verdict),
        _checks(verdict),
        _latency(verdict),
        _distrust(record, verdict),
    ):
        if section is not None:
            parts += [Text(), section]
    return Group(*parts, Text(), _where(record, verdict))


def _indent(renderable: RenderableType) -> Padding:
    return Padding(renderable, (0, 0, 0, 2))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        # Where it is narrow, names go over two lines: a figure that is cut is none.
        table.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    return table


def _title(verdict: Verdict) -> Text:
    outcome = (verdict.verdict.upper(), _COLOUR[verdict.verdict])
    return Text.assemble(outcome, f"  {printable(verdict.scenario)}")


def _account(verdict: Verdict) -> Padding:
    whole = account(verdict.readings)
    table = _table("readings", "count", "of owed", "")
    table.columns[3].justify = "left"
    table.columns[3].no_wrap = False
    table.add_row("owed", count(whole.owed), share(whole.owed, whole.owed), "", style="bold")
    for line in (*whole.split, *whole.besides):
        if line.value or line.label in ("Stored, correct", "Lost", "Late"):
            cells = (count(line.value), line.of_owed, line.meaning)
            table.add_row(f"  {line.label.lower()}", *cells, style=_STYLE[line.tone])
    if whole.deferred:
        table.add_row("deferred", count(whole.deferred), "", "window opens after the run")
    return _indent(table)


def _nodes(verdict: Verdict) -> Padding | None:
    """Return a line on alarms, registrations and each system beside, where there were any."""
    told = (
        ("alarms         ", alarm_line(verdict)),
        ("registrations  ", registration_line(verdict)),
        *((f"{part.title.lower():<15}", part.sentence) for part in systems(verdict)),
    )
    lines = [Text.assemble((name, "dim"), printable(line)) for name, line in told if line]
    return _indent(Group(*lines)) if lines else None


def _overview(verdict: Verdict) -> Padding | None:
    """Return what clients asked of each system and got, where there is more than the head-end."""
    lines = [line for line in overview(verdict) if any(line.cells[:COUNTS])]
    if not lines:
        return None
    table = _table("requests", *OVERVIEW_HEAD[1 : COUNTS + 1])
    for line in lines:
        table.add_row(line.label, *line.cells[:COUNTS])
    return _indent(table)


def _recoveries(verdict: Verdict) -> Padding | None:
    """Return how each cut ended, the first of them, where there were any."""
    lines = recovery_lines(verdict)
    if not lines:
        return None
    told = [Text(f"- {printable(line.sentence)}") for line in lines[:LINES_MAX]]
    if len(lines) > LINES_MAX:
        told.append(Text(f"- and {len(lines) - LINES_MAX} more in the report"))
    told += [Text(f"- {text}") for text in (last_stored_line(verdict),) if text]
    return _indent(Group(Text("outages and recovery", style="dim"), *told))


def _checks(verdict: Verdict) -> Padding | None:
    if not verdict.checks:
        return None
    table = _table("check", "measured", "limit", "")
    for check in order_checks(verdict):
        tone = check_mark(check)
        mark = Text(_MARK[tone], style=_STYLE[tone])
        cells = (printable(measured(check.measured)), printable(check.limit))
        table.add_row(printable(check.name), *cells, mark)
    told = [
        Text(f"{check.name}: {printable(check_words(check))}", style=_STYLE[check_mark(check)])
        for check in order_checks(verdict)
        if not check.passed
    ]
    return _indent(Group(table, *told))


def _latency(verdict: Verdict) -> Padding | None:
    table = _table("latency", "p50", "p90", "p99", "p99.9", "max")
    for name, at in sorted(verdict.latency_s.items()):
        table.add_row(series_name(name), *map(seconds, (at.p50, at.p90, at.p99, at.p99_9, at.max)))
    rate = verdict.throughput
    pace = (
        f"{figure(rate.readings_per_s)} readings/s, "
        f"{figure(rate.times_real_time)} x real time; generator lag at most "
        f"{seconds(verdict.generator.lag_s_max)}"
    )
    if not verdict.latency_s:
        return None
    return _indent(Group(table, Text(pace, style="dim")))


def _distrust(record: RunRecord, verdict: Verdict) -> Padding | None:
    notes = distrust(record, verdict)
    if not notes:
        return None
    lines = [Text(f"- {printable(note)}") for note in notes]
    return _indent(Group(Text("what to distrust", style="dim"), *lines))


def _where(record: RunRecord, verdict: Verdict) -> Padding:
    lines = [Text.assemble(("report     ", "dim"), str(record.directory / "report.html"))]
    if verdict.environment.command:
        lines.append(Text.assemble(("reproduce  ", "dim"), printable(verdict.environment.command)))
    return _indent(Group(*lines))
