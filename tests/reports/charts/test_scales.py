"""Axes: places, ticks, round numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts.scales import linear_scale, log_scale, percentile_scale, time_scale
from reports.text import octets, seconds


@given(st.floats(1e-9, 1e15))
def test_a_linear_axis_holds_its_highest_value_and_wastes_little(high: float) -> None:
    scale = linear_scale(high)
    assert scale.low == 0.0
    assert high <= scale.high * (1 + 1e-9)
    assert scale.high <= 1.5 * high
    assert 2 <= len(scale.ticks) <= 7
    assert scale.ticks[-1].place == pytest.approx(1.0)


def test_an_axis_of_nothing_still_has_a_length() -> None:
    assert linear_scale(0.0).high > 0


def test_counts_have_whole_ticks() -> None:
    assert [tick.text for tick in linear_scale(2.0, whole=True).ticks] == ["0", "1", "2"]


def test_sizes_step_in_powers_of_two() -> None:
    ticks = linear_scale(200 * 1024**2, octets, base=2.0).ticks
    assert [tick.text for tick in ticks] == ["0 B", "64 MiB", "128 MiB", "192 MiB", "256 MiB"]


@given(st.floats(1e-6, 1e4), st.floats(1.0, 1e4))
def test_a_logarithmic_axis_holds_both_ends(low: float, factor: float) -> None:
    high = min(low * factor, 9e4)
    scale = log_scale(low, high, seconds)
    assert scale.low <= low * (1 + 1e-9)
    assert scale.high >= high * (1 - 1e-9)
    assert scale.high > scale.low


def test_every_further_nine_takes_the_same_width() -> None:
    places = percentile_scale().place(np.array([0.0, 90.0, 99.0, 99.9, 99.99]))
    assert places == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_time_ticks_show_both_clocks() -> None:
    scale = time_scale(0.0, 75.0, lambda wall_s: (wall_s - 5) * 60)
    assert [(t.text, t.second) for t in scale.ticks][:3] == [
        ("0 s", "-0:05"),
        ("10 s", "0:05"),
        ("20 s", "0:15"),
    ]


@given(st.floats(0.0, 1e7))
def test_a_run_of_any_length_has_few_time_ticks(length_s: float) -> None:
    assert 1 <= len(time_scale(0.0, length_s, float).ticks) <= 20


def test_values_beyond_the_axis_are_drawn_at_its_end() -> None:
    assert list(linear_scale(10.0).place(np.array([-5.0, 50.0]))) == [0.0, 1.0]
