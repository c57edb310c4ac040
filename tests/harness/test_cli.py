from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from harness.cli import exit_status, main
from harness.errors import ArgumentsError, EnvironmentUnfitError, ExitCode, Problem, ScenarioError
from harness.reference import pages
from harness.scenario import json_schema_text
from tests.support.canned import passed_verdict, record_run

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "scenarios" / "tiny.toml")
VERBS = (
    "run",
    "validate",
    "schema",
    "serve",
    "check",
    "report",
    "compare",
    "explain",
    "doctor",
)

Output = pytest.CaptureFixture[str]


def test_help_teaches_an_example_and_every_exit_status(capsys: Output) -> None:
    assert main(["--help"]) == ExitCode.PASSED
    shown = capsys.readouterr().out
    assert "meterstorm run scenarios/quickstart.toml" in shown
    for code in ExitCode:
        assert f"{code.value}  {code.meaning}" in shown
    for verb in VERBS:
        assert f"\n  {verb} " in shown


def test_no_arguments_show_the_help(capsys: Output) -> None:
    assert main([]) == ExitCode.PASSED
    assert "Usage: meterstorm" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_plain_help(verb: str, capsys: Output) -> None:
    assert main([verb, "--help"]) == ExitCode.PASSED
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: meterstorm {verb}")
    assert "\x1b" not in shown


def test_the_version_names_what_it_is_built_on(capsys: Output) -> None:
    assert main(["--version"]) == ExitCode.PASSED
    shown = capsys.readouterr().out
    assert shown.startswith("meterstorm 0.")
    for part in ("CPython", "duckdb", "numpy", "trio"):
        assert part in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["run", TINY, "--sed", "3"], "--sed"),
        (["validate", TINY, "--seed", "x"], "--seed"),
        (["doctor", "--concentrators", "0"], "--concentrators"),
    ],
)
def test_a_wrong_argument_exits_3_not_inconclusive(
    arguments: list[str], message: str, capsys: Output
) -> None:
    assert main(arguments) == ExitCode.BAD_SCENARIO
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "Usage: meterstorm" in shown.err


@pytest.mark.parametrize("verb", ["run", "validate", "serve"])
def test_a_wrong_scenario_exits_3_and_names_the_place(verb: str, capsys: Output) -> None:
    assert main([verb, TINY, "--set", "grid.sizs=3"]) == ExitCode.BAD_SCENARIO
    assert capsys.readouterr().err == ('--set: grid.sizs: unknown key; did you mean "sizes"?\n')


@pytest.mark.parametrize("verb", ["run", "validate", "serve"])
def test_a_missing_scenario_exits_3_and_is_named(verb: str, capsys: Output) -> None:
    assert main([verb, "nowhere/x.toml"]) == ExitCode.BAD_SCENARIO
    assert capsys.readouterr().err.startswith("nowhere/x.toml: cannot be read")


@pytest.mark.parametrize("verb", ["check", "report"])
def test_a_folder_that_is_no_run_exits_3(verb: str, tmp_path: Path, capsys: Output) -> None:
    assert main([verb, str(tmp_path)]) == ExitCode.BAD_SCENARIO
    assert "is no recorded run" in capsys.readouterr().err


def test_report_writes_the_views_of_a_recorded_run_anew(tmp_path: Path, capsys: Output) -> None:
    folder = record_run(tmp_path / "run", passed_verdict())
    assert main(["report", str(folder)]) == ExitCode.PASSED
    report = Path(capsys.readouterr().out.strip())
    assert report == folder.resolve() / "report.html"
    assert report.is_file()


def test_validate_says_what_a_run_would_do(capsys: Output) -> None:
    assert main(["validate", TINY, "--set", "behaviour.steps=4"]) == ExitCode.PASSED
    shown = capsys.readouterr().out
    assert "20 concentrators, 300 meters, 1 process\n" in shown
    assert "1,200 owed, 0 deferred" in shown
    assert "about 12 s" in shown
    assert "readings.lost == 0" in shown


def test_what_validate_says_is_owed_follows_the_seed(capsys: Output) -> None:
    seldom = '[{ name = "seldom", share = "100 %", reachable = "50 %" }]'
    arguments = ["validate", TINY, "--set", f"behaviour.meters={seldom}"]
    shown = []
    for seed in ("1", "1", "2"):
        # A fixed date: "auto" would date the run by the wall clock.
        first = ["--set", 'behaviour.first="2026-03-02T00:00:00+01:00"']
        assert main([*arguments, *first, "--seed", seed]) == ExitCode.PASSED
        shown.append(capsys.readouterr().out.split("readings: ")[1].split(" owed")[0])
    assert shown[0] == shown[1] != shown[2]


def test_schema_prints_the_json_schema_and_nothing_else(capsys: Output) -> None:
    assert main(["schema"]) == ExitCode.PASSED
    assert capsys.readouterr().out == json_schema_text()


def test_the_generated_reference_pages_are_current() -> None:
    for name, text in pages().items():
        checked_in = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert checked_in == text, "meterstorm reference writes them anew"


PROBLEM = Problem("x.toml", 3, "grid.sizs", "unknown key", "sizes")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ScenarioError((PROBLEM,)), ExitCode.BAD_SCENARIO, f"{PROBLEM}\n"),
        (ArgumentsError("no"), ExitCode.BAD_SCENARIO, "meterstorm: no\n"),
        (EnvironmentUnfitError("no lo"), ExitCode.ENVIRONMENT, "meterstorm: no lo\n"),
        (OSError(errno.ENOSPC, "full"), ExitCode.ENVIRONMENT, "full"),
        (OSError(errno.EMFILE, "files"), ExitCode.ENVIRONMENT, "files"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
        (typer.Abort(), ExitCode.INTERRUPTED, "interrupted"),
        (
            ExceptionGroup("nursery", [EnvironmentUnfitError("no lo")]),
            ExitCode.ENVIRONMENT,
            "meterstorm: no lo\n",
        ),
        (
            BaseExceptionGroup("nursery", [ValueError("x"), KeyboardInterrupt()]),
            ExitCode.INTERRUPTED,
            "interrupted",
        ),
    ],
)
def test_an_expected_ending_has_an_exit_status_of_its_own(
    error: BaseException, code: ExitCode, message: str, capsys: Output
) -> None:
    assert exit_status(error) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        OSError(errno.ENOTDIR, "odd"),
        ExceptionGroup("nursery", [EnvironmentUnfitError("no lo"), ValueError("x")]),
    ],
    ids=repr,
)
def test_anything_else_is_our_mistake_and_keeps_its_traceback(
    error: Exception, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert exit_status(error) == ExitCode.BUG
    (kept,) = tmp_path.iterdir()
    assert type(error).__name__ in kept.read_text(encoding="utf-8")
    shown = capsys.readouterr().err
    assert "mistake in Meterstorm" in shown
    assert str(kept) in shown


def test_the_console_script_passes_the_status_on_and_uses_no_colour() -> None:
    script = Path(sys.executable).with_name("meterstorm")
    environment = {**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [script, "validate", "x.toml"], capture_output=True, env=environment, check=False
    )
    assert done.returncode == ExitCode.BAD_SCENARIO
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_reader_that_goes_away_is_no_failed_check() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "harness.cli", "schema"]
    with os.fdopen(writer, "wb") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr == b""
