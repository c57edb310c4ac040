"""Whole runs of the ANSI world: read by table, beside DLMS, in two shards, after an outage."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from harness.provisioning import Provisioning
from tests.support.ansi_runs import CONCENTRATORS, METERS, NODES, ansi_run, commands, every_event
from tests.support.command_line import WholeRun
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow

PULL: Final = """\
[[behaviour.meters]]
name = "good"
share = "70 %"
[[behaviour.meters]]
name = "seldom"
share = "30 %"
reachable = "40 %"
[[behaviour.concentrators]]
name = "good"
share = "70 %"
[[behaviour.concentrators]]
name = "seldom"
share = "30 %"
reachable = "60 %"
"""
ADMITTED_PER_S: Final = 40
STORM: Final = f"""\
[c12]
registrations_per_s = {ADMITTED_PER_S}
[[timeline]]
do = "outage"
at = "00:50"
for = "10 min"
share = "100 %"
[limits]
drain = "30 s"
[checks]
"readings.late" = "<= 100 %"
"""


def check_that_all_is_correct(run: WholeRun, owed: int) -> None:
    assert run.status == 0, run.output
    readings, alarms = run.verdict.readings, run.verdict.alarms
    assert readings.owed == readings.stored == readings.correct == owed
    assert readings.lost == readings.duplicated == readings.wrong == readings.invented == 0
    if alarms is not None:
        assert 0 < alarms.owed == alarms.stored == alarms.correct
        assert alarms.duplicated == alarms.wrong == alarms.invented == alarms.conflicts == 0


@pytest.mark.parametrize("sessionless", ["true", "false"], ids=["sessionless", "in sessions"])
def test_pulled_by_table(sessionless: str, tmp_path: Path) -> None:
    c12 = f"[c12]\nsessionless = {sessionless}\n"
    run = ansi_run(tmp_path, PULL, c12, every_event(), mode="pull", steps=4)
    readings = run.verdict.readings
    check_that_all_is_correct(run, readings.owed)
    assert readings.sent == readings.owed
    assert readings.deferred > 0, "some meters must be out of reach to the end"
    assert readings.owed + readings.deferred == 4 * METERS
    assert run.verdict.alarms is not None


def test_beside_dlms_on_postgresql(tmp_path: Path, postgres_server: PostgresServer) -> None:
    store = f'[target.store]\nkind = "postgresql"\nurl = "{postgres_server.new_database()}"\n'
    run = ansi_run(tmp_path, store, commands(20), every_event(), protocol="mix", steps=4)
    check_that_all_is_correct(run, 4 * METERS)
    records = Provisioning.load(run.path / "provisioning").concentrators
    ansi = [record for record in records if record.protocol == "c12"]
    assert 0 < len(ansi) < len(records) == CONCENTRATORS
    registered = run.verdict.registrations
    assert registered is not None
    assert registered.nodes == len(ansi) + sum(record.meters for record in ansi)
    assert run.verdict.alarms is not None
    orders = [counts for counts in run.verdict.commands if not counts.link]
    assert sum(counts.issued for counts in orders) == 20
    assert all(counts.executed == counts.issued for counts in orders)
    assert all(counts.repeated == counts.failed == 0 for counts in orders)


def test_two_shards(tmp_path: Path) -> None:
    run = ansi_run(tmp_path, "[target]\nshards = 2\n", '[security]\npush = "authenticated"\n')
    check_that_all_is_correct(run, 3 * METERS)
    assert len(run.facts["stores"]) == 2
    registered = run.verdict.registrations
    assert registered is not None
    assert registered.nodes == registered.registered == NODES


def test_a_registration_storm(tmp_path: Path) -> None:
    run = ansi_run(tmp_path, STORM, steps=6)
    check_that_all_is_correct(run, 6 * METERS)
    found = run.verdict.registrations
    assert found is not None
    assert found.nodes == NODES
    (storm,) = found.storms
    assert NODES / 2 < storm.nodes == storm.again, "those that the outage cut off came back"
    assert storm.half_s is not None
    assert storm.most_s is not None
    assert storm.last_s is not None
    # Beyond the first second's worth each further second lets in as many.
    assert storm.last_s > (storm.nodes - 2 * ADMITTED_PER_S) / ADMITTED_PER_S
    assert 0 < storm.half_s <= storm.most_s <= storm.last_s
    assert found.refused >= found.retried > 0
    assert found.refused < 10 * NODES
    assert f"{storm.nodes} nodes back" in " ".join(run.output.split())
    page = (run.path / "report.html").read_text()
    assert f"<dt>tried again by nodes</dt><dd>{found.retried}</dd>" in page
    assert "After each outage, from its end" in page
