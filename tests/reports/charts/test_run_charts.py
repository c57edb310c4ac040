"""Which charts a record gives, and that they say what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts import draw_charts
from reports.charts.model import thin
from reports.charts.sources import by_source, rate
from reports.recording import (
    FaultBegan,
    FaultEnded,
    Metric,
    Note,
    RunRecord,
    RunRecorder,
    RunTime,
    Sample,
)
from tests.support.canned import passed_verdict, record_run


def _at(wall_s: float) -> RunTime:
    return RunTime(wall_s * 60, wall_s)


def test_a_full_record_gives_every_chart(tmp_path: Path) -> None:
    charts = draw_charts(RunRecord.load(record_run(tmp_path, passed_verdict())))
    assert [c.key for c in charts.completeness] == ["completeness", "backlog"]
    assert [c.key for c in charts.meters] == ["meters"]
    assert [c.key for c in charts.latency] == ["percentiles", "latency-time"]
    assert [c.key for c in charts.resources] == ["cpu", "memory", "store"]
    assert [c.key for c in charts.generator] == ["lag"]


def test_an_empty_record_gives_none(tmp_path: Path) -> None:
    charts = draw_charts(RunRecord.load(tmp_path))
    assert charts.completeness == charts.meters == charts.latency == charts.resources == ()


def test_the_table_of_a_chart_shows_what_was_recorded(tmp_path: Path) -> None:
    charts = draw_charts(RunRecord.load(record_run(tmp_path, passed_verdict())))
    chart = charts.completeness[0]
    assert chart.head == ("stored", "acknowledged", "sent", "owed")
    assert chart.rows[0] == ("0 s", "0", "0", "0", "0")
    assert chart.rows[-1][0] == "1 min 15 s"
    assert chart.rows[-1][-1] == "200,200"


def test_a_line_starts_and_ends_where_its_values_lie(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for wall_s, value in ((0.0, 0.0), (10.0, 100.0)):
            recorder.sample(Sample(_at(wall_s), "run", Metric.OWED, value))
    (line,) = draw_charts(RunRecord.load(tmp_path)).completeness[0].lines
    assert line.path == "M0 1000L1000 0"
    assert line.points == ((0.0, 0.0), (1.0, 100.0))


def test_faults_are_bands_and_one_without_an_end_lasts(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        recorder.event(Note(at=_at(0.0), text=""))
        for begin, end in ((10.0, 20.0), (50.0, 60.0)):
            recorder.event(FaultBegan(at=_at(begin), fault="outage"))
            recorder.event(FaultEnded(at=_at(end), fault="outage"))
        recorder.event(FaultBegan(at=_at(80.0), fault="cut"))
        recorder.event(Note(at=_at(100.0), text=""))
    faults = draw_charts(RunRecord.load(tmp_path)).faults
    assert [fault.name for fault in faults] == ["F1", "F1", "F2"]
    assert [fault.text for fault in faults] == [
        "outage (10 s to 20 s, 50 s to 1 min)",
        "",
        "cut (1 min 20 s to 1 min 40 s)",
    ]
    assert [fault.what for fault in faults] == ["outage", "outage", "cut"]
    assert [fault.low for fault in faults] == pytest.approx([0.1, 0.5, 0.8])
    assert [fault.high for fault in faults] == pytest.approx([0.2, 0.6, 1.0])


def test_what_happens_often_is_told_a_few_times(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        recorder.event(Note(at=_at(0.0), text=""))
        for begin in range(0, 100, 10):
            recorder.event(FaultBegan(at=_at(begin), fault="flap", description="every day"))
            recorder.event(FaultEnded(at=_at(begin + 5), fault="flap"))
    first, *others = draw_charts(RunRecord.load(tmp_path)).faults
    assert first.text.startswith("flap: every day (0 s to 5 s, 10 s to 15 s, ")
    assert first.text.endswith(", and 6 times more)")
    assert len(others) == 9
    assert not any(fault.text for fault in others)


def test_a_counter_that_starts_anew_gives_no_negative_rate() -> None:
    x, y = rate((np.array([0.0, 1.0, 2.0, 2.0, 3.0]), np.array([0.0, 5.0, 1.0, 1.0, 3.0])))
    assert list(x) == [1.0, 2.0, 3.0]
    assert list(y) == [5.0, 1.0, 2.0]


def test_a_counter_that_trembles_is_not_taken_for_a_new_one() -> None:
    assert list(rate((np.arange(3.0), np.array([9.0, 8.9, 9.9])))[1]) == pytest.approx([0.0, 1.0])


def test_many_processes_of_a_kind_are_added_up(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for shard in range(20):
            recorder.sample(Sample(_at(1.0), f"fleet-{shard}", Metric.RSS_BYTES, 10.0))
        recorder.sample(Sample(_at(1.0), "headend", Metric.RSS_BYTES, 7.0))
    found = by_source(RunRecord.load(tmp_path), Metric.RSS_BYTES)
    assert {name: list(y) for name, (_, y) in found.items()} == {
        "fleet (sum of 20)": [200.0],
        "headend": [7.0],
    }


def test_of_the_lags_of_many_processes_the_worst_counts(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for shard in range(20):
            recorder.sample(Sample(_at(1.0), f"fleet-{shard}", Metric.LAG_S, shard / 10))
    found = by_source(RunRecord.load(tmp_path), Metric.LAG_S, worst=True)
    assert {name: list(y) for name, (_, y) in found.items()} == {"fleet (worst of 20)": [1.9]}


def test_a_long_counter_is_averaged() -> None:
    x = np.arange(2400.0)
    at, per_s = rate((x, x // 2))
    assert len(at) < 250
    assert list(per_s) == [0.5] * len(per_s)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
def test_thinning_keeps_ends_and_extremes(values: list[float]) -> None:
    xs, ys = np.arange(len(values), dtype=np.float64), np.array(values)
    thin_xs, thin_ys = thin(xs, ys)
    assert len(thin_xs) <= 482
    assert (thin_xs[0], thin_xs[-1]) == (xs[0], xs[-1])
    assert (thin_ys.min(), thin_ys.max()) == (ys.min(), ys.max())
    assert (np.diff(thin_xs) > 0).all()
