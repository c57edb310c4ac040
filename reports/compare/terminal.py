"""A comparison on a terminal: what moved first, in one screen."""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.compare.comparison import Comparison, Judgement, Outcome, Row
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
from reports.text import printable

__all__ = ["print_comparison", "render_comparison"]

_COLOUR: Final = {
    Outcome.SAME: "bold green",
    Outcome.BETTER: "bold green",
    Outcome.WORSE: "bold red",
    Outcome.CANNOT_TELL: "bold yellow",
}
_STYLE: Final = {
    Judgement.SAME: "dim",
    Judgement.BETTER: "green",
    Judgement.WORSE: "bold red",
    Judgement.UNCLEAR: "yellow",
    Judgement.UNJUDGED: "yellow",
}


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print ``comparison``; plain text where there is no terminal or with NO_COLOR."""
    where = console or Console(highlight=False)
    where.print(render_comparison(comparison))


def render_comparison(comparison: Comparison) -> RenderableType:
    """Return ``comparison`` for rich."""
    title = Text.assemble(
        (comparison.outcome.upper(), _COLOUR[comparison.outcome]), f"  {answer(comparison)}"
    )
    names = Text.assemble(
        ("A  ", "dim"),
        printable(against(comparison.before)),
        ("\nB  ", "dim"),
        printable(comparison.after),
    )
    reasons = [Text(f"- {printable(reason)}") for reason in comparison.reasons]
    rows = shown(comparison)
    parts: list[RenderableType] = [names, Group(*reasons)]
    parts += [_table(rows)] if rows else []
    notes = [note for note in (silent(comparison), unmeasured(comparison)) if note]
    parts += [Text(printable(note), style="dim") for note in notes]
    if comparison.differences:
        parts.append(Group(Text("what differs", style="dim"), *_differences(comparison)))
    return Group(title, *(Padding(part, (0, 0, 1, 2)) for part in parts))


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("figure", overflow="fold")
    for name in ("A", "B", "change", "same within"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        mark = Text(row.judgement, style=_STYLE[row.judgement])
        cells = (value(row, row.before), value(row, row.after), change(row), band(row))
        table.add_row(printable(row.figure), *cells, mark)
    return table


def _differences(comparison: Comparison) -> list[Text]:
    return [
        Text(f"- {printable(line)}", style="yellow" if difference.refuses else "")
        for difference, line in zip(
            comparison.differences, differing(comparison.differences), strict=True
        )
    ]
