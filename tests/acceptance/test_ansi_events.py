"""A run of ANSI meters that everything befalls, and that are commanded meanwhile.

Every alarm and every reading is in the store; when the store is tampered with afterwards, the
checks find exactly what was done to it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Final

import duckdb
import pytest

from emulator.event_kinds import TRACES
from harness.headend.alarms import describe_alarm
from protocols.readings import EventSource
from reports.recording import Alarms
from tests.support.ansi_runs import METERS, NODES, ansi_run, commands, every_event
from tests.support.command_line import WholeRun, meterstorm, verdict_of
from tests.support.recorded_run import CHANGE_ONE, DOUBLE_ONE, REMOVE_ONE, tamper

pytestmark = pytest.mark.slow

STEPS: Final = 5
OWED: Final = STEPS * METERS
COMMANDS: Final = 40
FIRST_ALARM: Final = (
    "(meter, source, code, sequence) IN (SELECT meter, source, code, sequence FROM alarms "
    "ORDER BY raised_at, meter, source, code, sequence LIMIT 1)"
)
FATES: Final = ("wrong", "lost", "lost_acknowledged", "duplicated", "invented", "unattempted")
SEVERITIES: Final = ("info", "warning", "alarm", "critical")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """Look, but change only copies."""
    folder = tmp_path_factory.mktemp("events")
    return ansi_run(folder, commands(COMMANDS), every_event(), steps=STEPS)


@pytest.fixture
def store(run: WholeRun, tmp_path: Path) -> Path:
    """The store of a copy of the run, to be tampered with."""
    return shutil.copytree(run.path, tmp_path / "copy") / "store" / "shard-0.duckdb"


def alarms_of(path: Path) -> Alarms:
    alarms = verdict_of(path).alarms
    assert alarms is not None
    return alarms


def wanting(account: object) -> dict[str, int]:
    return {name: count for name in FATES if (count := getattr(account, name))}


def judged(store: Path) -> Path:
    """Check the run of a store, which must fail; return its folder."""
    folder = store.parents[1]
    ended = meterstorm("check", str(folder), cwd=folder)
    assert ended.status == 1, ended.output
    return folder


def test_every_reading_and_every_alarm_is_stored_and_correct(run: WholeRun) -> None:
    assert run.status == 0, run.output
    readings, alarms = run.verdict.readings, alarms_of(run.path)
    assert readings.owed == readings.acknowledged == readings.stored == readings.correct == OWED
    assert wanting(readings) == wanting(alarms) == {}
    assert alarms.owed == alarms.acknowledged == alarms.stored == alarms.correct > METERS
    registered = run.verdict.registrations
    assert registered is not None
    assert registered.nodes == registered.registered == NODES
    assert registered.refused == registered.retried == 0


def test_alarms_of_every_kind_are_named(run: WholeRun) -> None:
    kinds = alarms_of(run.path).kinds
    told = {(kind.source, kind.code) for kind in kinds}
    codes = {code for trace in TRACES.values() for code in (*trace.begins, *trace.ends)}
    bits = {bit for trace in TRACES.values() for bit in trace.status_bits}
    assert told == {("log", code) for code in codes} | {("status", bit) for bit in bits}
    assert all(kind.owed == kind.stored > 0 for kind in kinds)
    page = (run.path / "report.html").read_text()
    for kind in kinds:
        source = EventSource.LOG if kind.source == "log" else EventSource.STATUS
        named = describe_alarm(source, kind.code)
        assert (kind.name, kind.severity) == (named.name, named.severity.name.lower())
        assert kind.name in page
    order = [SEVERITIES.index(kind.severity) for kind in kinds]
    assert order == sorted(order, reverse=True)
    assert set(order) == set(range(len(SEVERITIES)))


def test_every_command_is_executed_exactly_once(run: WholeRun) -> None:
    whole = [counts for counts in run.verdict.commands if not counts.link]
    assert {counts.kind for counts in whole} == {
        "disconnect",
        "reconnect",
        "segment",
        "tariff",
        "time",
    }
    assert sum(counts.issued for counts in whole) == COMMANDS
    assert all(counts.executed == counts.issued for counts in whole)
    assert all(counts.repeated == counts.failed == 0 for counts in whole)
    # By the meters themselves, whose word the account above takes.
    lines = (run.path / "ledger" / "shard-0" / "executions.ndjson").read_text().splitlines()
    executed = Counter(
        (line["meter"], line["kind"], line["parameter"]) for line in map(json.loads, lines)
    )
    ordered = Counter((it["meter"], it["kind"], it["parameter"]) for it in run.facts["commands"])
    assert executed == ordered


@pytest.mark.parametrize(
    ("statement", "expected"),
    [(CHANGE_ONE, {"wrong": 1}), (REMOVE_ONE, {"lost": 1}), (DOUBLE_ONE, {"duplicated": 1})],
    ids=["value changed", "row removed", "row doubled"],
)
def test_tampered_readings_are_found(statement: str, expected: dict[str, int], store: Path) -> None:
    tamper(store, statement)
    folder = judged(store)
    found = wanting(verdict_of(folder).readings)
    # What was removed had been acknowledged, which is counted besides.
    assert found.pop("lost_acknowledged", 0) == expected.get("lost", 0)
    assert found == expected
    assert wanting(alarms_of(folder)) == {}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"UPDATE alarms SET argument = argument + 1 WHERE {FIRST_ALARM}", {"wrong": 1}),
        (f"UPDATE alarms SET raised_at = raised_at + 60 WHERE {FIRST_ALARM}", {"wrong": 1}),
        (
            f"UPDATE alarms SET sequence = sequence + 60000 WHERE {FIRST_ALARM}",
            {"lost": 1, "lost_acknowledged": 1, "invented": 1},
        ),
        (f"DELETE FROM alarms WHERE {FIRST_ALARM}", {"lost": 1, "lost_acknowledged": 1}),
        (
            f"INSERT INTO alarms SELECT * FROM alarms WHERE {FIRST_ALARM}",
            {"duplicated": 1},
        ),
    ],
    ids=["argument changed", "time changed", "number changed", "alarm removed", "alarm doubled"],
)
def test_tampered_alarms_are_found(statement: str, expected: dict[str, int], store: Path) -> None:
    with duckdb.connect(store) as session:
        row = session.execute(f"SELECT source, code, meter FROM alarms WHERE {FIRST_ALARM}")
        source, code, meter = row.fetchone() or (0, 0, 0)
    tamper(store, statement)
    folder = judged(store)
    assert wanting(alarms_of(folder)) == expected
    assert wanting(verdict_of(folder).readings) == {}
    # The report names the alarm, for a person to look at.
    page = (folder / "report.html").read_text()
    assert describe_alarm(source, code).name in page
    assert f"of meter {meter}" in page
