"""Verbs about the machine and the documentation.

Docstrings and help texts are what ``--help`` and the reference show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    concentrators: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Size of fleet to judge the machine by.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Only remove what runs that were killed have left behind."),
    ] = False,
) -> None:
    """Say what this machine can do and what is missing.

    Exits with 4 when something is missing that every run needs.
    """
    from harness import commands

    if clean:
        typer.echo(commands.clean())
        return
    text, code = commands.doctor(concentrators, as_json=as_json)
    typer.echo(text)
    raise typer.Exit(code)


def reference(folder: Annotated[Path, typer.Argument()] = Path("docs/reference")) -> None:
    """Write the generated pages of the documentation's reference anew."""
    from harness.reference import pages

    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
