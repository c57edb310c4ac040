"""What each verb of the command line does, behind the parsing of its arguments.

Verbs import what they need when they are called: ``meterstorm --help`` starts in a moment, and a
validation does not load a database.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.errors import ExitCode
from harness.recorded_folder import reading, recorded_folder
from harness.scenario import Scenario, json_schema_text


def run(
    scenario: Scenario,
    *,
    scenario_file: Path,
    out: Path,
    ui: bool,
    load_socket: Path | None = None,
    capture: str | None = None,
    arguments: Sequence[str] = (),
) -> ExitCode:
    """Run ``scenario`` into a new folder below ``out`` and return what its verdict means.

    ``arguments`` are those of the command line, in case this process has to start anew.
    """
    from harness.run.capability import become_able

    attached = load_socket is not None
    become_able(scenario, scenario_file, arguments, ui=ui, attached=attached)
    from harness.run.command import run_scenario

    return run_scenario(
        scenario,
        scenario_file=scenario_file,
        out=out,
        ui=ui,
        load_socket=load_socket,
        capture=capture,
    )


def serve(
    scenario: Scenario,
    *,
    scenario_file: Path,
    out: Path,
    optical: Sequence[int] = (),
    optical_port: int = 0,
    optical_terminals: bool = False,
) -> ExitCode:
    """Serve the fleet of ``scenario`` to somebody else's head-end until interrupted."""
    from harness.run.capability import become_able

    become_able(scenario, scenario_file, (), serves=True)
    from harness.serve import OpticalPorts, serve_fleet

    ports = OpticalPorts(tuple(optical), optical_port, optical_terminals)
    return serve_fleet(scenario, scenario_file=scenario_file, out=out, optical=ports)


def check(run_folder: Path) -> ExitCode:
    """Judge a recorded run anew and return what its verdict means."""
    folder = recorded_folder(run_folder)
    from harness.check.command import check_run

    return check_run(folder)


def report(run_folder: Path) -> str:
    """Write the views of a recorded run anew and return where the report is."""
    folder = recorded_folder(run_folder)
    from reports.views import write_views

    with reading(folder):
        write_views(folder)
    return str(folder / "report.html")


def validate(scenario: Scenario) -> str:
    """Return what ``scenario`` would do, in a few lines for people."""
    from harness.outlook import foresee

    return str(foresee(scenario))


def schema() -> str:
    """Return the JSON Schema of scenario files."""
    return json_schema_text()


def doctor(concentrators: int, *, as_json: bool) -> tuple[str, ExitCode]:
    """Return what this machine can do, and whether that is enough for the main job."""
    from harness.doctor import Finding, Grade, examine, table

    findings: Sequence[Finding] = examine(concentrators)
    text = json.dumps([finding.as_dict() for finding in findings], indent=2)
    unfit = any(finding.grade is Grade.MISSING for finding in findings)
    return (
        text if as_json else table(findings),
        ExitCode.ENVIRONMENT if unfit else ExitCode.PASSED,
    )


def clean() -> str:
    """Remove what runs that were killed have left on this machine, and return what that was."""
    from harness.doctor import remove_leftovers

    return "\n".join(f"removed {what}" for what in remove_leftovers()) or "nothing was left"
