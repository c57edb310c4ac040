"""Bands that overlap lie in lanes of their own."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts import draw_charts
from reports.charts.lanes import LANES_MAX, in_lanes
from reports.charts.model import Band
from reports.recording import (
    FaultBegan,
    FaultEnded,
    Metric,
    RunRecord,
    RunRecorder,
    RunTime,
    Sample,
)

spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ends: (min(ends), max(ends)))


def band(name: str, low: float, high: float) -> Band:
    return Band(name, "", low, high)


def test_what_overlaps_lies_side_by_side_and_what_follows_takes_the_first_free_lane() -> None:
    placed = in_lanes([band("a", 0.0, 0.5), band("b", 0.2, 0.4), band("c", 0.6, 0.7)])
    assert [(each.name, each.lane) for each in placed] == [("a", 0), ("b", 1), ("c", 0)]


def test_a_name_needs_its_place_however_short_the_band_is() -> None:
    placed = in_lanes([band("a", 0.1, 0.101), band("b", 0.12, 0.13), band("c", 0.2, 0.3)])
    assert [each.lane for each in placed] == [0, 1, 0]


def test_what_comes_again_comes_in_its_own_lane() -> None:
    placed = in_lanes([band("a", 0.0, 0.3), band("b", 0.1, 0.3), band("b", 0.5, 0.6)])
    assert [(each.name, each.lane) for each in placed] == [("a", 0), ("b", 1), ("b", 1)]


@given(st.lists(spans, max_size=30))
def test_no_two_named_bands_of_a_lane_overlap(found: list[tuple[float, float]]) -> None:
    placed = in_lanes(band(str(number), *span) for number, span in enumerate(found))
    assert len(placed) == len(found)
    for one, other in combinations([each for each in placed if each.is_named], 2):
        if one.lane == other.lane:
            assert one.high <= other.low or other.high <= one.low
    assert all(each.lane < LANES_MAX for each in placed)


def test_a_chart_is_washed_once_where_bands_overlap(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for wall_s in (0.0, 100.0):
            recorder.sample(Sample(RunTime(wall_s, wall_s), "run", Metric.OWED, wall_s))
        for name, begins_s, ends_s in (("a", 10.0, 40.0), ("b", 20.0, 50.0), ("c", 80.0, 90.0)):
            recorder.event(FaultBegan(at=RunTime(begins_s, begins_s), fault=name))
            recorder.event(FaultEnded(at=RunTime(ends_s, ends_s), fault=name))
    chart = draw_charts(RunRecord.load(tmp_path)).completeness[0]
    assert chart.lanes == 2
    (first, second) = chart.washes
    assert first == pytest.approx((0.1, 0.5))
    assert second == pytest.approx((0.8, 0.9))
