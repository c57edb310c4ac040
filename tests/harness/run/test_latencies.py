from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from harness.histograms import gained, recorded
from harness.run.latencies import LatencyLog
from reports.recording import RunRecord, RunRecorder, merge_intervals

HOUR_US = 3_600_000_000
LATENCIES_US = st.lists(st.integers(1, HOUR_US), max_size=30)


def encoded(values: list[int]) -> str:
    histogram = HdrHistogram(1, HOUR_US, 3)
    for value in values:
        histogram.record_value(value)
    text: str = histogram.encode().decode()
    return text


def summary(**series: list[int]) -> dict[str, Any]:
    return {
        "latencies": [
            {"series": name, "link": "lte", "histogram": encoded(values)}
            for name, values in series.items()
        ]
    }


@given(before=LATENCIES_US, since=LATENCIES_US)
def test_growth_is_what_was_recorded_since(before: list[int], since: list[int]) -> None:
    growth = gained(encoded(before + since), encoded(before))
    assert growth.get_total_count() == len(since)
    assert growth.equals(recorded(encoded(since)))


def test_intervals_add_up_to_what_the_shards_said(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        log = LatencyLog(recorder)
        log.take(3.0, [summary(push=[1000]), summary(push=[2000])])
        log.take(6.0, [summary(push=[1000, 5000]), summary(push=[2000], served=[7])])
        log.take(6.5, [summary(push=[1000, 5000, 9000]), {}], last=True)
    intervals = RunRecord.load(tmp_path).latency
    assert [(i.series, i.start_s, i.end_s) for i in intervals] == [
        ("push", 1.0, 3.0),
        ("push", 3.0, 6.0),
        ("served", 3.0, 6.0),
        ("push", 6.0, 6.5),
    ]
    push = merge_intervals(intervals)["push"]
    assert push.get_total_count() == 4
    assert push.get_max_value() == pytest.approx(9000, rel=1e-3)


def test_nothing_is_written_too_often_or_for_nothing(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        log = LatencyLog(recorder)
        log.take(1.9, [summary(push=[1])])
        log.take(2.5, [summary()])
        log.take(5.0, [{}])
    assert RunRecord.load(tmp_path).latency == ()
