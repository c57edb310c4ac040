"""The command line: verbs, their arguments and their exit codes.

Whatever happens, the exit status is one of `harness.errors.ExitCode`: a usage error is not the
*inconclusive* that click's own 2 would mean, and a mistake of ours is not a failed check.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from harness.errors import ExitCode, HarnessError, ScenarioError, causes

ENVIRONMENT_ERRORS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
"""Operating system errors that say that this machine cannot do it."""

HELP: Final = """\
Test a smart-metering head-end with thousands of emulated concentrators.

\b
First run:        meterstorm run scenarios/quickstart.toml
What it would do: meterstorm validate scenarios/quickstart.toml
Otherwise:        meterstorm run scenarios/quickstart.toml --set speed=30 --seed 8
This machine:     meterstorm doctor

\b
Exit status:
""" + "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)

app = typer.Typer(
    help=HELP,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

ScenarioArgument = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="Scenario file (TOML).", show_default=False)
]
OpticalOption = Annotated[
    list[int],
    typer.Option(
        "--optical",
        metavar="METER",
        help="Also offer the optical port (ANSI C12.18) of a meter, by its number from 0, so that "
        "termineter and other optical-port tools can read it; may be given several times.",
        default_factory=list,
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a recorded run.")]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the scenario, such as behaviour.steps=8 or timeline.0.at=00:30; "
        "may be given several times.",
        default_factory=list,
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, help="Draw everything from this seed instead.")
]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where the folder of the run is made.")
]
LATEST: Final = Path("runs/latest")


def _show_version(wanted: bool) -> None:
    if wanted:
        from harness.facts import build_facts

        typer.echo(build_facts())
        raise typer.Exit


@app.callback()
def _meterstorm(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version of Meterstorm and of what it is built on.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    context: typer.Context,
    scenario: ScenarioArgument,
    overrides: SetOption,
    seed: SeedOption = None,
    out: OutOption = Path("runs"),
    ui: Annotated[bool, typer.Option("--ui", help="Also serve Locust's web page.")] = False,
    capture: Annotated[
        str | None,
        typer.Option(
            "--capture",
            metavar="WHO",
            help="Keep what crosses the links, for Wireshark: all, the first N concentrators, or "
            "some by name, with commas; also what the scenario says. Without it, what crossed a "
            "link before something failed is kept, and none turns that off.",
        ),
    ] = None,
    load_socket: Annotated[
        Path | None,
        typer.Option("--load-socket", hidden=True, help="Where a Locust of your own connects."),
    ] = None,
) -> None:
    """Run a scenario to its verdict.

    The record and its report are in a new folder below --out; runs/latest points to it. Ctrl-C
    once drains and still reports, twice stops.
    """
    from harness import commands
    from harness.scenario import Scenario

    loaded = Scenario.load(scenario, overrides, seed)
    raise typer.Exit(
        commands.run(
            loaded,
            scenario_file=scenario,
            out=out,
            ui=ui,
            load_socket=load_socket,
            capture=capture,
            arguments=context.obj,
        )
    )


@app.command()
def validate(scenario: ScenarioArgument, overrides: SetOption, seed: SeedOption = None) -> None:
    """Say what a scenario would do, or what is wrong.

    Nothing is started. Every mistake is named with its file, line and key, and the key that was
    probably meant.
    """
    from harness import commands
    from harness.scenario import Scenario

    typer.echo(commands.validate(Scenario.load(scenario, overrides, seed)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files.

    An editor that knows it completes keys and shows what they mean.
    """
    from harness import commands

    typer.echo(commands.schema(), nl=False)


@app.command()
def serve(
    scenario: ScenarioArgument,
    overrides: SetOption,
    optical: OpticalOption,
    seed: SeedOption = None,
    out: OutOption = Path("runs"),
    optical_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_535,
            help="TCP port on 127.0.0.1 of the first optical port, the others follow; "
            "0: any free ones.",
        ),
    ] = 0,
    optical_pty: Annotated[
        bool,
        typer.Option("--optical-pty", help="Make optical ports pseudo-terminals, not TCP ports."),
    ] = False,
) -> None:
    """Serve a fleet to a head-end of your own.

    It runs until interrupted. Devices, addresses, keys and plan are exported to the folder of the
    run first. How everything is reached is told, optical ports with what termineter wants to know.
    """
    from harness import commands
    from harness.scenario import Scenario

    loaded = Scenario.load(scenario, overrides, seed)
    raise typer.Exit(
        commands.serve(
            loaded,
            scenario_file=scenario,
            out=out,
            optical=optical,
            optical_port=optical_port,
            optical_terminals=optical_pty,
        )
    )


@app.command()
def check(folder: RunArgument = LATEST) -> None:
    """Judge a recorded run anew.

    Every reading that was owed is held against every reading that was stored.
    """
    from harness import commands

    raise typer.Exit(commands.check(folder))


@app.command()
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


@app.command()
def report(folder: RunArgument = LATEST) -> None:
    """Write the reports of a recorded run anew.

    These are report.html, summary.md and junit.xml, in the folder of the run.
    """
    from harness import commands

    typer.echo(commands.report(folder))


@app.command()
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


@app.command()
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


@app.command(hidden=True)
def reference(folder: Annotated[Path, typer.Argument()] = Path("docs/reference")) -> None:
    """Write the generated pages of the documentation's reference anew."""
    from harness.reference import pages

    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; the console script's entry point."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    try:
        # Not through command.main(): that has exit codes of its own.
        with command.make_context("meterstorm", given, obj=given) as context:
            command.invoke(context)
    except typer.Exit as ending:
        return ending.exit_code
    except typer.TyperException as error:
        return _usage_error(error)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:
        return exit_status(error)
    return ExitCode.PASSED


def _usage_error(error: typer.TyperException) -> int:
    typer.echo(f"meterstorm: {error.format_message()}", err=True)
    context = getattr(error, "ctx", None)
    if context is not None:
        typer.echo(f"{context.get_usage()}\nMore with --help.", err=True)
    return ExitCode.BAD_SCENARIO


def exit_status(error: BaseException) -> ExitCode:
    """Tell the user why ``error`` ended a verb and return the exit status that says the same."""
    found = list(causes(error))
    if any(isinstance(cause, KeyboardInterrupt | typer.Abort) for cause in found):
        typer.echo("meterstorm: interrupted", err=True)
        return ExitCode.INTERRUPTED
    if all(isinstance(cause, BrokenPipeError) for cause in found):
        # Whoever read our output has gone, as `head` does; nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.INTERRUPTED
    known = [cause for cause in found if _exit_code(cause) is not None]
    if len(known) < len(found):
        return _bug(error)
    for cause in known:
        prefix = "" if isinstance(cause, ScenarioError) else "meterstorm: "
        typer.echo(f"{prefix}{cause}", err=True)
    return min(code for cause in known if (code := _exit_code(cause)) is not None)


def _exit_code(error: BaseException) -> ExitCode | None:
    if isinstance(error, HarnessError):
        return error.exit_code
    is_machine = isinstance(error, OSError) and error.errno in ENVIRONMENT_ERRORS
    return ExitCode.ENVIRONMENT if is_machine else None


def _bug(error: BaseException) -> ExitCode:
    with tempfile.NamedTemporaryFile(
        "w", prefix="meterstorm-", suffix=".txt", delete=False
    ) as file:
        traceback.print_exception(error, file=file)
    typer.echo(
        f"meterstorm: {type(error).__name__}: {error}\n"
        "This is a mistake in Meterstorm, not in your scenario or your head-end. Please report it\n"
        f"with the traceback in {file.name}",
        err=True,
    )
    return ExitCode.BUG


if __name__ == "__main__":
    sys.exit(main())
