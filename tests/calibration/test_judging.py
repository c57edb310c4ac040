"""What is accepted, from samples that are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calibration.job import CONNECT, QUANTITIES, SIZES, Order, Sample, Tier
from tests.calibration.judging import Comparison, rows


def sample(seed: int, *, mean_s: float = 1.0, sigma_s: float = 0.2, count: int = 400) -> Sample:
    made = Sample()
    random = np.random.default_rng(seed)
    for quantity in QUANTITIES:
        made.times_s[quantity] = [float(one) for one in random.normal(mean_s, sigma_s, count)]
    return made


def judged(
    other: Sample,
    order: Order = "netem",
    *,
    floor_s: float = 0.0,
    in_netem_order: Sample | None = None,
) -> Comparison:
    """Hold ``other`` against two runs of the kernel of mean 1 that differ by ``floor_s``."""
    kernel = [sample(1, mean_s=1 - floor_s / 2), sample(2, mean_s=1 + floor_s / 2)]
    others: dict[tuple[Tier, Order], Sample] = {}
    if in_netem_order is not None:
        others["model", "netem"] = in_netem_order
    others["model", order] = other
    first, *_ = rows("x", kernel, others)
    return first.comparisons[-1]


def test_another_sample_of_the_same_law_agrees() -> None:
    found = judged(sample(3))
    assert found.agrees
    assert found.accepted
    assert found.ks < found.ks_critical
    assert abs(found.mean_difference) < 0.03


def test_a_small_difference_agrees_though_it_shows() -> None:
    found = judged(sample(3, mean_s=1.04, sigma_s=0.01))
    assert found.ks > found.ks_critical
    assert not found.agrees
    near = judged(sample(1, mean_s=1.04))
    assert near.w1_s < near.w1_most_s
    assert near.agrees


def test_near_constant_times_agree_by_their_difference_alone() -> None:
    kernel = [sample(1, sigma_s=1e-4), sample(2, sigma_s=1e-4)]
    first, *_ = rows("x", kernel, {("model", "netem"): sample(3, mean_s=1.001, sigma_s=1e-4)})
    (found,) = first.comparisons
    assert found.ks > 0.9
    assert found.accepted


def test_what_the_kernel_differs_by_itself_is_no_fault() -> None:
    assert not judged(sample(3, mean_s=1.08), floor_s=0.0).accepted
    found = judged(sample(3, mean_s=1.08), floor_s=0.3)
    assert found.w1_most_s > 0.25
    assert found.accepted


def test_in_netem_order_a_near_mean_is_not_enough() -> None:
    for mean_s in (1.08, 0.92):
        found = judged(sample(3, mean_s=mean_s))
        assert not found.agrees
        assert not found.accepted


@pytest.mark.parametrize(
    ("mean_s", "is_near"), [(1.08, True), (0.92, True), (1.13, False), (0.87, False)]
)
def test_in_link_order_the_mean_has_to_stay_near(mean_s: float, is_near: bool) -> None:
    found = judged(sample(3, mean_s=mean_s), "link", in_netem_order=sample(4))
    assert not found.agrees
    assert found.by_reordering
    assert found.accepted is is_near


def test_a_near_mean_in_link_order_excuses_no_tier_that_differs_in_netem_order_too() -> None:
    found = judged(sample(3, mean_s=1.08), "link", in_netem_order=sample(4, mean_s=1.08))
    assert not found.by_reordering
    assert not found.accepted
    assert not judged(sample(3, mean_s=1.08), "link").accepted, "nobody knows why it differs"


def test_what_agrees_in_link_order_needs_no_excuse() -> None:
    assert judged(sample(3), "link", in_netem_order=sample(4, mean_s=1.08)).accepted


def test_every_quantity_has_a_row_with_what_was_sent_again() -> None:
    kernel = [sample(1, count=40), sample(2, count=40)]
    kernel[0].retransmitted["20000"] = 60
    kernel[1].retransmitted["20000"] = 20
    found = list(rows("x", kernel, {}))
    assert [row.quantity for row in found] == [CONNECT, *map(str, SIZES)]
    assert [row.kernel_retransmitted for row in found] == [None, 0, 0, 1]
    assert all(row.kernel.count == 80 for row in found)
