"""Verbs that take a scenario: a run of its fleet, or what one would be.

Docstrings and help texts are what ``--help`` and the reference show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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


def validate(scenario: ScenarioArgument, overrides: SetOption, seed: SeedOption = None) -> None:
    """Say what a scenario would do, or what is wrong.

    Nothing is started. Every mistake is named with its file, line and key, and the key that was
    probably meant.
    """
    from harness import commands
    from harness.scenario import Scenario

    typer.echo(commands.validate(Scenario.load(scenario, overrides, seed)))


def schema() -> None:
    """Print the JSON Schema of scenario files.

    An editor that knows it completes keys and shows what they mean.
    """
    from harness import commands

    typer.echo(commands.schema(), nl=False)


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
