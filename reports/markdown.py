"""The verdict as Markdown for a job summary: the answer first, under 100 kB."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from reports.overview import OVERVIEW_HEAD, overview
from reports.recording import RunRecord, Verdict
from reports.recoveries import HEAD, last_stored_line, recovery_lines
from reports.story import (
    account,
    alarm_line,
    check_words,
    concluded,
    distrust,
    headline,
    order_checks,
    registration_line,
    scale,
)
from reports.systems import SystemPart, systems
from reports.text import clip, count, measured, printable, seconds, series_name, share

__all__ = ["SUMMARY_BYTES_MAX", "render_summary"]

SUMMARY_BYTES_MAX: Final = 100_000
"""GitHub refuses a job summary over 1024 kB for all steps together; this leaves room for others."""

_ROWS_MAX: Final = 60
_REASONS_MAX: Final = 20
_TEXT_MAX: Final = 240
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|~$@:])")
_SIGN: Final = {"passed": "✅", "failed": "❌", "inconclusive": "⚠️"}
_MARK: Final = {True: "✅", False: "❌", None: "⚠️"}


def render_summary(record: RunRecord) -> str:
    """Return the whole summary."""
    verdict = concluded(record)
    reproduce = _reproduce(record, verdict)
    sections = (
        _opening(verdict),
        _account(verdict) if record.verdict is not None else "",
        _overview(verdict),
        _nodes(verdict),
        *map(_system, systems(verdict)),
        _recoveries(verdict),
        _checks(verdict),
        _latency(verdict),
        _distrust(record, verdict),
        _classes(verdict),
        _failures(verdict),
    )
    kept = _within(SUMMARY_BYTES_MAX - len(reproduce.encode()) - 100, sections)
    return "\n\n".join([*kept, reproduce]) + "\n"


def _within(bytes_max: int, sections: Sequence[str]) -> list[str]:
    """Return the sections that fit, and a line that says so if one was left out."""
    kept: list[str] = []
    left_out = False
    for section in filter(None, sections):
        fits = sum(len(s.encode()) + 2 for s in (*kept, section)) <= bytes_max
        left_out |= not fits
        kept += [section] if fits else []
    return [*kept, "Sections too long for this summary are in report.html."] if left_out else kept


def safe(text: str) -> str:
    """Return ``text`` so that neither Markdown nor HTML in it takes effect."""
    flat = clip(" ".join(printable(text).split()), _TEXT_MAX)
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", flat)


def _code(text: str) -> str:
    """Return ``text`` as a block of code; no run of backquotes in it can end the block."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}\n{clip(printable(text), 2000)}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: int = 99) -> str:
    """Return a table: a column of text, then up to ``figures`` columns of figures, then text."""
    all_rows = list(rows)
    rule = ["---:" if 0 < column <= figures else "---" for column in range(len(head))]
    lines = [f"| {' | '.join(row)} |" for row in (head, rule, *all_rows[:_ROWS_MAX])]
    left_out = len(all_rows) - _ROWS_MAX
    more = f"\n\n…and {left_out} more in report.html." if left_out > 0 else ""
    return "\n".join(lines) + more


def _opening(verdict: Verdict) -> str:
    name = safe(verdict.scenario)
    title = f"## {_SIGN[verdict.verdict]} {verdict.verdict.capitalize()}: {name}"
    reasons = "\n".join(f"- {safe(reason)}" for reason in verdict.reasons[:_REASONS_MAX])
    parts = (title, safe(headline(verdict)), reasons, f"{scale(verdict)}.")
    return "\n\n".join(part for part in parts if part)


def _account(verdict: Verdict) -> str:
    whole = account(verdict.readings)
    rows = [("**Owed**", count(whole.owed), share(whole.owed, whole.owed))]
    rows += [(f"= {line.label.lower()}", count(line.value), line.of_owed) for line in whole.split]
    rows += [(line.label, count(line.value), line.of_owed) for line in whole.besides]
    rows.append(("Deferred (not owed yet)", count(whole.deferred), ""))
    return "### Readings\n\n" + table(("", "readings", "of owed"), rows)


def _overview(verdict: Verdict) -> str:
    """Return each system's throughput, latency and correctness, where there is more than one."""
    lines = overview(verdict)
    if not lines:
        return ""
    told = "\n".join(f"- **{safe(line.label)}**: {safe(line.told)}" for line in lines if line.told)
    rows = [(safe(line.label), *line.cells) for line in lines if line.cells]
    return f"### Systems\n\n{told}\n\n{table(OVERVIEW_HEAD, rows)}"


def _nodes(verdict: Verdict) -> str:
    """Return a line on alarms and one on registrations, where there were any."""
    told = (("Alarms", alarm_line(verdict)), ("Registrations", registration_line(verdict)))
    return "\n".join(f"- **{name}**: {safe(line)}" for name, line in told if line)


def _system(part: SystemPart) -> str:
    """Return one system beside the head-end: its line, its tables in one, its examples."""
    rows = []
    for shown in part.tables:
        rows.append((f"**{safe(shown.title)}**", "", "", ""))
        rows += [
            (safe(line.label), count(line.value), line.of_owed, safe(line.meaning))
            for line in (shown.whole, *shown.lines)
        ]
    told = "\n".join(f"- {safe(example)}" for example in part.examples[:_REASONS_MAX])
    parts = (f"### {part.title}", f"{safe(part.sentence)}.", told)
    return "\n\n".join((*filter(None, parts), table(("", "count", "share", ""), rows, figures=2)))


def _recoveries(verdict: Verdict) -> str:
    """Return when the last owed reading was stored, and how each cut ended."""
    last = safe(last_stored_line(verdict))
    rows = [tuple(map(safe, line.cells)) for line in recovery_lines(verdict)]
    if not rows:
        return last
    title = "### Outages and recovery\n\n"
    return f"{title}{last}\n\n{table(HEAD, rows)}" if last else title + table(HEAD, rows)


def _checks(verdict: Verdict) -> str:
    if not verdict.checks:
        return ""
    rows = (
        (
            f"{_MARK[check.passed]} {safe(check.name)}",
            safe(measured(check.measured)),
            safe(check.limit),
            "" if check.passed else safe(check_words(check)),
        )
        for check in order_checks(verdict)
    )
    return "### Checks\n\n" + table(("check", "measured", "limit", "meaning"), rows, figures=2)


def _latency(verdict: Verdict) -> str:
    if not verdict.latency_s:
        return ""
    rows = (
        (
            safe(series_name(name)),
            *(seconds(value) for value in (at.p50, at.p90, at.p99, at.p99_9, at.max)),
        )
        for name, at in sorted(verdict.latency_s.items())
    )
    title = "### Latency from the intended time\n\n"
    return title + table(("series", "p50", "p90", "p99", "p99.9", "max"), rows)


def _classes(verdict: Verdict) -> str:
    tables = []
    for dimension, classes in verdict.classes.items():
        rows = (
            (safe(c.name), *map(count, (c.meters, c.owed, c.correct, c.late, c.lost)))
            for c in classes
        )
        head = (safe(dimension), "meters", "owed", "correct", "late", "lost")
        tables.append(table(head, rows))
    return "### Classes\n\n" + "\n\n".join(tables) if tables else ""


def _failures(verdict: Verdict) -> str:
    if not verdict.failures:
        return ""
    rows = ((safe(f"{f.where}: {f.cause}"), count(f.count)) for f in verdict.failures)
    return "### Failures by cause\n\n" + table(("cause", "count"), rows)


def _distrust(record: RunRecord, verdict: Verdict) -> str:
    notes = distrust(record, verdict)
    if not notes:
        return ""
    shown = "\n".join(f"- {safe(note)}" for note in notes[:_ROWS_MAX])
    return f"### What to distrust\n\n{shown}"


def _reproduce(record: RunRecord, verdict: Verdict) -> str:
    command = verdict.environment.command
    lines = f"# seed {verdict.seed}, record {record.directory}\n{command}".rstrip()
    return f"### Reproduce\n\n{_code(lines)}"
