from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.delivery_record import DeliveryRecord, Mark
from emulator.fleet_config import OutageSpan, part_of
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.schedule import Schedule
from harness.ledger.fates import Counts
from harness.ledger.reconcile import BUCKETS_PER_STEP, Group, Ledger, Reconciliation, RunTimes
from tests.support.grids import FIRST_S, small_plan, truth_of
from tests.support.stored import HandMadeReader, StoredRow

STEPS = 6
SEED = 7
TIMES = RunTimes(start_us=1_700_000_000_000_000, step_us=2_000_000.0)
Reading = tuple[int, int]
"""(meter, interval)."""


class World:
    """A small grid whose run went as the test says."""

    def __init__(
        self,
        folder: Path,
        *,
        outages: Sequence[OutageSpan] = (),
        shards: int = 2,
        preloaded: int = 0,
    ) -> None:
        self.plan: Plan = small_plan(SEED, steps=STEPS, preloaded=preloaded)
        self.grid = self.plan.grid
        _, self.truth = truth_of(self.grid.parameters, self.plan.behaviour, seed=SEED)
        self.schedule = Schedule.of(self.plan, outages)
        self.records = [
            DeliveryRecord.create(
                folder / str(shard), self.grid, part.start, part.stop, self.plan.steps
            )
            for shard in range(shards)
            if (part := part_of(self.grid.concentrators, shards, shard))
        ]
        self.rows: list[StoredRow] = []

    @property
    def readings(self) -> list[Reading]:
        return [(meter, step) for meter in range(self.grid.meters) for step in range(STEPS)]

    def due_step(self, reading: Reading) -> int:
        meter, interval = reading
        return int(self.schedule.delivery_step(np.array([meter]), np.array([interval]))[0])

    def mark(self, mark: Mark, reading: Reading) -> None:
        meter, interval = np.array([reading[0]]), np.array([reading[1]])
        concentrator = int(self.grid.concentrator_of(meter)[0])
        for record in self.records:
            if record.layout.first_meter[0] <= meter[0] < record.layout.first_meter[-1]:
                record.mark(mark, concentrator, meter, interval)

    def row(self, reading: Reading, stored_at_us: int) -> StoredRow:
        meter, interval = reading
        values, status = self.truth.registers(np.array([meter]), interval)
        return StoredRow(
            meter,
            self.captured_at_s(interval),
            stored_at_us,
            int(status[0]),
            tuple(values[0].tolist()),
            self.truth.profile.number,
        )

    def captured_at_s(self, interval: int) -> int:
        return int(self.plan.captured_at(np.array([interval]))[0])

    def opens_us(self, step: int) -> int:
        return int(TIMES.step_opens_us(np.array([step]))[0])

    def deliver(self, reading: Reading) -> None:
        """Let everything go right with one reading: stored as its window opens."""
        self.mark(Mark.SENT, reading)
        self.mark(Mark.ACKNOWLEDGED, reading)
        self.rows.append(self.row(reading, self.opens_us(self.due_step(reading)) + 1))

    def reconcile(self, groups: Sequence[Group] = (), steps_opened: int = STEPS) -> Reconciliation:
        return Ledger(
            grid=self.grid,
            schedule=self.schedule,
            truth=self.truth,
            records=self.records,
            reader=HandMadeReader(self.rows, self.truth.profile.names),
            profile=self.truth.profile.number,
            times=TIMES,
            steps_opened=steps_opened,
            groups=groups,
        ).reconcile()


def walk(world: World, steps_opened: int = STEPS) -> Counts:
    """Judge as the ledger does, one reading after the other, from the definitions alone."""
    counts = Counts()
    rows_of: dict[Reading, list[StoredRow]] = defaultdict(list)
    intervals = {world.captured_at_s(interval): interval for interval in range(STEPS)}
    for row in world.rows:
        interval = intervals.get(row.captured_at_s)
        known = row.meter < world.grid.meters and row.profile == world.truth.profile.number
        if interval is None or not known:
            counts.invented += 1
        else:
            rows_of[row.meter, interval].append(row)
    for reading in world.readings:
        rows = sorted(rows_of[reading], key=lambda row: row.stored_at_us)
        right = world.row(reading, 0)
        is_owed = world.due_step(reading) < steps_opened
        is_sent, is_acknowledged = (_marked(world, mark, reading) for mark in Mark)
        is_right = all((row.values, row.status) == (right.values, right.status) for row in rows)
        counts.sent += is_sent
        counts.acknowledged += is_acknowledged
        counts.stored += bool(rows)
        counts.duplicated += max(0, len(rows) - 1)
        counts.lost_after_acknowledge += is_acknowledged and not rows
        counts.invented += bool(rows) and (not is_sent or (not is_owed and not is_right))
        if not is_owed:
            counts.deferred += 1
            continue
        counts.owed += 1
        counts.correct += bool(rows) and is_right
        counts.wrong += bool(rows) and not is_right
        counts.lost += not rows and is_sent
        counts.unattempted += not rows and not is_sent
        if rows:
            deadline_us = world.opens_us(world.due_step(reading) + 1)
            counts.late += rows[0].stored_at_us > deadline_us
            counts.untimed += rows[0].stored_at_us == 0
    return counts


def _marked(world: World, mark: Mark, reading: Reading) -> bool:
    meter, interval = reading
    return any(
        bool(record.of_interval(mark, interval)[meter - int(record.layout.first_meter[0])])
        for record in world.records
        if record.layout.first_meter[0] <= meter < record.layout.first_meter[-1]
    )


FATES = ("deliver", "silent", "sent", "acknowledged", "wrong", "late", "doubled", "doubled wrong")


def _befall(world: World, reading: Reading, fate: str) -> None:
    match fate:
        case "silent":
            pass
        case "sent" | "acknowledged":
            world.mark(Mark.SENT, reading)
            if fate == "acknowledged":
                world.mark(Mark.ACKNOWLEDGED, reading)
        case _:
            world.deliver(reading)
            last = world.rows[-1]
            if fate == "wrong":
                world.rows[-1] = last.altered(2)
            elif fate == "late":
                world.rows[-1] = replace(last, stored_at_us=last.stored_at_us + 3_000_000)
            elif fate == "doubled":
                world.rows.append(replace(last, stored_at_us=last.stored_at_us + 5))
            elif fate == "doubled wrong":
                world.rows.append(last.altered())


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_judging_columns_equals_walking_reading_by_reading(data: st.DataObject) -> None:
    outage = OutageSpan(number=0, starts_s=1000, lasts_s=1500, share_ppm=500_000)
    outages = data.draw(st.sampled_from([(), (outage,)]))
    steps_opened = data.draw(st.integers(0, STEPS))
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), outages=outages, shards=data.draw(st.integers(1, 3)))
        odd = data.draw(st.dictionaries(st.sampled_from(world.readings), st.sampled_from(FATES)))
        for reading in world.readings:
            _befall(world, reading, odd.get(reading, "deliver"))
        strange = world.rows[0] if world.rows else world.row((0, 0), 1)
        world.rows += data.draw(
            st.lists(
                st.sampled_from(
                    [
                        replace(strange, meter=world.grid.meters + 3),
                        replace(strange, profile=9),
                        replace(strange, captured_at_s=FIRST_S + 1),
                    ]
                )
            )
        )
        found = world.reconcile(steps_opened=steps_opened)
        counts = found.counts
        assert counts == walk(world, steps_opened)
        assert counts.owed == counts.correct + counts.wrong + counts.lost + counts.unattempted
        assert sum(slot.rows for slot in found.fingerprint.values()) == len(world.rows)


@pytest.fixture
def world(tmp_path: Path) -> World:
    delivered = World(tmp_path)
    for reading in delivered.readings:
        if delivered.due_step(reading) < STEPS:
            delivered.deliver(reading)
    return delivered


def test_a_run_in_which_all_went_well(world: World) -> None:
    counts = world.reconcile().counts
    owed = sum(world.due_step(reading) < STEPS for reading in world.readings)
    assert 0 < owed < len(world.readings)
    assert counts == Counts(
        owed=owed,
        deferred=len(world.readings) - owed,
        sent=owed,
        acknowledged=owed,
        stored=owed,
        correct=owed,
    )


def test_groups_are_counted_apart(world: World) -> None:
    even = np.arange(world.grid.meters) % 2 == 0
    found = world.reconcile([Group("parity", "even", even), Group("parity", "odd", ~even)])
    whole = Counts()
    for counts in found.by_group.values():
        assert counts.owed > 0
        whole.add(counts)
    assert whole == found.counts


def test_what_failed_is_shown_with_what_was_expected_and_what_was_found(world: World) -> None:
    right = world.rows[5]
    world.rows[5] = right.altered(1)
    (example,) = world.reconcile().examples
    assert (example.fate, example.meter) == ("wrong", right.meter)
    assert example.expected == (right.status, *right.values)
    assert example.found == (right.status, *right.altered(1).values)


def test_no_more_examples_than_a_person_looks_at(world: World) -> None:
    world.rows.clear()
    examples = world.reconcile().examples
    assert len(examples) == 20
    assert {example.fate for example in examples} == {"lost"}


def test_a_shard_that_recorded_nothing_sent_nothing(world: World) -> None:
    first, last = world.records.pop(0).layout.first_meter[[0, -1]]
    world.rows = [row for row in world.rows if not first <= row.meter < last]
    counts = world.reconcile().counts
    mine = [reading for reading in world.readings if first <= reading[0] < last]
    owed = sum(world.due_step(reading) < STEPS for reading in mine)
    assert owed > 0
    assert (counts.unattempted, counts.lost, counts.correct) == (owed, 0, counts.owed - owed)


def test_completeness_over_time_adds_up(world: World) -> None:
    late = world.rows[0]
    world.rows[0] = replace(late, stored_at_us=world.opens_us(STEPS) + 60_000_000)
    found = world.reconcile()
    assert found.stored_per_bucket.sum() == found.counts.stored
    assert found.stored_per_bucket[-1] == 1
    assert found.owed_per_step.tolist() == world.schedule.due_counts().tolist()
    # Everything else was stored in the first sixtieth of the step that its window opened in.
    in_step = found.stored_per_bucket[:-1].reshape(STEPS + 1, BUCKETS_PER_STEP)
    assert in_step[:, 0].sum() == found.counts.stored - 1


def test_meters_heard_are_those_planned_where_all_went_well(world: World) -> None:
    found = world.reconcile()
    assert found.heard_per_step.tolist() == found.planned_per_step.tolist()
    assert 0 < found.planned_per_step[0] < world.grid.meters
    first = next(row for row in world.rows if row.captured_at_s == world.captured_at_s(0))
    on_time = first.stored_at_us < world.opens_us(1)
    world.rows.remove(first)
    assert world.reconcile().heard_per_step[0] == found.heard_per_step[0] - on_time


def test_truth_of_another_seed_makes_everything_wrong(world: World) -> None:
    world.truth = Truth(world.grid, world.plan.behaviour, FIRST_S, SEED + 1)
    counts = world.reconcile().counts
    assert counts.wrong > counts.owed // 2


def with_history(folder: Path) -> World:
    """Return a world in which all went well and the store was given three intervals before it."""
    world = World(folder, preloaded=3)
    for reading in world.readings:
        if world.due_step(reading) < STEPS:
            world.deliver(reading)
    world.rows += [
        world.row((meter, interval), 5)
        for meter in range(world.grid.meters)
        for interval in range(-3, 0)
    ]
    return world


def test_what_was_preloaded_is_neither_owed_nor_invented(tmp_path: Path) -> None:
    world = with_history(tmp_path)
    counts = world.reconcile().counts
    assert counts.preloaded == 3 * world.grid.meters
    assert counts.owed == counts.correct == counts.stored == counts.sent
    assert (counts.late, counts.invented, counts.duplicated, counts.preloaded_wrong) == (0, 0, 0, 0)
    assert counts.owed + counts.deferred == STEPS * world.grid.meters


def test_history_must_be_there_and_be_right(tmp_path: Path) -> None:
    world = with_history(tmp_path)
    world.rows[-1] = world.rows[-1].altered()
    lost, doubled = world.rows.pop(-2), world.rows[-3]
    world.rows.append(replace(doubled, stored_at_us=9))
    world.rows.append(replace(doubled, meter=world.grid.meters))
    found = world.reconcile()
    assert found.counts.preloaded == 3 * world.grid.meters - 2
    assert found.counts.preloaded_wrong == 2
    assert (found.counts.duplicated, found.counts.invented) == (1, 1)
    assert (found.counts.wrong, found.counts.lost) == (0, 0)
    told = {(item.fate, item.meter, item.captured_at_s) for item in found.examples}
    assert ("wrong", world.grid.meters - 1, FIRST_S - 900) in told
    assert ("lost", lost.meter, lost.captured_at_s) in told
    assert len(found.fingerprint) == 3 + STEPS


def test_what_is_older_than_history_is_invented(tmp_path: Path) -> None:
    world = with_history(tmp_path)
    world.rows.append(replace(world.rows[-1], captured_at_s=FIRST_S - 4 * 900))
    assert world.reconcile().counts.invented == 1
