"""Accessibility windows: exact shares, one window a slice, seeded places."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.accessibility import Accessibility
from emulator.behaviour_parameters import AccessibilityClass

MEMBERS = 40


def accessibility(
    reachable_ppm: int, windows: int, *, steps_per_day: int = 96, steps: int = 960, seed: int = 7
) -> Accessibility:
    values: dict[str, Any] = {
        "name": "a",
        "share": "100 %",
        "reachable": f"{reachable_ppm} ppm",
        "windows_per_day": windows,
    }
    return Accessibility(
        [AccessibilityClass.model_validate(values)],
        np.zeros(MEMBERS, np.uint8),
        steps_per_day=steps_per_day,
        steps=steps,
        seed=seed,
        population="meters",
    )


@given(
    reachable_ppm=st.integers(0, 1_000_000),
    windows=st.integers(1, 24),
    days=st.integers(1, 20),
    steps_per_day=st.sampled_from([24, 96, 100]),
)
def test_the_share_of_open_steps_is_exact_over_whole_days(
    reachable_ppm: int, windows: int, days: int, steps_per_day: int
) -> None:
    steps = days * steps_per_day
    population = accessibility(reachable_ppm, windows, steps_per_day=steps_per_day, steps=steps)
    opened = population.open_table(0, MEMBERS).sum(axis=1)
    exact = reachable_ppm * steps
    assert (abs(opened * 1_000_000 - exact) < 1_000_000).all()


@given(reachable_ppm=st.integers(1, 999_999), windows=st.integers(1, 20))
def test_each_slice_of_the_day_has_at_most_one_window(reachable_ppm: int, windows: int) -> None:
    table = accessibility(reachable_ppm, windows).open_table(0, MEMBERS)
    bounds = [-(-number * 96 // windows) for number in range(windows * 10 + 1)]
    for begin, end in pairwise(bounds):
        padded = np.pad(table[:, begin:end].astype(int), ((0, 0), (1, 1)))
        assert (np.count_nonzero(np.diff(padded, axis=1), axis=1) <= 2).all()


def test_a_tenth_of_the_day_in_four_windows() -> None:
    table = accessibility(100_000, 4, steps=960).open_table(0, MEMBERS)
    per_slice = table.reshape(MEMBERS, 40, 24).sum(axis=2)
    assert set(per_slice.ravel().tolist()) == {2, 3}  # 2.4 of the slice's 24 steps
    assert (table.sum(axis=1) == 96).all()


def test_windows_are_placed_all_over_the_day() -> None:
    opened = accessibility(50_000, 4, steps=9600).open_table(0, MEMBERS).reshape(-1, 96).sum(axis=0)
    # 5 % of 4,000 days is 200 a step; the ends of a slice are in reach of fewer places.
    assert opened.min() > 120
    assert opened.max() < 280


@pytest.mark.parametrize(("reachable_ppm", "expected"), [(0, False), (1_000_000, True)])
def test_never_and_always(reachable_ppm: int, expected: bool) -> None:
    population = accessibility(reachable_ppm, 4, steps=96)
    assert (population.open_table(0, MEMBERS) == expected).all()
    assert (population.reachable(np.arange(MEMBERS), 5) == expected).all()
    opening = population.next_open(np.arange(MEMBERS), 5)
    assert (opening == (5 if expected else 96)).all()


def test_another_seed_places_windows_elsewhere() -> None:
    one, other = (accessibility(100_000, 4, seed=seed).open_table(0, 40) for seed in (1, 2))
    assert (one != other).any(axis=1).all()


def test_two_members_have_windows_of_their_own() -> None:
    table = accessibility(100_000, 4).open_table(0, MEMBERS)
    assert len(np.unique(table, axis=0)) == MEMBERS


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    short = accessibility(100_000, 4, steps=100).open_table(0, MEMBERS)
    assert np.array_equal(
        short, accessibility(100_000, 4, steps=960).open_table(0, MEMBERS)[:, :100]
    )


@given(
    reachable_ppm=st.integers(0, 1_000_000),
    windows=st.integers(1, 24),
    start=st.integers(0, 200),
)
def test_the_next_open_step_is_the_first_one_in_the_table(
    reachable_ppm: int, windows: int, start: int
) -> None:
    population = accessibility(reachable_ppm, windows, steps=200)
    table = population.open_table(0, MEMBERS)
    found = population.next_open(np.arange(MEMBERS), start)
    for member in range(MEMBERS):
        later = np.flatnonzero(table[member, start:])
        assert found[member] == (later[0] + start if later.size else 200)
    if start < 200:
        assert np.array_equal(population.reachable(np.arange(MEMBERS), start), table[:, start])
