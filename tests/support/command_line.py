"""``meterstorm`` and ``locust`` as their users start them: in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from reports.recording import RunRecord, Verdict

ROOT: Final = Path(__file__).resolve().parents[2]
LOCUSTFILE: Final = ROOT / "harness" / "load" / "locustfile.py"
PATIENCE_S: Final = 90.0

SMALL: Final = """\
name = "small"
seed = {seed}
speed = 900
link = "none"
[grid]
transformer_stations = 20
meters = 300
sizes = [{{ name = "small", meters = [5, 25], share = "100 %" }}]
[behaviour]
mode = "push"
steps = 3
first = "2026-03-02T00:00:00+01:00"
"""
"""Over in three seconds; every push is one batch, whenever it is made."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run that `run_scenario` made."""

    status: int
    output: str
    path: Path

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.path)

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        return facts


def verdict_of(path: Path) -> Verdict:
    verdict = RunRecord.load(path).verdict
    assert verdict is not None
    return verdict


def small_scenario(folder: Path, *, seed: int = 7, more: str = "") -> Path:
    """Write a scenario that is over in seconds."""
    path = folder / "small.toml"
    path.write_text(SMALL.format(seed=seed) + more)
    return path


def start(
    *words: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start one of our commands in a session of its own; its output is one text."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=cwd,
        env=os.environ | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process; one that takes too long is killed with all it started."""
    family = [process.pid]
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        for pid in family:
            psutil.Process(pid).kill()
        # Nothing of it is left to the tests after this one.
        process.communicate()
        raise
    return Ended(process.returncode, output)


def meterstorm(*words: str, cwd: Path) -> Ended:
    """Run a verb to its end."""
    return finish(start("harness.cli", *words, cwd=cwd))


def run_scenario(scenario: Path, *words: str) -> WholeRun:
    """Run a scenario to its verdict, its folder beside the scenario file."""
    ended = meterstorm("run", str(scenario), "--out", "runs", *words, cwd=scenario.parent)
    return whole_run(ended, scenario.parent)


def whole_run(ended: Ended, folder: Path) -> WholeRun:
    """Return what a run below ``folder`` left behind."""
    latest = folder / "runs" / "latest"
    assert latest.exists(), ended.output
    return WholeRun(ended.status, ended.output, latest.resolve())
