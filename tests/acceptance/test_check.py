"""Whole runs, from the command line to the exit status: what passes, what fails, what says nothing.

Each starts all its processes. The stores of recorded runs are tampered with afterwards, and the
checks must find exactly what was done to them.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pytest

from harness.run.preparation import Prepared, prepare
from harness.scenario import Scenario
from reports.recording import RunRecord
from tests.support.command_line import (
    WholeRun,
    finish,
    meterstorm,
    run_scenario,
    small_scenario,
    start,
    verdict_of,
    whole_run,
)
from tests.support.recorded_run import CHANGE_ONE, DOUBLE_ONE, REMOVE_ONE, tamper

pytestmark = pytest.mark.slow

OWED = 900
UnderWay = tuple[Path, subprocess.Popen[str]]
"""Where a run is made, and its process."""
FREEZE = """\
[limits]
lag = "500 ms"
[[timeline]]
do = "freeze"
at = "00:10"
for = "1500 ms"
part = "fleet"
"""


@pytest.fixture(params=["duckdb", "postgresql"])
def run(request: pytest.FixtureRequest) -> WholeRun:
    name = "duckdb_run" if request.param == "duckdb" else "postgres_run"
    found: WholeRun = request.getfixturevalue(name)
    return found


@pytest.fixture
def copied(duckdb_run: WholeRun, tmp_path: Path) -> Path:
    return shutil.copytree(duckdb_run.path, tmp_path / "copy")


def found_wanting(path: Path) -> dict[str, int]:
    readings = verdict_of(path).readings
    names = ("wrong", "lost", "duplicated", "invented", "unattempted", "conflicts")
    return {name: count for name in names if (count := getattr(readings, name))}


def test_every_reading_owed_is_stored_and_correct(run: WholeRun) -> None:
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.sent == readings.acknowledged == OWED
    assert readings.stored == readings.correct == OWED
    assert readings.late == readings.deferred == 0
    assert found_wanting(run.path) == {}


def test_the_record_is_whole(run: WholeRun) -> None:
    record = RunRecord.load(run.path)
    assert record.missing == ()
    pushes = sum(i.histogram.get_total_count() for i in record.latency if i.series == "push")
    assert pushes == run.facts["head_end"]["pushes acknowledged"]
    drawn = {series.metric for series in record.series if series.source == "run"}
    assert {"meters_planned", "meters_heard", "readings_stored_total"} <= drawn
    assert (run.path / "ledger" / "store.json").is_file()
    for view in ("report.html", "junit.xml", "summary.md"):
        assert (run.path / view).stat().st_size > 0


@pytest.mark.parametrize(
    ("statement", "expected"),
    [(CHANGE_ONE, {"wrong": 1}), (REMOVE_ONE, {"lost": 1}), (DOUBLE_ONE, {"duplicated": 1})],
    ids=["one value changed", "one row removed", "one row doubled"],
)
def test_a_tampered_duckdb_store_fails(
    statement: str, expected: dict[str, int], copied: Path
) -> None:
    tamper(copied / "store" / "shard-0.duckdb", statement)
    ended = meterstorm("check", str(copied), cwd=copied)
    assert ended.status == 1, ended.output
    assert found_wanting(copied) == expected


def test_a_tampered_postgresql_store_fails(postgres_run: WholeRun, tmp_path: Path) -> None:
    copy = shutil.copytree(postgres_run.path, tmp_path / "copy")
    url = json.loads((copy / "resolved.json").read_text())["target"]["store"]["url"]
    (address,) = postgres_run.facts["stores"]
    assert ":***@" in address, "no password in the record of the run"
    with psycopg.connect(f"{url}?{address.partition('?')[2]}") as session:
        # Our own index would refuse the double: a foreign store may have none.
        session.execute("DROP INDEX readings_once")
        for statement in (CHANGE_ONE, REMOVE_ONE, DOUBLE_ONE):
            session.execute(statement.encode())
    ended = meterstorm("check", str(copy), cwd=copy)
    assert ended.status == 1, ended.output
    assert found_wanting(copy) == {"wrong": 1, "lost": 1, "duplicated": 1}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    folder = tmp_path_factory.mktemp("frozen")
    return run_scenario(small_scenario(folder, more=FREEZE))


def test_a_fleet_that_stood_still_proves_nothing(frozen: WholeRun) -> None:
    assert frozen.status == 2, frozen.output
    verdict = frozen.verdict
    assert verdict.verdict == "inconclusive"
    assert 0.5 < verdict.generator.lag_s_max < 3
    assert "behind its plan" in verdict.reasons[0]
    assert verdict.readings.correct == verdict.readings.owed == OWED


def test_a_wrong_reading_fails_even_then(frozen: WholeRun, tmp_path: Path) -> None:
    copy = shutil.copytree(frozen.path, tmp_path / "copy")
    tamper(copy / "store" / "shard-0.duckdb", CHANGE_ONE)
    assert meterstorm("check", str(copy), cwd=copy).status == 1
    assert found_wanting(copy) == {"wrong": 1}


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[UnderWay]:
    """A run of half a minute whose first readings are stored."""
    scenario = small_scenario(tmp_path)
    words = ("run", str(scenario), "--out", "runs", "--set", "behaviour.steps=30")
    process = start("harness.cli", *words, cwd=tmp_path)
    summary = tmp_path / "runs" / "latest" / "ledger" / "shard-0" / "summary.json"
    deadline = time.monotonic() + 30
    while not (summary.is_file() and "readings pushed" in summary.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    yield tmp_path, process
    if process.poll() is None:
        process.kill()
        process.communicate()


def family(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    assert len(found) >= 3, "Locust, a fleet shard and a head-end shard at least"
    return found


def test_interrupted_once_it_drains_and_reports(
    under_way: UnderWay,
) -> None:
    folder, process = under_way
    children = family(process.pid)
    process.send_signal(signal.SIGINT)
    run = whole_run(finish(process), folder)
    assert run.status == 130, run.output
    assert psutil.wait_procs(children, timeout=1)[1] == []
    assert (run.path / "report.html").is_file()
    verdict = run.verdict
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[0] == "interrupted by SIGINT"
    readings = verdict.readings
    assert 0 < readings.correct <= readings.owed < 30 * 300
    assert readings.lost == readings.lost_acknowledged == 0
    assert readings.owed + readings.deferred == 30 * 300


def test_interrupted_twice_it_stops_at_once(under_way: UnderWay) -> None:
    _, process = under_way
    children = family(process.pid)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)  # two signals at once would be one
    process.send_signal(signal.SIGINT)
    assert finish(process).status == 130
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_nothing_outlives_a_killed_run(under_way: UnderWay) -> None:
    folder, process = under_way
    children = family(process.pid)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(children, timeout=30)[1] == []
    ended = meterstorm("check", "runs/latest", cwd=folder)
    assert ended.status == 2, ended.output
    assert "the run was cut off before its end" in verdict_of(folder / "runs" / "latest").reasons


def test_a_scenario_with_a_mistake_starts_nothing(tmp_path: Path) -> None:
    scenario = small_scenario(tmp_path, more="stepps = 4\n")
    ended = meterstorm("run", str(scenario), cwd=tmp_path)
    assert ended.status == 3
    assert "behaviour.stepps" in ended.output
    assert 'did you mean "steps"?' in ended.output
    assert not (tmp_path / "runs").exists()


def prepared(folder: Path, seed: int) -> Prepared:
    folder.mkdir()
    path = small_scenario(folder, seed=seed)
    # Most are hard to reach, so that there is a plan to draw.
    hard = ["concentrators", "meters"]
    overrides = [
        f'behaviour.{whom}=[{{ name = "bad", share = "100 %", reachable = "40 %" }}]'
        for whom in hard
    ]
    scenario = Scenario.load(path, [*overrides, "behaviour.steps=40"])
    return prepare(scenario, scenario_file=path, out=folder)


def owed_and_registered(run: Prepared) -> tuple[bytes, bytes]:
    meters = np.arange(run.grid.meters)
    steps = range(run.schedule.plan.steps)
    due = [run.schedule.delivery_step_block(step, 0, run.grid.meters) for step in steps]
    values = [run.truth.registers(meters, step)[0] for step in steps]
    return np.array(due).tobytes(), np.array(values).tobytes()


def test_the_same_seed_owes_the_same_readings_bit_for_bit(tmp_path: Path) -> None:
    first, second = (owed_and_registered(prepared(tmp_path / name, 7)) for name in "ab")
    assert first == second
    other = owed_and_registered(prepared(tmp_path / "c", 8))
    assert other[0] != first[0]
    assert other[1] != first[1]
