"""When readings are due under outages: the plan without, a slow walk with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.fleet_config import OutageSpan
from emulator.grid import generate_grid
from emulator.plan import Plan
from emulator.schedule import Outage, Schedule
from tests.support.grids import FIRST_S, behaviour, plans, small_grid, small_plan


@st.composite
def outages(draw: st.DrawFn, plan: Plan) -> list[OutageSpan]:
    whole_s = plan.steps * plan.step_s
    return [
        OutageSpan(
            number=number,
            starts_s=draw(st.integers(0, whole_s)),
            lasts_s=draw(st.integers(1, 3 * plan.step_s)),
            share_ppm=draw(st.sampled_from([0, 250_000, 500_000, 1_000_000])),
        )
        for number in range(draw(st.integers(0, 3)))
    ]


def due_slowly(schedule: Schedule, meter: int, interval: int) -> int:
    """Walk the steps from the one at which the concentrator has heard the reading."""
    plan = schedule.plan
    concentrator = plan.grid.concentrator_of(np.array([meter]))
    for step in range(int(plan.available_step(np.array([meter]), interval)[0]), plan.steps):
        begins_s, ends_s = step * plan.step_s, (step + 1) * plan.step_s
        cut = any(
            outage.hits[concentrator[0]] and outage.starts_s < ends_s and outage.ends_s > begins_s
            for outage in schedule.outages
        )
        if not cut and plan.concentrator_reachable(concentrator, step)[0]:
            return step
    return plan.steps


@settings(max_examples=40, deadline=None)
@given(data=st.data(), plan=plans())
def test_due_is_the_first_open_step_that_no_outage_touches(data: st.DataObject, plan: Plan) -> None:
    schedule = Schedule.of(plan, data.draw(outages(plan)))
    meters = plan.grid.meters
    counts = np.zeros(plan.steps + 1, np.int64)
    for interval in range(plan.steps):
        block = schedule.delivery_step_block(interval, 0, meters)
        counts += np.bincount(block, minlength=plan.steps + 1)
        assert block.dtype == np.int32
        for meter in data.draw(st.lists(st.integers(0, meters - 1), max_size=2)):
            assert block[meter] == due_slowly(schedule, meter, interval)
    np.testing.assert_array_equal(schedule.due_counts(), counts[:-1])


@settings(max_examples=30, deadline=None)
@given(plan=plans())
def test_without_outages_it_is_the_plan(plan: Plan) -> None:
    schedule = Schedule.of(plan, ())
    meters = np.arange(plan.grid.meters)
    for interval in range(plan.steps):
        expected = plan.delivery_step(meters, interval)
        np.testing.assert_array_equal(
            schedule.delivery_step_block(interval, 0, len(meters)), expected
        )
        intervals = np.full(len(meters), interval)
        np.testing.assert_array_equal(schedule.delivery_step(meters, intervals), expected)
    np.testing.assert_array_equal(schedule.due_counts(), plan.due_counts())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), plan=plans())
def test_the_first_due_of_some_readings_is_the_smallest_of_them(
    data: st.DataObject, plan: Plan
) -> None:
    schedule = Schedule.of(plan, data.draw(outages(plan)))
    concentrator = data.draw(st.integers(0, plan.grid.concentrators - 1))
    meters = plan.grid.meters_of(concentrator)
    pairs = data.draw(
        st.lists(
            st.tuples(st.integers(0, plan.steps - 1), st.sampled_from(list(meters))),
            min_size=1,
            max_size=20,
            unique=True,
        ).map(sorted)
    )
    intervals, chosen = np.array(pairs, np.int64).T
    assert (
        schedule.first_due(concentrator, chosen, intervals)
        == schedule.delivery_step(chosen, intervals).min()
    )


def outage(share_ppm: int = 1_000_000, seed: int = 7, **changes: Any) -> Outage:
    span = OutageSpan(number=0, starts_s=900, lasts_s=450, share_ppm=share_ppm, **changes)
    return Outage(span, generate_grid(small_grid(40), behaviour(8), 7), seed)


def test_an_outage_hits_its_share_and_the_seed_says_whom() -> None:
    half = outage(500_000)
    assert half.hits.sum() == 20
    np.testing.assert_array_equal(half.hits, outage(500_000).hits)
    assert (half.hits != outage(500_000, seed=8).hits).any()
    assert outage().hits.all()
    assert not outage(0).hits.any()


def test_an_outage_of_some_links_hits_nobody_else() -> None:
    grid = generate_grid(small_grid(40), behaviour(8), 7)
    profiles = [link.profile for link in grid.parameters.links]
    hits = outage(links=(profiles[1],)).hits
    np.testing.assert_array_equal(hits, grid.link_category == 1)
    assert hits.any()


@pytest.mark.parametrize(
    ("since_first_s", "cut"), [(899.9, False), (900, True), (1349.9, True), (1350, False)]
)
def test_an_outage_holds_from_its_begin_to_its_end(since_first_s: float, cut: bool) -> None:
    plan = small_plan(steps=8)
    span = OutageSpan(number=0, starts_s=900, lasts_s=450, share_ppm=1_000_000)
    schedule = Schedule.of(plan, (span,))
    assert plan.first_s == FIRST_S
    assert schedule.cut_off(3, since_first_s) is cut
    assert not Schedule.of(plan, ()).cut_off(3, since_first_s)
