"""Quantities and scale factors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sunspec.quantities import finest_scale, from_points, to_points


@pytest.mark.parametrize(
    ("quantity", "exponent", "scale", "number"),
    [
        (36_667, -3, -2, 3_666),
        (-36_667, -3, -2, -3_666),
        (36_667, -3, -3, 36_667),
        (51_200, -3, 0, 51),
        (2_000, 0, 2, 20),
        (500_000, -4, -2, 5_000),
    ],
)
def test_what_does_not_divide_is_cut_towards_zero(
    quantity: int, exponent: int, scale: int, number: int
) -> None:
    assert to_points(quantity, exponent, scale) == number


@given(st.integers(-(2**31), 2**31), st.integers(-3, 0), st.integers(-6, 6))
def test_there_and_back_never_grows(quantity: int, exponent: int, scale: int) -> None:
    back = from_points(to_points(quantity, exponent, scale), exponent, scale)
    assert abs(back) <= abs(quantity)
    assert abs(quantity - back) < 10 ** max(scale - exponent, 0)
    assert back * quantity >= 0


@given(st.integers(0, 2**40), st.integers(1, 2**31))
def test_the_finest_scale_is_the_finest(limit: int, largest: int) -> None:
    scale = finest_scale(limit, -3, largest)
    assert to_points(limit, -3, scale) <= largest
    assert scale == -3 or to_points(limit, -3, scale - 1) > largest
