from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bal.model.sharing import apportion, spread
from harness.bal.model.values import Policy

NAMES = ["p1", "p2", "p3"]
SHARES = [500_000, 300_000, 200_000]
PROPORTIONAL, TRANCHED, RESERVED = Policy


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (30_000, [110, 40], [22_000, 8_000]),
        (50_000, [110, 40], [36_667, 13_333]),
        (-20_000, [110, 20], [-16_923, -3_077]),
        (0, [1, 2], [0, 0]),
        (7, [0, 0], [0, 0]),
        (7, [0, 3], [0, 7]),
    ],
)
def test_parts_are_proportional_and_add_up(
    total: int, weights: list[int], parts: list[int]
) -> None:
    assert apportion(total, weights, ["a", "b"]) == parts


def test_equal_remainders_go_by_name_wherever_the_name_stands() -> None:
    assert apportion(1, [1, 1, 1], ["c", "a", "b"]) == [0, 1, 0]
    assert apportion(-2, [1, 1, 1], ["c", "a", "b"]) == [0, -1, -1]


@given(st.integers(-(10**18), 10**18), st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
def test_no_part_is_a_unit_off_its_proportion(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights, [f"{index:03}" for index in range(len(weights))])
    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * whole - total * weight) < max(1, whole)


# TrustDER report, tables III.2.6 to III.2.8, and a deficit deeper than a tranche.
@pytest.mark.parametrize(
    ("actual", "maximum", "policy", "parts"),
    [
        pytest.param(90, None, PROPORTIONAL, [45, 27, 18], id="III.2.6 proportional"),
        pytest.param(90, None, TRANCHED, [50, 30, 10], id="III.2.6 tranched"),
        pytest.param(90, None, RESERVED, [50, 30, 10], id="III.2.6 reserved"),
        pytest.param(110, None, PROPORTIONAL, [55, 33, 22], id="III.2.7 proportional"),
        pytest.param(110, None, TRANCHED, [60, 30, 20], id="III.2.7 tranched"),
        pytest.param(110, None, RESERVED, [50, 30, 30], id="III.2.7 reserved"),
        pytest.param(110, 125, RESERVED, [50, 35, 25], id="III.2.8 reserved"),
        pytest.param(15, None, TRANCHED, [15, 0, 0], id="deep deficit, tranched"),
        pytest.param(15, None, RESERVED, [15, 0, 0], id="deep deficit, reserved"),
        pytest.param(0, None, PROPORTIONAL, [0, 0, 0], id="nothing left"),
        pytest.param(125, 125, PROPORTIONAL, [62, 38, 25], id="full, the half unit by name"),
    ],
)
def test_a_difference_is_borne_as_the_policy_says(
    actual: int, maximum: int | None, policy: Policy, parts: list[int]
) -> None:
    caps = None if maximum is None else apportion(maximum, SHARES, ["b", "a", "c"])
    assert spread(policy, actual, [50, 30, 20], SHARES, NAMES, caps) == parts


def test_where_nothing_was_expected_shares_stand_in() -> None:
    assert spread(PROPORTIONAL, 10, [0, 0, 0], SHARES, NAMES) == [5, 3, 2]


def test_a_rest_without_a_share_gets_no_surplus_although_it_is_at_the_bottom() -> None:
    assert spread(RESERVED, 12, [6, 4, 0], [600_000, 400_000, 0], ["a", "b", ""]) == [6, 6, 0]


@given(
    st.sampled_from(list(Policy)),
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=6),
    st.integers(0, 10**13),
)
def test_what_is_there_is_shared_out_within_the_caps(
    policy: Policy, holders: list[tuple[int, int]], actual: int
) -> None:
    expected = [held for held, _ in holders]
    caps = [held + room for held, room in holders]
    names = [f"{index}" for index in range(len(holders))]
    parts = spread(policy, actual, expected, [1] * len(holders), names, caps)
    assert sum(parts) == min(actual, sum(caps))
    assert all(0 <= part <= cap for part, cap in zip(parts, caps, strict=True))
