"""Alarms and registrations in the verdict on a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from emulator.event_kinds import MeterEventKind
from emulator.fleet_config import MeterEventSpan
from emulator.grid import PROTOCOLS
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from harness.check.alarms import alarm_measurements, with_alarm_checks
from harness.check.command import check_run, judge_run
from harness.check.recorded import RecordedRun
from harness.check.registrations import RETRIED
from harness.errors import ExitCode
from harness.headend.nodes import BEYOND_RATE
from harness.limits import ALARM_CHECKS, MEASURES, parse_limit
from harness.store.opening import open_store
from harness.store.rows import NO_METER, RegistrationKind, Rows
from reports.recording import Alarms, Metric, RunRecord
from tests.support.recorded_run import OFFSET_S, START_S, RecordedFolder
from tests.support.stores import Alarm, Change, alarms_of, registrations_of

REGISTERED, RENEWED, DEREGISTERED, EXPIRED = RegistrationKind
SPANS = (
    MeterEventSpan(number=0, kind=MeterEventKind.TAMPER, starts_s=100, share_ppm=500_000),
    MeterEventSpan(number=1, kind=MeterEventKind.SELF_READ, starts_s=1000, share_ppm=1_000_000),
)
OUTAGE = {"do": "outage", "at": "20 min", "for": "10 min", "share": "100 %"}


@dataclass
class Run:
    """A run of ANSI meters that raised `SPANS`, and what it stored of them."""

    folder: RecordedFolder
    raised: list[Alarm]

    def put(self, alarms: Sequence[Alarm], changes: Sequence[Change] = ()) -> None:
        names = self.folder.prepared.truth.profile.names
        with closing(open_store(self.folder.store, names, create=False)) as store:
            rows, registrations = Rows.empty(len(names)), registrations_of(changes)
            store.put(rows, {}, 1, alarms=alarms_of(alarms), registrations=registrations)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = RecordedFolder(tmp_path)

    def events_of(spans: object, plan: Plan) -> MeterEvents:
        ansi = np.full_like(plan.grid.protocol, PROTOCOLS.index("c12"))
        grid = replace(plan.grid, protocol=ansi)
        return MeterEvents(SPANS, Plan(grid, plan.behaviour, plan.first_s, plan.seed))

    monkeypatch.setattr("harness.check.recorded.MeterEvents", events_of)
    events, meters = RecordedRun.open(folder.path).events, folder.prepared.grid.meters
    raised = [
        alarm
        for interval in events.intervals
        for alarm in tuples_of_raised(events, interval, meters)
    ]
    return Run(folder, raised)


def tuples_of_raised(events: MeterEvents, interval: int, meters: int) -> list[Alarm]:
    raised = events.of_interval(interval, 0, meters)
    columns = (
        raised.meters,
        raised.source,
        raised.code,
        raised.sequence,
        raised.raised_at_s,
        raised.argument,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def alarms_in(folder: RecordedFolder) -> Alarms:
    found = judge_run(folder.path).verdict.alarms
    assert found is not None
    return found


def test_alarms_that_all_arrived_pass_and_have_names(run: Run) -> None:
    run.put(run.raised)
    assert check_run(run.folder.path) is ExitCode.PASSED
    verdict = RunRecord.load(run.folder.path).verdict
    assert verdict is not None
    alarms = verdict.alarms
    assert alarms is not None
    assert alarms.owed == alarms.stored == alarms.correct == len(run.raised) == 20 + 20 + 40
    assert [(kind.name, kind.severity, kind.owed, kind.stored) for kind in alarms.kinds] == [
        ("Tamper attempt detected", "alarm", 20, 20),
        ("Tamper detected", "alarm", 20, 20),
        ("Self-read occurred", "info", 40, 40),
    ]
    first_s = run.folder.prepared.fleet.first_s
    assert alarms.kinds[0].first_s == alarms.kinds[0].last_s == first_s + 100
    checks = {check.name: check.passed for check in verdict.checks}
    assert all(checks[name] for name in ALARM_CHECKS)


def test_alarms_that_did_not_arrive_fail_as_limited(run: Run) -> None:
    run.put(run.raised[1:])
    judgement = judge_run(run.folder.path).verdict
    assert judgement.verdict == "failed"
    assert judgement.alarms is not None
    assert (judgement.alarms.lost, judgement.alarms.lost_acknowledged) == (1, 1)
    assert "1 alarms acknowledged and not stored" in judgement.reasons
    assert "alarms.lost is 1, the limit is == 0" in judgement.reasons
    assert any(note.startswith("lost: event 47 (Tamper") for note in judgement.distrust)


def test_what_no_store_may_do_with_alarms_is_fatal(run: Run) -> None:
    invented: Alarm = (0, 0, 999, 77, run.raised[0][4], 0)
    run.put([*run.raised, invented, (*run.raised[0][:5], 9)])
    run.folder.tamper(
        "INSERT INTO alarms SELECT * FROM alarms WHERE code = 999",
        "UPDATE alarms SET raised_at = raised_at + 1 WHERE code = 21 AND meter = 3",
    )
    verdict = judge_run(run.folder.path).verdict
    assert verdict.verdict == "failed"
    alarms = verdict.alarms
    assert alarms is not None
    assert (alarms.wrong, alarms.invented, alarms.conflicts, alarms.lost) == (1, 2, 1, 0)
    assert any(kind.name == "Standard event 999" and kind.owed == 0 for kind in alarms.kinds)


def test_doubled_alarms_are_counted(run: Run) -> None:
    run.put(run.raised)
    run.folder.tamper("INSERT INTO alarms SELECT * FROM alarms WHERE code = 47")
    assert alarms_in(run.folder).duplicated == 20


def test_a_fleet_that_raises_nothing_has_no_alarms(tmp_path: Path) -> None:
    verdict = judge_run(RecordedFolder(tmp_path).path).verdict
    assert verdict.alarms is None
    assert verdict.registrations is None
    assert not any(check.name.startswith("alarms.") for check in verdict.checks)


def test_a_scenario_may_allow_what_is_usually_refused() -> None:
    mine = {"alarms.lost": parse_limit("<= 1 %", MEASURES["alarms.lost"])}
    checks = with_alarm_checks(mine, Alarms())
    assert str(checks["alarms.lost"]) == "<= 1 %"
    assert checks.keys() == ALARM_CHECKS.keys()
    assert with_alarm_checks(mine, None) == mine


def test_where_nobody_can_look_no_alarm_is_measured() -> None:
    assert alarm_measurements(None, None) == {}


def test_alarms_are_in_the_series(run: Run) -> None:
    run.put(run.raised[5:])
    check_run(run.folder.path)
    series = {s.metric: s for s in RunRecord.load(run.folder.path).series if s.source == "run"}
    assert series[Metric.ALARMS_OWED].values[-1] == len(run.raised)
    assert series[Metric.ALARMS_STORED].values[-1] == len(run.raised) - 5


def changes_of(folder: RecordedFolder, told: Sequence[tuple[float, int, int, int]]) -> list[Change]:
    """Return changes from (step, meter or NO_METER, concentrator, kind)."""
    return [
        (meter, concentrator, kind, 60, int((START_S + OFFSET_S + step * folder.step_s) * 1e6))
        for step, meter, concentrator, kind in told
    ]


def put_changes(folder: RecordedFolder, changes: Sequence[Change]) -> None:
    Run(folder, []).put([], changes)


def test_registrations_are_counted_and_drawn(tmp_path: Path) -> None:
    # The listener counts the refusals of the registration table once more, in its own words.
    counts = {BEYOND_RATE: 7, "refused: registration not admitted": 7, "refused: x": 5}
    folder = RecordedFolder(tmp_path, facts={"head_end": counts})
    folder.summary(0, counts={RETRIED: 9})
    told = [
        (0.0, NO_METER, 0, REGISTERED),
        (0.0, 0, 0, REGISTERED),
        (1.0, 0, 0, RENEWED),
        (2.0, 0, 0, EXPIRED),
        (3.0, NO_METER, 0, DEREGISTERED),
    ]
    put_changes(folder, changes_of(folder, told))
    check_run(folder.path)
    record = RunRecord.load(folder.path)
    assert record.verdict is not None
    found = record.verdict.registrations
    assert found is not None
    assert (found.nodes, found.registered, found.renewed) == (2, 2, 1)
    assert (found.deregistered, found.expired, found.refused, found.retried) == (1, 1, 7, 9)
    assert found.storms == ()
    series = {s.metric: s for s in record.series if s.source == "run"}
    drawn = series[Metric.NODES_REGISTERED]
    assert list(drawn.values) == [0, 2, 1, 0, 0]
    assert drawn.scenario_s[1] == pytest.approx(0, abs=1)
    assert drawn.scenario_s[2] == pytest.approx(2 * 900, abs=1)


def test_a_storm_lasts_until_the_last_node_is_back(tmp_path: Path) -> None:
    folder = RecordedFolder(tmp_path, {"timeline": [OUTAGE]})
    ends = 30 / 15
    nodes = [(meter, 0) for meter in range(4)]
    before = [(0.1, *node, REGISTERED) for node in nodes]
    gone = [(0.2, *nodes[3], DEREGISTERED)]
    back = [(ends + 0.1 * (n + 1), *nodes[n], kind) for n, kind in ((0, RENEWED), (1, REGISTERED))]
    put_changes(folder, changes_of(folder, [*before, *gone, *back]))
    found = judge_run(folder.path).verdict.registrations
    assert found is not None
    (storm,) = found.storms
    assert (storm.number, storm.nodes, storm.again) == (1, 3, 2)
    assert storm.half_s == pytest.approx(0.2 * folder.step_s, abs=0.01)
    assert storm.most_s is None
    assert storm.last_s is None
    late = [(ends + 0.5, *nodes[2], REGISTERED), (ends + 0.6, *nodes[0], RENEWED)]
    put_changes(folder, changes_of(folder, late))
    found = judge_run(folder.path).verdict.registrations
    assert found is not None
    assert found.storms[0].last_s == pytest.approx(0.5 * folder.step_s, abs=0.01)


def test_who_comes_back_after_the_next_outage_did_not_come_back_after_this_one(
    tmp_path: Path,
) -> None:
    folder = RecordedFolder(tmp_path, {"timeline": [OUTAGE, OUTAGE | {"at": "40 min"}]})
    told = [(0.1, 0, 0, REGISTERED), (50 / 15 + 0.1, 0, 0, REGISTERED)]
    put_changes(folder, changes_of(folder, told))
    found = judge_run(folder.path).verdict.registrations
    assert found is not None
    first, second = found.storms
    assert (first.again, first.last_s) == (0, None)
    assert second.again == 1
    assert second.last_s == pytest.approx(0.1 * folder.step_s, abs=0.01)
