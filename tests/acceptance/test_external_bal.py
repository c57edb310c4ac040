"""A run against somebody else's battery layer, in a process that only knows what is exported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.run.preparation import free_ports
from tests.support.command_line import ROOT, WholeRun, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIO = """\
name = "external-bal"
seed = 7
speed = 90
link = "none"
[grid]
transformer_stations = 4
meters = 40
sizes = [{{ name = "small", meters = [5, 15], share = "100 %" }}]
[limits]
drain = "5 s"
[behaviour]
steps = 2
first = "2026-03-02T00:00:00+01:00"
[batteries]
count = 12
[bal]
virtual = 6
partitions = [{{ name = "a", share = "50 %" }}, {{ name = "b", share = "50 %" }}]
obeys_within = "3 s"
[bal.load]
status_per_s = 5
commands_per_s = 1
current = 4000
[bal.target]
kind = "external"
url = "{speaks}://127.0.0.1:{port}"
"""
WITHOUT_A_JOURNAL = {
    f"batteries.{name}" for name in ("beyond_limits", "unaccounted", "disobeyed", "mixed_snapshots")
}


@contextmanager
def vendor(folder: Path, port: int, speaks: str, drops: int) -> Iterator[None]:
    """Somebody's layer, while the block lasts."""
    own = folder / "vendor"
    own.mkdir()
    token = own / "api.token"
    token.touch(mode=0o600)
    token.write_text("of-the-vendor-only\n")
    provisioning = str(folder / "runs" / "latest" / "provisioning")
    words = [provisioning, str(port), speaks, str(token), str(drops)]
    with (own / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.vendor_layer", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(20) == 0, (own / "log").read_text()


def run_against(folder: Path, *, drops: int, speaks: str = "http") -> WholeRun:
    (port,) = free_ports(1)
    scenario = folder / "vendor.toml"
    token = 'token_file = "vendor/api.token"\n' if speaks == "http" else ""
    scenario.write_text(SCENARIO.format(port=port, speaks=speaks) + token)
    with vendor(folder, port, speaks, drops):
        return run_scenario(scenario)


@pytest.fixture(scope="module")
def obeying(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    return run_against(tmp_path_factory.mktemp("obeying"), drops=0)


def test_a_layer_of_others_passes_by_what_can_be_seen_from_outside(obeying: WholeRun) -> None:
    assert obeying.status == 0, obeying.output
    figures = obeying.verdict.batteries
    assert figures is not None
    assert (figures.batteries, figures.journal) == (12, False)
    assert figures.commands_accepted >= 15
    assert figures.disobeyed == 0
    assert figures.obeyed >= 10
    assert figures.obeyed + figures.unjudged == figures.commands_accepted
    assert figures.snapshots > 50
    measured = {one.name for one in obeying.verdict.checks if one.name.startswith("batteries.")}
    assert measured == WITHOUT_A_JOURNAL


def test_it_is_told_what_it_needs_and_ours_is_not_started(obeying: WholeRun) -> None:
    folder = obeying.path / "provisioning"
    assert len((folder / "batteries.csv").read_text().splitlines()) == 13
    facts = json.loads((folder / "battery-layer.json").read_text())
    assert (facts["speed"], facts["staleness_s"], facts["obeys_within_s"]) == (90, 900, 3)
    assert facts["clock"]["scenario_s"] == facts["first_s"]
    assert not list((obeying.path / "logs").glob("bal*"))
    assert {path.name for path in (obeying.path / "bal").iterdir()} >= {"topology.toml"}


def test_one_that_drops_orders_is_found_out(tmp_path: Path) -> None:
    run = run_against(tmp_path, drops=5)
    assert run.status == 1, run.output
    figures = run.verdict.batteries
    assert figures is not None
    assert figures.disobeyed
    assert [one.name for one in run.verdict.checks if one.passed is False] == [
        "batteries.disobeyed"
    ]
    assert figures.examples[0].startswith("disobeyed: virtual-0000")


def test_one_that_speaks_v1_only_is_driven_and_judged(tmp_path: Path) -> None:
    run = run_against(tmp_path, drops=0, speaks="v1")
    assert run.status == 0, run.output
    figures = run.verdict.batteries
    assert figures is not None
    assert figures.obeyed >= 10
    assert figures.disobeyed == 0
    # What it says of a battery names no interval.
    assert (figures.snapshots, figures.mixed_snapshots) == (0, None)
    assert run.verdict.latency_s["bal.status"].p50 > 0
