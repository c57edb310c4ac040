"""`meterstorm run`: prepare, conduct, judge, report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import trio
from rich.console import Console

from harness.check.command import judge_run, publish
from harness.errors import ExitCode
from harness.explain.keeping import keep_captures
from harness.explain.wanted import wanted_captures, write_wanted
from harness.run.conductor import Conductor
from harness.run.facts import RunFacts
from harness.run.preparation import Prepared, free_ports, prepare
from harness.run.progress import progress_on
from harness.scenario import Scenario
from reports.recording import RunRecorder
from reports.text import without_passwords


def run_scenario(
    scenario: Scenario,
    *,
    scenario_file: Path,
    out: Path,
    ui: bool = False,
    load_socket: Path | None = None,
    capture: str | None = None,
) -> ExitCode:
    """Run ``scenario`` into a new folder below ``out`` and return what its verdict means.

    Args:
        scenario: what to run.
        scenario_file: where it came from; patterns and key files are relative to it.
        out: where the folder of the run is made.
        ui: whether Locust also serves its web page.
        load_socket: where an already running Locust will connect; otherwise one is started.
        capture: whose octets to keep beside those the scenario names (`harness.explain.wanted`).

    Raises:
        HarnessError: the run could not be made; nothing was proved either way.
        KeyboardInterrupt: interrupted twice.
    """
    # A word that names nobody is refused before there is a folder.
    wanted_captures(capture, scenario.grid.transformer_stations)
    console = Console(stderr=True)
    prepared = prepare(scenario, scenario_file=scenario_file, out=out)
    write_wanted(prepared.folder.path, capture, prepared.grid.concentrators, prepared.fleet.shards)
    console.print(f"run folder {prepared.folder.path}", highlight=False, soft_wrap=True)
    facts = _conduct(prepared, console, ui=ui, load_socket=load_socket)
    with console.status("holding every reading owed against every reading stored"):
        judgement = judge_run(prepared.folder.path)
    code = publish(prepared.folder.path, judgement)
    keep_captures(prepared.folder.path, judgement.verdict)
    return ExitCode.INTERRUPTED if facts.interrupted else code


def _command(load_socket: Path | None) -> str:
    """Return what reproduces the run: how it was started, without a Locust of somebody's own.

    Passwords are left out: the command stands in every report.
    """
    words = ["meterstorm", *sys.argv[1:]]
    if load_socket is not None and "--load-socket" in words:
        at = words.index("--load-socket")
        del words[at : at + 2]
    return shlex.join(map(without_passwords, words))


def _conduct(
    prepared: Prepared, console: Console, *, ui: bool, load_socket: Path | None
) -> RunFacts:
    path = prepared.folder.path
    ui_port = free_ports(1)[0] if ui else None
    with RunRecorder(path) as recorder, progress_on(console) as progress:
        recorder.files.resolved.write_text(prepared.scenario.resolved_json())
        if ui_port is not None:
            progress.say(f"Locust's page: http://127.0.0.1:{ui_port}")
        conductor = Conductor(
            prepared,
            recorder,
            progress,
            command=_command(load_socket),
            ui_port=ui_port,
            load_socket=load_socket,
        )
        return trio.run(conductor.run)
