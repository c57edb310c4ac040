"""Verbs that take recorded runs: judging, explaining, reporting and comparing them.

Docstrings and help texts are what ``--help`` and the reference show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.recorded_folder import LATEST

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a recorded run.")]


def check(folder: RunArgument = LATEST) -> None:
    """Judge a recorded run anew.

    Every reading that was owed is held against every reading that was stored.
    """
    from harness import commands

    raise typer.Exit(commands.check(folder))


def explain(
    folder: RunArgument = LATEST,
    check: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECK]",
            help="A check, such as readings.lost; without it, what did not pass is listed.",
            show_default=False,
        ),
    ] = None,
    readings: Annotated[
        int, typer.Option(min=1, max=100, help="How many readings to look at closely.")
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Lead from a failed check to what was said on the wire.

    What the check means and what was measured; the first readings concerned, when they were due,
    sent, acknowledged and stored; what happened around that time; and the messages themselves,
    decoded, where the run captured them. The folder of the run is all that is needed.
    """
    from harness.explain.command import explain_run

    typer.echo(explain_run(folder, check, most=readings, as_json=as_json))


def report(folder: RunArgument = LATEST) -> None:
    """Write the reports of a recorded run anew.

    These are report.html, summary.md and junit.xml, in the folder of the run.
    """
    from harness import commands

    typer.echo(commands.report(folder))


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of recorded runs: A, then B.", min=1),
    ],
    noise: Annotated[
        list[str],
        typer.Option(
            "--noise",
            metavar="[FIGURE=]SHARE",
            help='How far runs of the same build differ, such as "15 %" or "push.latency.*=20 %"; '
            "may be given several times.",
            default_factory=list,
            show_default=False,
        ),
    ],
    allow: Annotated[
        list[str],
        typer.Option(
            "--allow",
            metavar="KEY",
            help="Compare although this differs, such as seed or machine; may be given several "
            "times.",
            default_factory=list,
            show_default=False,
        ),
    ],
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold one run against the runs kept in this file."),
    ] = None,
    save_baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the runs in this file instead; five or more tell how far they differ.",
        ),
    ] = None,
    form: Annotated[
        Literal["terminal", "markdown", "json"],
        typer.Option("--format", metavar="terminal|markdown|json", help="How it is told."),
    ] = "terminal",
) -> None:
    """Say whether run B is the same as run A, better or worse.

    Exits with 0 when B is no worse, with 1 when it is worse, with 2 when nobody can tell: a run is
    inconclusive, or the two were asked other things.
    """
    from harness.compare import Format, Wanted, compare_runs

    wanted = Wanted(noise, allow, Format(form))
    raise typer.Exit(compare_runs(folders, wanted, baseline=baseline, save=save_baseline))
