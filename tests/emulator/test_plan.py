"""The grid behaviour generator against a slow reference that tries one step after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.behaviour_parameters import AccessibilityClass
from emulator.grid import generate_grid
from emulator.plan import Plan
from netem.draws import mix_one, stream_key
from tests.support.grids import FIRST_S, behaviour, plans, small_grid, small_plan


def slow_reachable(
    category: AccessibilityClass, steps_per_day: int, seed: int, population: str, member: int
) -> set[int]:
    """Return the open steps of one member's first 60 days' worth of steps, slice by slice."""
    phase = mix_one(stream_key(seed, "plan", population, "phase"), member) % 1_000_000
    offset_key = stream_key(seed, "plan", population, "offset")
    steps: set[int] = set()
    number = 0
    while True:
        begin = -(-number * steps_per_day // category.windows_per_day)
        end = -(-(number + 1) * steps_per_day // category.windows_per_day)
        if begin > 60:
            return steps
        opened = [
            step
            for step in range(begin, end)
            if (category.reachable * (step + 1) + phase) // 1_000_000
            > (category.reachable * step + phase) // 1_000_000
        ]
        places = end - begin - len(opened) + 1
        draw = mix_one(offset_key, (member << 32) + number) >> 32
        start = begin + (draw * places >> 32)
        steps |= set(range(start, start + len(opened)))
        number += 1


class SlowPlan:
    """Every reading on its own, one step after the other."""

    def __init__(self, plan: Plan) -> None:
        self.steps = plan.steps
        self.grid = plan.grid
        per_day = plan.behaviour.steps_per_day
        self.meter_open = [
            slow_reachable(plan.behaviour.meters[category], per_day, plan.seed, "meters", meter)
            for meter, category in enumerate(plan.grid.meter_reachability)
        ]
        self.concentrator_open = [
            slow_reachable(
                plan.behaviour.concentrators[category], per_day, plan.seed, "concentrators", number
            )
            for number, category in enumerate(plan.grid.concentrator_reachability)
        ]

    def delivery(self, concentrator: int, meter: int, interval: int) -> tuple[int, int]:
        step = interval
        while step < self.steps and step not in self.meter_open[meter]:
            step += 1
        available = step
        while step < self.steps and step not in self.concentrator_open[concentrator]:
            step += 1
        return available, step


@settings(max_examples=60, deadline=None)
@given(plans())
def test_the_plan_equals_the_slow_reference(plan: Plan) -> None:
    slow, grid, steps = SlowPlan(plan), plan.grid, plan.steps
    due = np.zeros((grid.concentrators, steps), int)
    talking: list[set[int]] = [set() for _ in range(steps)]
    for concentrator in range(grid.concentrators):
        for meter in grid.meters_of(concentrator):
            every = np.arange(steps)
            same = np.full(steps, meter)
            expected = [slow.delivery(concentrator, meter, interval) for interval in range(steps)]
            assert plan.available_step(same, every).tolist() == [pair[0] for pair in expected]
            assert plan.delivery_step(same, every).tolist() == [pair[1] for pair in expected]
            for _, step in expected:
                if step < steps:
                    due[concentrator, step] += 1
                    talking[step].add(meter)
    assert np.array_equal(plan.concentrator_due_counts(), due)
    assert np.array_equal(plan.due_counts(), due.sum(axis=0))
    assert plan.communicating_meters().tolist() == [len(meters) for meters in talking]


@settings(max_examples=60, deadline=None)
@given(plans(), st.data())
def test_a_block_is_its_readings_one_by_one(plan: Plan, data: st.DataObject) -> None:
    interval = data.draw(st.integers(0, plan.steps - 1))
    first = data.draw(st.integers(0, plan.grid.meters))
    last = data.draw(st.integers(first, plan.grid.meters))
    expected = plan.delivery_step(np.arange(first, last), interval)
    assert np.array_equal(plan.delivery_step_block(interval, first, last), expected)
    assert np.array_equal(plan.owed(interval, first, last), expected < plan.steps)


@given(plans(), st.data())
@settings(max_examples=30, deadline=None)
def test_a_reading_is_planned_alike_in_any_selection(plan: Plan, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, plan.grid.meters - 1), st.integers(0, plan.steps - 1))
    meters, intervals = np.array(data.draw(st.lists(pairs, min_size=1))).T
    together = plan.delivery_step(meters, intervals)
    alone = [
        int(plan.delivery_step(np.array([meter]), int(interval))[0])
        for meter, interval in zip(meters, intervals, strict=True)
    ]
    assert together.tolist() == alone


def test_reachability_follows_the_windows() -> None:
    plan = small_plan()
    slow = SlowPlan(plan)
    meters, concentrators = np.arange(plan.grid.meters), np.arange(plan.grid.concentrators)
    for step in range(60):
        expected = [step in opened for opened in slow.meter_open]
        assert plan.meter_reachable(meters, step).tolist() == expected
        expected = [step in opened for opened in slow.concentrator_open]
        assert plan.concentrator_reachable(concentrators, step).tolist() == expected


def test_readings_are_due_once_or_deferred() -> None:
    plan = small_plan()
    owed = sum(
        np.count_nonzero(plan.owed(interval, 0, plan.grid.meters)) for interval in range(plan.steps)
    )
    assert plan.due_counts().sum() == owed
    assert 0 < owed < plan.grid.meters * plan.steps


def test_counting_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small_plan()
    expected = whole.due_counts(), whole.communicating_meters(), whole.concentrator_due_counts()
    monkeypatch.setattr("emulator.plan._CHUNK_CELLS", 3 * whole.steps)
    chunked = small_plan()
    assert np.array_equal(chunked.due_counts(), expected[0])
    assert np.array_equal(chunked.communicating_meters(), expected[1])
    assert np.array_equal(chunked.concentrator_due_counts(), expected[2])


def test_with_everybody_reachable_every_reading_is_due_at_once() -> None:
    always = [{"name": "always", "share": "100 %"}]
    plan = small_plan(concentrators=always, meters=always, steps=5)
    assert plan.due_counts().tolist() == [plan.grid.meters] * 5
    assert plan.communicating_meters().tolist() == [plan.grid.meters] * 5
    assert plan.delivery_step(np.arange(3), np.array([0, 2, 4])).tolist() == [0, 2, 4]


def test_an_empty_block_is_empty() -> None:
    assert small_plan().delivery_step_block(0, 5, 5).size == 0


def test_intervals_are_captured_a_step_apart() -> None:
    assert small_plan().captured_at(np.array([0, 1, 96])).tolist() == [
        FIRST_S,
        FIRST_S + 900,
        FIRST_S + 86_400,
    ]


@pytest.mark.parametrize(("spread", "limit_ns"), [("50 %", 450 * 10**9), ("100 %", 900 * 10**9)])
def test_pushes_are_spread_over_their_part_of_the_step(spread: str, limit_ns: int) -> None:
    phases = small_plan(spread=spread).phase_ns(np.arange(10_000))
    assert 0 <= phases.min() < limit_ns // 100
    assert limit_ns * 99 // 100 < phases.max() < limit_ns
    assert abs(phases.mean() / limit_ns - 0.5) < 0.02


def test_without_a_spread_all_push_at_once() -> None:
    assert not small_plan(spread="0 %").phase_ns(np.arange(10)).any()


def test_another_seed_is_another_plan() -> None:
    parameters = behaviour()
    grid = generate_grid(small_grid(), parameters, 7)
    one, other = (Plan(grid, parameters, FIRST_S, seed) for seed in (1, 2))
    assert not np.array_equal(one.concentrator_due_counts(), other.concentrator_due_counts())
    assert not np.array_equal(one.phase_ns(np.arange(9)), other.phase_ns(np.arange(9)))
