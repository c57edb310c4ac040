"""A store that loses its history has it back from the concentrators, and every bill is right."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reports.recording import FaultBegan, Note, ProcessRestarted, RunRecord
from tests.support.command_line import (
    WholeRun,
    finish,
    meterstorm,
    run_scenario,
    start,
    verdict_of,
    whole_run,
)
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

METERS, HISTORY = 60, 742
SCENARIO = f"""\
name = "recovery"
seed = 7
speed = 1200
link = "none"
[grid]
transformer_stations = 6
meters = {METERS}
sizes = [{{ name = "small", meters = [5, 25], share = "100 %" }}]
[behaviour]
step = "1 h"
preloaded = {HISTORY}
steps = 4
first = "2026-03-31T23:00:00+02:00"
concentrators = [{{ name = "always", share = "100 %", reachable = "100 %" }}]
[limits]
drain = "60 s"
[billing]
time_zone = "Europe/Berlin"
base_bill = "12.50"
rates = [{{ month = "2026-03", peak = "0.3245", off_peak = "0.2387", peak_hours = "07:00-22:00" }}]
"""
LOSS = """\
[[timeline]]
do = "lose"
at = "00:20"
recover_after = "200 ms"
"""
KILL = """\
[[timeline]]
do = "kill"
at = "00:26"
restart_after = "100 ms"
"""
GRID = "[grid]\n"
MIX = f'protocol = "mix"\n{GRID}protocols = {{ dlms = "50 %", c12 = "50 %" }}\n'


def events_of(run: WholeRun) -> list[str]:
    record = RunRecord.load(run.path)
    return [event.text for event in record.events if isinstance(event, Note)]


def assert_all_is_back(run: WholeRun) -> None:
    assert run.status == 0, run.output
    verdict = run.verdict
    assert (verdict.readings.preloaded, verdict.readings.preloaded_wrong) == (HISTORY * METERS, 0)
    assert verdict.readings.lost == verdict.readings.duplicated == verdict.readings.invented == 0
    assert verdict.bills is not None
    assert (verdict.bills.due, verdict.bills.correct) == (METERS, METERS)
    loss = next(one for one in verdict.recoveries if one.fault == "lose 0")
    assert (loss.held_back, loss.arrived) == (HISTORY * METERS, HISTORY * METERS)
    assert loss.caught_up_s is not None
    assert 0 < loss.caught_up_s < 60
    assert f"lose 0: {HISTORY * METERS:,} readings are gone" in events_of(run)
    assert f"{HISTORY * METERS:,} readings lost," in " ".join(run.output.split())


def test_both_protocols_answer_for_history_and_a_killed_head_end_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "recovery.toml"
    path.write_text(SCENARIO.replace(GRID, MIX) + LOSS + KILL)
    run = run_scenario(path)
    assert_all_is_back(run)
    events = RunRecord.load(run.path).events
    assert any(isinstance(event, ProcessRestarted) for event in events)
    assert any(isinstance(event, FaultBegan) and event.fault == "lose 0" for event in events)
    kept = json.loads((run.path / "headend" / "0.recoveries.json").read_text())
    (recovery,) = kept["recoveries"]
    assert recovery["read"] == recovery["missing"] == HISTORY * METERS
    assert recovery["given_up"] == 0
    # What was read again is there as such, and was preloaded nowhere.
    with duckdb.connect(run.path / "store" / "shard-0.duckdb", read_only=True) as session:
        vias = session.execute("SELECT via, count(*) FROM readings GROUP BY via").fetchall()
    assert {via for via, _ in vias} == {0, 1}
    # Judged again, from the record alone.
    ended = meterstorm("check", str(run.path), cwd=run.path)
    assert ended.status == 0, ended.output
    assert verdict_of(run.path).recoveries == run.verdict.recoveries


def test_a_database_has_it_back_too(tmp_path: Path, postgres_server: PostgresServer) -> None:
    store = f'[target.store]\nkind = "postgresql"\nurl = "{postgres_server.new_database()}"\n'
    path = tmp_path / "recovery.toml"
    path.write_text(SCENARIO + store + LOSS)
    assert_all_is_back(run_scenario(path))


@dataclass(slots=True)
class Clerk:
    """Somebody at billing's API while a run goes on."""

    folder: Path

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the answer; an empty one where there is none yet."""
        try:
            (config,) = self.folder.glob("runs/2*/billing/billing.json")
            told = json.loads(config.read_text())
            request = urllib.request.Request(
                f"http://127.0.0.1:{told['port']}{path}",
                None if body is None else json.dumps(body).encode(),
                {
                    "Authorization": f"Bearer {Path(told['token_file']).read_text().strip()}",
                    "Content-Type": "application/json",
                },
                method=method,
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read())
        except (OSError, ValueError):
            return {}
        return found

    def recover(self, lost: int) -> dict[str, Any]:
        """Have March read again until so many readings that were lost are back.

        One that is under way as they are lost has only a part of them.
        """
        back, deadline = 0, time.monotonic() + 60
        while time.monotonic() < deadline:
            self.ask("POST", "/recovery", {"month": "2026-03"})
            found = self.ask("GET", "/recovery?month=2026-03")
            while found.get("state") == "under way":
                time.sleep(0.05)
                found = self.ask("GET", "/recovery?month=2026-03")
            back += found.get("read_again", 0)
            if back >= lost:
                return found
            time.sleep(0.2)
        raise AssertionError(f"only {back} readings came back")


def test_billing_asks_for_what_was_lost(tmp_path: Path) -> None:
    """The head-end is told by nobody else."""
    path = tmp_path / "recovery.toml"
    loss = LOSS.replace('recover_after = "200 ms"', "recover = false")
    path.write_text(SCENARIO.replace("speed = 1200", "speed = 600") + loss)
    process = start("harness.cli", "run", str(path), "--out", "runs", cwd=tmp_path)
    try:
        found = Clerk(tmp_path).recover(HISTORY * METERS)
    finally:
        ended = finish(process)
    assert (found["state"], found["given_up"]) == ("over", 0)
    assert found["lost"] == found["read_again"]
    assert 0 < found["seconds"] < 30
    assert_all_is_back(whole_run(ended, tmp_path))
