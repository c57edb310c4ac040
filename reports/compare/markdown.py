"""A comparison as Markdown, for a job summary or a comment on a change."""

from __future__ import annotations

from typing import Final

from reports.compare.comparison import Comparison, Judgement, Outcome
from reports.compare.words import (
    against,
    answer,
    band,
    change,
    differing,
    shown,
    silent,
    unmeasured,
    value,
)
from reports.markdown import safe, table

__all__ = ["render_comparison"]

_SIGN: Final = {
    Outcome.SAME: "✅",
    Outcome.BETTER: "✅",
    Outcome.WORSE: "❌",
    Outcome.CANNOT_TELL: "⚠️",
}
_MARK: Final = {
    Judgement.SAME: "same",
    Judgement.BETTER: "✅ better",
    Judgement.WORSE: "❌ worse",
    Judgement.UNCLEAR: "unclear",
    Judgement.UNJUDGED: "⚠️ not judged",
}
_LINES_MAX: Final = 40


def render_comparison(comparison: Comparison) -> str:
    """Return the whole text."""
    title = f"## {_SIGN[comparison.outcome]} {answer(comparison)}"
    names = f"A: {safe(against(comparison.before))}, B: {safe(comparison.after)}"
    notes = [safe(note) for note in (silent(comparison), unmeasured(comparison)) if note]
    differences = differing(comparison.differences)
    parts = (
        title,
        names,
        _list(comparison.reasons),
        _figures(comparison),
        "\n\n".join(notes),
        "### What differs\n\n" + _list(differences) if differences else "",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(lines: list[str] | tuple[str, ...]) -> str:
    more = [f"- and {len(lines) - _LINES_MAX} more"] if len(lines) > _LINES_MAX else []
    return "\n".join([*(f"- {safe(line)}" for line in lines[:_LINES_MAX]), *more])


def _figures(comparison: Comparison) -> str:
    rows = [
        (
            safe(row.figure),
            *map(safe, (value(row, row.before), value(row, row.after), change(row), band(row))),
            _MARK[row.judgement],
        )
        for row in shown(comparison)
    ]
    head = ("figure", "A", "B", "change", "same within", "")
    return table(head, rows, figures=4) if rows else ""
