"""Categories with shares are apportioned exactly."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emulator.parameters import WHOLE_PPM, apportion


@given(
    total=st.integers(0, 10**7),
    cuts=st.lists(st.integers(0, WHOLE_PPM), max_size=6).map(sorted),
)
def test_shares_are_met_exactly(total: int, cuts: list[int]) -> None:
    bounds = [0, *cuts, WHOLE_PPM]
    shares = [high - low for low, high in pairwise(bounds)]
    counts = apportion(total, shares)
    assert sum(counts) == total
    for count, share in zip(counts, shares, strict=True):
        assert abs(count * WHOLE_PPM - total * share) < WHOLE_PPM


def test_thirty_percent_of_a_thousand_is_three_hundred() -> None:
    assert apportion(1000, [300_000, 700_000]) == [300, 700]
    assert apportion(3, [500_000, 500_000]) == [2, 1]
