"""The command line: its verbs together, and their exit codes.

Whatever happens, the exit status is one of `harness.errors.ExitCode`: a usage error is not the
*inconclusive* that click's own 2 would mean, and a mistake of ours is not a failed check.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from harness.errors import ENVIRONMENT_ERRORS, ExitCode, HarnessError, ScenarioError, causes
from harness.verbs import fleets, machine, runs

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


for _verb in (
    *(fleets.run, fleets.validate, fleets.schema, fleets.serve),
    *(runs.check, runs.explain, runs.report, runs.compare),
    machine.doctor,
):
    app.command()(_verb)
app.command(hidden=True)(machine.reference)


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
