"""The same load from ``meterstorm run``, from ``locust`` alone, and from a master with workers.

What is deterministic is the plan: the same readings are owed, pushed and stored, and over perfect
links each concentrator pushes once a step. So Locust's requests, the head-end's acknowledged pushes
and the readings stored are equal between all of them, exactly.
"""

from __future__ import annotations

import csv
import json
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.load.names import SCENARIO_VARIABLE
from tests.support.command_line import (
    LOCUSTFILE,
    Ended,
    WholeRun,
    finish,
    run_scenario,
    small_scenario,
    start,
    whole_run,
)

pytestmark = pytest.mark.slow

CONCENTRATORS, STEPS, OWED = 20, 3, 900
NAMES = {f"push over seed-{number}" for number in (1, 2, 3, 4)}


@dataclass(frozen=True, slots=True)
class Totals:
    """What each side counted."""

    locust_requests: int
    locust_failures: int
    table_requests: int
    acknowledged: int
    stored: int
    correct: int


EXPECTED = Totals(
    locust_requests=CONCENTRATORS * STEPS,
    locust_failures=0,
    table_requests=CONCENTRATORS * STEPS,
    acknowledged=CONCENTRATORS * STEPS,
    stored=OWED,
    correct=OWED,
)


def totals(run: WholeRun, prefix: Path) -> Totals:
    entries = json.loads(prefix.with_suffix(".json").read_text())
    assert {entry["name"] for entry in entries} == NAMES
    with prefix.with_name(f"{prefix.name}_stats.csv").open(newline="") as file:
        (whole,) = (row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    head_end, readings = run.facts["head_end"], run.verdict.readings
    assert head_end["commits.rows_stored"] == readings.stored
    return Totals(
        locust_requests=sum(entry["num_requests"] for entry in entries),
        locust_failures=sum(entry["num_failures"] for entry in entries),
        table_requests=int(whole["Request Count"]),
        acknowledged=head_end["pushes acknowledged"],
        stored=readings.stored,
        correct=readings.correct,
    )


def locust(*words: str) -> list[str]:
    return ["locust", "-f", str(LOCUSTFILE), "--loglevel", "WARNING", *words]


def tables(folder: Path) -> list[str]:
    prefix = str(folder / "locust")
    return ["--headless", "--only-summary", "--csv", prefix, "--json-file", prefix]


def test_from_meterstorm_run(duckdb_run: WholeRun) -> None:
    assert totals(duckdb_run, duckdb_run.path / "locust") == EXPECTED
    counted = duckdb_run.facts["locust"]
    assert sum(counted[f"{name}: requests"] for name in NAMES) == EXPECTED.locust_requests


def test_from_meterstorm_run_with_two_workers(tmp_path: Path) -> None:
    run = run_scenario(small_scenario(tmp_path, more="[load]\nworkers = 2\n"))
    assert run.status == 0, run.output
    assert totals(run, run.path / "locust") == EXPECTED
    assert {"locust-worker-0", "locust-worker-1", "fleet-1"} <= run.facts["cpu_s"].keys()


def test_from_locust_alone(tmp_path: Path) -> None:
    environment = {SCENARIO_VARIABLE: str(small_scenario(tmp_path))}
    words = locust(*tables(tmp_path))
    ended = finish(start(*words, cwd=tmp_path, environment=environment))
    run = whole_run(ended, tmp_path)
    assert run.status == 0, run.output
    assert totals(run, tmp_path / "locust") == EXPECTED


def test_from_a_master_and_two_workers(tmp_path: Path) -> None:
    environment = {SCENARIO_VARIABLE: str(small_scenario(tmp_path))}
    port = str(free_port())
    workers = [start(*locust("--worker", "--master-port", port), cwd=tmp_path) for _ in range(2)]
    bind = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    words = locust("--master", *bind, "--expect-workers", "2", *tables(tmp_path))
    master = start(*words, cwd=tmp_path, environment=environment)
    run = whole_run(finish(master), tmp_path)
    assert run.status == 0, run.output
    assert [finish(worker).status for worker in workers] == [0, 0]
    assert totals(run, tmp_path / "locust") == EXPECTED
    assert run.facts["rss_bytes_max"].keys() >= {"fleet-0", "fleet-1"}


def test_a_scenario_that_cannot_be_used_ends_locust_as_it_ends_a_run(tmp_path: Path) -> None:
    environment = {SCENARIO_VARIABLE: str(small_scenario(tmp_path, more="stepps = 4\n"))}
    words = locust(*tables(tmp_path))
    ended: Ended = finish(start(*words, cwd=tmp_path, environment=environment))
    assert ended.status == 3, ended.output
    assert "behaviour.stepps" in ended.output


def test_with_its_page_locust_ends_with_its_run(tmp_path: Path) -> None:
    run = run_scenario(small_scenario(tmp_path), "--ui", "--set", "behaviour.steps=1")
    assert run.status == 0, run.output
    assert "Locust's page: http://127.0.0.1:" in run.output


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
