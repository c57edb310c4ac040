"""A backlog is what was heard and not delivered, in order, against a slow model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backlog import Backlogs, Batch
from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.world import World
from tests.support.grids import FIRST_S, plans, small_plan


def world_of(plan: Plan, folder: str) -> World:
    record = DeliveryRecord.create(Path(folder), plan.grid, 0, plan.grid.concentrators, plan.steps)
    truth = Truth(plan.grid, plan.behaviour, FIRST_S, plan.seed)
    return World(plan, truth, ScenarioClock(), record)


def pairs(batch: Batch | None) -> list[tuple[int, int]]:
    """Return (interval, meter) of every reading, in order."""
    if batch is None:
        return []
    return list(zip(batch.intervals.tolist(), batch.meters.tolist(), strict=True))


def heard_slowly(plan: Plan, concentrator: int, step: int) -> list[tuple[int, int]]:
    return [
        (interval, meter)
        for interval in range(min(step + 1, plan.steps))
        for meter in plan.grid.meters_of(concentrator)
        if plan.available_step(np.array([meter]), interval)[0] <= min(step, plan.steps - 1)
    ]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), plan=plans())
def test_pending_is_what_was_heard_and_not_confirmed(data: st.DataObject, plan: Plan) -> None:
    """At steps that go on, deliver some batches and lose others; compare with the slow model."""
    done = data.draw(st.sampled_from(Mark))
    steps = data.draw(st.lists(st.integers(-1, plan.steps + 2), min_size=1, max_size=5).map(sorted))
    concentrator = data.draw(st.integers(0, plan.grid.concentrators - 1))
    delivered: set[tuple[int, int]] = set()
    with TemporaryDirectory() as folder:
        backlogs = Backlogs(world_of(plan, folder), done)
        for step in steps:
            heard = heard_slowly(plan, concentrator, step)
            for rows_max in data.draw(st.lists(st.integers(1, 40), max_size=4)):
                pending = [pair for pair in heard if pair not in delivered]
                batch = backlogs.next_batch(concentrator, step, rows_max)
                assert pairs(batch) == pending[:rows_max]
                if batch is not None and data.draw(st.booleans()):
                    backlogs.mark(done, batch)
                    delivered.update(pairs(batch))
                elif batch is not None:
                    other = Mark.SENT if done is Mark.ACKNOWLEDGED else Mark.ACKNOWLEDGED
                    backlogs.mark(other, batch)


def test_a_backlog_survives_the_process() -> None:
    """It follows from plan and record alone: a new one, with no memory, says the same."""
    plan = small_plan(steps=8)
    with TemporaryDirectory() as folder:
        world = world_of(plan, folder)
        first = Backlogs(world, Mark.ACKNOWLEDGED)
        for _ in range(3):
            batch = first.next_batch(2, 6, 4)
            assert batch is not None
            first.mark(Mark.ACKNOWLEDGED, batch)
        again = Backlogs(world, Mark.ACKNOWLEDGED)
        assert pairs(again.next_batch(2, 6, 10_000)) == pairs(first.next_batch(2, 6, 10_000))


@settings(max_examples=40, deadline=None)
@given(plan=plans(), data=st.data())
def test_heard_until_is_the_last_step_at_which_a_meter_was_reachable(
    plan: Plan, data: st.DataObject
) -> None:
    meters = range(plan.grid.meters)
    with TemporaryDirectory() as folder:
        heard = world_of(plan, folder).heard
        for step in data.draw(st.lists(st.integers(-1, plan.steps - 1), max_size=4)):  # any order
            until = heard.until(step, meters)
            for interval in range(plan.steps):
                available = plan.available_step(np.array(meters), interval)
                np.testing.assert_array_equal(interval <= until, available <= step)
