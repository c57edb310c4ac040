"""What a cut held back and when that came in, held against a walk over plan and store by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from harness.check.command import check_run, judge_run
from harness.check.recovery import CUTS_MAX
from harness.store.opening import open_store
from harness.store.rows import Rows, Via
from reports.recording import Metric, Recovery, RunRecord, RunTime, Verdict
from tests.support.recorded_run import (
    BEGAN_S,
    OFFSET_S,
    START_S,
    STORED_AFTER_S,
    RecordedFolder,
)

STEPS = 6
STEP_S = 900.0
SPEED = 300.0
METERS = 40
OUTAGE = {"do": "outage", "at": "00:20", "for": "40 min", "share": "50 %"}
"""Of the steps 0:15, 0:30 and 0:45; what they held back is due at 1:00, in step 4."""


def recorded(folder: Path, *timeline: dict[str, Any], **more: Any) -> RecordedFolder:
    behaviour = {"mode": "push", "steps": STEPS}
    return RecordedFolder(folder, {"behaviour": behaviour, "timeline": [*timeline], **more})


def verdict_of(run: RecordedFolder) -> Verdict:
    return judge_run(run.path).verdict


def recovery_of(run: RecordedFolder) -> Recovery:
    (recovery,) = verdict_of(run).recoveries
    return recovery


def at_step(step: float, after_s: float = 0.0) -> RunTime:
    """Return the moment that many wall seconds after a step opened."""
    return RunTime(
        step * STEP_S + after_s * SPEED, START_S - BEGAN_S + step * STEP_S / SPEED + after_s
    )


def stored_at_us(step: float, after_s: float) -> int:
    return int((START_S + OFFSET_S + step * STEP_S / SPEED + after_s) * 1_000_000)


def near(moment: RunTime) -> Any:
    return pytest.approx((moment.scenario_s, moment.wall_s), abs=0.01)


def both(moment: RunTime | None) -> tuple[float, float]:
    assert moment is not None
    return moment.scenario_s, moment.wall_s


def hit(run: RecordedFolder) -> list[int]:
    """Return the meters behind concentrators that the outage hits."""
    prepared = run.prepared
    owner = prepared.grid.concentrator_of(np.arange(METERS))
    (outage,) = prepared.schedule.outages
    return np.flatnonzero(outage.hits[owner]).tolist()


def test_what_an_outage_holds_back_comes_with_the_first_step_after_it(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    held = 3 * len(hit(run))
    assert 0 < held < 3 * METERS
    found = recovery_of(run)
    assert found.fault == "outage 0"
    assert found.concentrators == 3
    assert (both(found.began), both(found.ended)) == (near(at_step(4 / 3)), near(at_step(4)))
    assert (found.held_back, found.arrived, found.deferred) == (held, held, 0)
    assert both(found.last_stored) == near(at_step(4, STORED_AFTER_S))
    assert found.caught_up_s == pytest.approx(STORED_AFTER_S, abs=0.01)
    assert (found.lowest, found.lowest_planned) == (METERS - held // 3, METERS)
    assert found.highest == METERS + held


def test_the_last_of_them_decides_when_it_was_caught_up(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    first_s = run.prepared.fleet.first_s
    run.tamper(
        f"UPDATE readings SET stored_at = {stored_at_us(5, 1.5)} "
        f"WHERE meter = {hit(run)[-1]} AND captured_at = {first_s + 2 * 900}"
    )
    found = recovery_of(run)
    assert found.arrived == found.held_back
    assert both(found.last_stored) == near(at_step(5, 1.5))
    assert found.caught_up_s == pytest.approx(3.0 + 1.5, abs=0.01)


def test_who_was_not_hit_has_no_part_in_it(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    other = next(meter for meter in range(METERS) if meter not in hit(run))
    run.tamper(
        f"UPDATE readings SET stored_at = {stored_at_us(5, 2.0)} WHERE meter = {other} "
        f"AND captured_at = {run.prepared.fleet.first_s + 2 * 900}"
    )
    verdict = verdict_of(run)
    assert both(verdict.recoveries[0].last_stored) == near(at_step(4, STORED_AFTER_S))
    assert both(verdict.last_stored) == near(at_step(5, 2.0))


def test_the_leanest_step_is_one_it_touches_and_the_fullest_one_after_it(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    first_s, held = run.prepared.fleet.first_s, 3 * len(hit(run))
    other = next(meter for meter in range(METERS) if meter not in hit(run))
    # One reading of step 1 comes in step 2, and those of the last two steps came in the first.
    run.tamper(
        f"UPDATE readings SET stored_at = {stored_at_us(2, 0.1)} "
        f"WHERE meter = {other} AND captured_at = {first_s + 900}",
        f"UPDATE readings SET stored_at = {stored_at_us(0, 0.1)} "
        f"WHERE captured_at >= {first_s + 4 * 900}",
    )
    found = recovery_of(run)
    assert (found.lowest, found.lowest_planned) == (METERS - held // 3 - 1, METERS)
    assert found.highest == held


def test_what_was_lost_before_it_began_is_none_of_its_own(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    run.tamper(f"DELETE FROM readings WHERE captured_at = {run.prepared.fleet.first_s}")
    assert recovery_of(run).held_back == recovery_of(run).arrived == 3 * len(hit(run))


def test_what_never_came_is_told_and_nobody_has_caught_up(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    lost = f"captured_at = {run.prepared.fleet.first_s + 2 * 900} AND meter = {hit(run)[0]}"
    run.tamper(f"DELETE FROM readings WHERE {lost}")
    found = recovery_of(run)
    assert found.arrived == found.held_back - 1
    assert found.caught_up_s is None
    assert found.last_stored is not None


def test_an_outage_that_outlasts_the_run_defers_and_holds_nothing_back(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE | {"for": "90 min"})
    found = recovery_of(run)
    assert (found.held_back, found.deferred) == (0, 5 * len(hit(run)))
    assert found.last_stored is None
    assert found.caught_up_s == 0.0


def test_a_partition_closes_no_step_and_holds_back_what_was_not_there_as_it_ended(
    tmp_path: Path,
) -> None:
    # From 2 to 4.2 wall seconds after the first step: step 1 opens within, at 3.0, pushes at 3.1.
    run = recorded(tmp_path, {"do": "partition", "at": "00:10", "for": "11 min"})
    found = recovery_of(run)
    assert (found.held_back, found.last_stored) == (0, None), "all was there in time"
    run.tamper(
        f"UPDATE readings SET stored_at = {stored_at_us(1, 2.5)} "
        f"WHERE captured_at = {run.prepared.fleet.first_s + 900} AND meter < 7"
    )
    found = recovery_of(run)
    assert (found.fault, found.concentrators) == ("partition 0", 6)
    assert (found.held_back, found.arrived) == (7, 7)
    assert both(found.last_stored) == near(at_step(1, 2.5))
    assert (found.lowest, found.highest) == (METERS, METERS), "within their step they came"


@pytest.mark.parametrize(
    ("event", "lasts_s"),
    [
        ({"do": "kill", "at": "00:14", "restart_after": "1500 ms"}, 1.5),
        ({"do": "freeze", "at": "00:14", "for": "2 s", "part": "headend"}, 2.0),
    ],
    ids=["kill", "freeze"],
)
def test_a_head_end_that_is_away_holds_everybody_up(
    event: dict[str, Any], lasts_s: float, tmp_path: Path
) -> None:
    run = recorded(tmp_path, event)
    run.tamper(
        f"UPDATE readings SET stored_at = {stored_at_us(1, 2.2)} "
        f"WHERE captured_at = {run.prepared.fleet.first_s + 900}"
    )
    found = recovery_of(run)
    assert found.fault == f"{event['do']} 0"
    assert both(found.ended) == near(at_step(14 / 15, lasts_s)), "wall time, never scaled"
    assert (found.held_back, found.arrived, found.concentrators) == (METERS, METERS, 6)


def test_each_day_that_a_cut_comes_is_told_by_itself(tmp_path: Path) -> None:
    behaviour = {"mode": "push", "steps": 4 * 24, "first": "2026-01-12T00:00:00+01:00"}
    flap = {"do": "flap", "hours": ["01:00-02:00", "20:00-21:00"], "period": "10 min"}
    run = recorded(tmp_path, flap, OUTAGE | {"at": "05:00"}, behaviour=behaviour)
    found = verdict_of(run).recoveries
    assert [(one.fault, one.began.scenario_s / 3600) for one in found] == [
        ("flap 0", 1.0),
        ("flap 0", 20.0),
        ("outage 1", 5.0),
    ]


def test_the_number_told_is_bounded(tmp_path: Path) -> None:
    cuts = [{"do": "partition", "at": "00:10", "for": "1 min"}] * (CUTS_MAX + 1)
    assert len(verdict_of(recorded(tmp_path, *cuts)).recoveries) == CUTS_MAX


def test_what_would_have_come_after_a_run_was_cut_short_is_left_out(tmp_path: Path) -> None:
    behaviour = {"mode": "push", "steps": STEPS}
    run = RecordedFolder(
        tmp_path,
        {"behaviour": behaviour, "timeline": [OUTAGE | {"at": "01:05", "for": "10 min"}]},
        {"drain_began_s": START_S + 3.5, "doubts": ("interrupted by SIGINT",)},
    )
    assert verdict_of(run).recoveries == ()


def test_what_had_not_come_due_when_a_run_was_cut_short_was_not_held_back(tmp_path: Path) -> None:
    changes = {"behaviour": {"mode": "push", "steps": STEPS}, "timeline": [OUTAGE]}
    # Steps 0 to 2 opened, and the outage touches two of them.
    run = RecordedFolder(tmp_path, changes, {"drain_began_s": START_S + 6.5})
    found = recovery_of(run)
    assert (found.held_back, found.deferred) == (0, 2 * len(hit(run)))


def test_without_times_in_the_store_nobody_knows(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    run.tamper("UPDATE readings SET stored_at = 0")
    verdict = verdict_of(run)
    assert (verdict.recoveries, verdict.last_stored) == ((), None)


def test_a_run_without_cuts_says_when_its_last_reading_was_stored(tmp_path: Path) -> None:
    verdict = verdict_of(recorded(tmp_path))
    assert verdict.recoveries == ()
    assert both(verdict.last_stored) == near(at_step(STEPS - 1, STORED_AFTER_S))


LOSE = {"do": "lose", "at": "00:35", "before": "00:20"}
"""Of the captures at 0:00 and 0:15, both stored in their steps."""


def test_a_loss_is_told_by_what_was_stored_after_it(tmp_path: Path) -> None:
    run = recorded(tmp_path, LOSE)
    assert recovery_of(run).held_back == 0
    late = stored_at_us(2.5, 1.0)
    first_s = run.prepared.fleet.first_s
    again = f"UPDATE readings SET stored_at = {late} WHERE captured_at = "
    run.tamper(
        f"{again} {first_s}", f"{again} {first_s + 900} AND meter < 7", f"{again} {first_s + 1800}"
    )
    found = recovery_of(run)
    assert (found.fault, found.concentrators) == ("lose 0", run.prepared.grid.concentrators)
    assert (found.held_back, found.arrived, found.deferred) == (METERS + 7, METERS + 7, 0)
    assert both(found.began) == both(found.ended) == near(at_step(35 / 15))
    assert both(found.last_stored) == near(at_step(2.5, 1.0))
    assert found.caught_up_s == pytest.approx((2.5 - 35 / 15) * STEP_S / SPEED + 1.0, abs=0.01)
    assert (found.lowest, found.lowest_planned) == (0, 0)


def test_history_that_was_lost_and_is_back_is_preloaded_and_right(tmp_path: Path) -> None:
    behaviour = {"mode": "push", "steps": STEPS, "preloaded": 3}
    run = recorded(tmp_path, {**LOSE, "before": "00:00"}, behaviour=behaviour)
    lacking = verdict_of(run)
    (loss,) = lacking.recoveries
    assert (loss.held_back, loss.arrived) == (3 * METERS, 0)
    assert lacking.readings.preloaded_wrong == 3 * METERS
    prepared = run.prepared
    store = open_store(run.store, prepared.truth.profile.names, create=False)
    every = np.arange(METERS)
    for interval in range(-3, 0):
        values, status = prepared.truth.registers(every, interval)
        rows = Rows(
            meter=every.astype(np.uint32),
            profile=np.full(METERS, prepared.truth.profile.number, np.uint8),
            captured_at_s=prepared.schedule.plan.captured_at(np.full(METERS, interval)),
            status=status,
            values=values,
            via=np.full(METERS, Via.GAP_FILLING, np.uint8),
        )
        store.put(rows, {}, stored_at_us(3.0, interval * 0.1))
    store.close()
    back = verdict_of(run)
    (loss,) = back.recoveries
    assert (loss.held_back, loss.arrived) == (3 * METERS, 3 * METERS)
    assert both(loss.last_stored) == near(at_step(3.0, -0.1))
    assert (back.readings.preloaded, back.readings.preloaded_wrong) == (3 * METERS, 0)
    assert back.readings.duplicated == back.readings.invented == back.readings.lost == 0


def by_step(run: RecordedFolder) -> Iterator[int]:
    """Count with SQL what each step has brought, the last ones included."""
    with duckdb.connect(str(run.store), read_only=True) as session:
        rows = session.execute("SELECT stored_at FROM readings").fetchall()
    start_us = (START_S + OFFSET_S) * 1_000_000
    steps = [int((at_us - start_us) // (STEP_S / SPEED * 1_000_000)) for (at_us,) in rows]
    for step in range(STEPS + 1):
        yield steps.count(step)


def test_the_series_show_the_dip_and_the_catch_up_in_steps(tmp_path: Path) -> None:
    run = recorded(tmp_path, OUTAGE)
    expected = list(by_step(run))
    assert min(expected[:-1]) < METERS < max(expected)
    check_run(run.path)
    series = {s.metric: s for s in RunRecord.load(run.path).series if s.source == "run"}
    stored, planned = series[Metric.STORED_IN_STEP], series[Metric.PLANNED_IN_STEP]
    assert stored.values == [count for count in expected for _ in range(2)]
    assert planned.values == [METERS] * 2 * STEPS + [0, 0]
    assert stored.scenario_s[::2] == pytest.approx([step * STEP_S for step in range(STEPS + 1)])
    assert list(stored.wall_s) == sorted(stored.wall_s)


def test_what_befalls_batteries_and_their_layer_holds_back_no_reading(tmp_path: Path) -> None:
    away = {**OUTAGE, "of": "batteries"}
    kill = {"do": "kill", "part": "bal", "at": "00:20"}
    systems = {"batteries": {"count": 6}, "bal": {"virtual": 2}}
    assert verdict_of(recorded(tmp_path, away, kill, **systems)).recoveries == ()
