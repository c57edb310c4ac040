"""Latency curves say what the histograms hold."""

from __future__ import annotations

import pytest

from reports.charts.latency_charts import latency_over_time, percentile_curves
from reports.charts.scales import time_scale
from reports.charts.timeline import Timeline
from reports.recording import LatencyInterval, new_histogram, record_latency


def _interval(series: str, start_s: float, *latencies_s: float) -> LatencyInterval:
    histogram = new_histogram()
    for latency_s in latencies_s:
        record_latency(histogram, latency_s)
    return LatencyInterval(series, start_s, start_s + 1.0, histogram)


def test_the_table_gives_known_percentiles() -> None:
    thousand = [i / 1000 for i in range(1, 1001)]
    chart = percentile_curves((_interval("push", 0.0, *thousand),))
    assert chart is not None
    table = {row[0]: row[1] for row in chart.rows}
    assert (table["50 %"], table["90 %"], table["99 %"]) == ("500 ms", "900 ms", "990 ms")


def test_a_curve_ends_where_there_is_no_sample_beyond() -> None:
    chart = percentile_curves((_interval("push", 0.0, *[1.0] * 100),))
    assert chart is not None
    assert chart.rows[-1] == ("99.99 %", "")
    assert chart.lines[0].points[-1][0] == pytest.approx(0.5)


def test_no_sample_no_chart() -> None:
    timeline = Timeline(time_scale(0.0, 10.0, float), (), ())
    assert percentile_curves((_interval("push", 0.0),)) is None
    assert latency_over_time((_interval("push", 0.0),), timeline) is None


def test_intervals_of_several_processes_are_added_up() -> None:
    timeline = Timeline(time_scale(0.0, 10.0, float), (), ())
    intervals = tuple(_interval("push", 2.0, latency_s) for latency_s in (1.0, 2.0, 4.0))
    chart = latency_over_time(intervals, timeline)
    assert chart is not None
    p99, median = chart.lines
    assert p99.points[0] == pytest.approx((0.25, 4.0), rel=1e-3)
    assert median.points[0] == pytest.approx((0.25, 2.0), rel=1e-3)
    assert (len(p99.points), len(median.points)) == (1, 1)
