"""Explanations as text for people: plain where there is no terminal or with NO_COLOR."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.explain.story import Explanation, Listed, Listing, Message, Moment, Subject
from harness.explain.topics import LINK
from reports.text import printable

WIDTH: Final = 100
_WORDS: Final = {
    True: ("passed", "green"),
    False: ("FAILED", "bold red"),
    None: ("not judged", "yellow"),
}


def explanation_text(one: Explanation) -> str:
    """Return an explanation as text."""
    return _printed(_explanation(one))


def listing_text(one: Listing, folder: str) -> str:
    """Return a list of what can be explained as text; ``folder`` is how the run was named."""
    return _printed(_listing(one, folder))


def _printed(parts: Iterable[RenderableType]) -> str:
    is_terminal = sys.stdout.isatty()
    out = io.StringIO()
    width = Console().width if is_terminal else WIDTH
    console = Console(file=out, width=width, force_terminal=is_terminal or None, highlight=False)
    console.print(Group(*parts), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _explanation(one: Explanation) -> Iterable[RenderableType]:
    word, style = _WORDS[one.passed]
    yield Text.assemble((one.check, "bold"), "  ", (word, style), f"  {one.run}")
    yield _in(Text(one.meaning))
    measured = f"measured {one.measured}; " if one.measured else ""
    yield _in(Text(f"{measured}limit {one.limit}"))
    if one.hint:
        yield Text()
        yield _in(Text(one.hint))
    if one.found:
        yield Text()
        for sentence in one.found:
            yield _in(Text(f"- {printable(sentence)}"))
    for number, subject in enumerate(one.subjects, 1):
        yield Text()
        yield from _subject(number, subject)
    if one.more > 0 and one.subjects:
        yield Text()
        yield _in(Text(f"... and {one.more:,} more like these", style="dim"))
    if one.next_steps:
        yield Text()
        yield Text("where to look next", style="bold")
        for step in one.next_steps:
            yield _in(Text(step))


def _subject(number: int, one: Subject) -> Iterable[RenderableType]:
    yield Text(f"{number}. {printable(one.title)}", style="bold")
    for fact in one.facts:
        yield _in(Text(printable(fact)))
    if one.moments:
        yield Text()
        yield _in(Text("what happened, in seconds since the run began", style="dim"))
        yield _in(_moments(one.moments), 4)
    if one.unheard:
        yield Text()
        yield _in(Text(printable(one.unheard), style="yellow"))
    if one.exchange:
        yield Text()
        words = "the messages nearest to it" if one.unheard else "what was said on the wire"
        yield _in(Text(words, style="dim"))
        for message in one.exchange:
            yield from _message(message)
    for command in one.commands:
        yield _verbatim(f"    {command}")


def _moments(moments: Iterable[Moment]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for moment in moments:
        table.add_row(f"{moment.at_s:.3f}", printable(moment.who), Text(printable(moment.what)))
    return table


def _message(one: Message) -> Iterable[RenderableType]:
    head = f"{one.at_s:.3f}  {one.who}  frame {one.frame} of {one.file}, {one.octets} octets"
    yield _in(Text(head), 4)
    for depth, layer in enumerate(one.layers):
        yield _in(Text(printable(layer)), 6 + 2 * depth)
    if one.problem:
        yield _in(Text(f"not read further: {printable(one.problem)}", style="yellow"), 6)


def _listing(one: Listing, folder: str) -> Iterable[RenderableType]:
    yield Text.assemble((one.verdict.upper(), "bold"), f"  {one.run}")
    for reason in one.reasons:
        yield _in(Text(f"- {printable(reason)}"))
    yield Text()
    if one.troubled:
        yield Text("did not pass", style="bold")
        yield _in(_table(one.troubled))
        yield Text()
        yield _verbatim(f"  meterstorm explain {folder} {one.troubled[0].check}")
    else:
        yield _in(Text("every check passed"))
    yield Text()
    yield Text("can be explained too", style="bold")
    yield _in(Text(", ".join(it for it in one.others if not it.startswith(LINK))))
    links = [it.removeprefix(LINK).rsplit(".", 1) for it in one.others if it.startswith(LINK)]
    if links:
        names, quantities = (" | ".join(dict.fromkeys(words)) for words in zip(*links, strict=True))
        yield _in(Text(f"{LINK}( {names} ).( {quantities} )"))


def _verbatim(line: str) -> Text:
    """Return a line that is never broken: it is there to be copied."""
    return Text(line, style="dim", no_wrap=True, overflow="ignore")


def _table(items: Iterable[Listed]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("check", "measured", "limit", "meaning"):
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(item.check, item.measured, item.limit, item.meaning)
    return table


def _in(renderable: RenderableType, depth: int = 2) -> Padding:
    return Padding(renderable, (0, 0, 0, depth))
