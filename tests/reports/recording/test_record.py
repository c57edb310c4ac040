"""A recorded run comes back as it was written, whole or cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from reports.recording import (
    LatencyInterval,
    Note,
    RecordError,
    RunRecord,
    RunRecorder,
    RunTime,
    Sample,
    merge_intervals,
    new_histogram,
    percentiles,
    record_latency,
)
from tests.support.canned import failed_verdict, passed_verdict, record_run


def _damage(path: Path, *lines: str) -> None:
    path.write_bytes(zstandard.compress("".join(f"{line}\n" for line in lines).encode()))


def test_a_complete_run_comes_back(tmp_path: Path) -> None:
    record = RunRecord.load(record_run(tmp_path, failed_verdict()))
    assert record.verdict == failed_verdict()
    assert record.missing == ()
    assert [event.kind for event in record.events[:2]] == ["run_started", "phase_started"]
    assert record.started is not None
    assert record.started.seed == 7
    assert record.resolved["plan"]["steps"] == 4


def test_events_come_back_equal(tmp_path: Path) -> None:
    events = tuple(Note(at=RunTime(i * 60.0, float(i)), text=f"n{i}") for i in range(200))
    with RunRecorder(tmp_path) as recorder:
        for event in events:
            recorder.event(event)
    assert RunRecord.load(tmp_path).events == events


def test_samples_come_back_sorted_by_time(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for wall_s in (2.0, 1.0):
            recorder.sample(
                Sample(RunTime(60 * wall_s, wall_s), "headend", "rss_bytes", wall_s * 10, "a")
            )
    (series,) = RunRecord.load(tmp_path).series
    assert (series.source, series.metric, series.label) == ("headend", "rss_bytes", "a")
    assert list(series.wall_s) == [1.0, 2.0]
    assert list(series.scenario_s) == [60.0, 120.0]
    assert list(series.values) == [10.0, 20.0]


def test_histograms_of_a_series_add_up(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for start, latency_s in ((0.0, 0.5), (5.0, 1.5)):
            histogram = new_histogram()
            record_latency(histogram, latency_s)
            recorder.latency(LatencyInterval("push", start, start + 5, histogram))
    intervals = RunRecord.load(tmp_path).latency
    assert [(i.series, i.start_s, i.end_s) for i in intervals] == [("push", 0, 5), ("push", 5, 10)]
    merged = merge_intervals(intervals)
    assert merged["push"].get_total_count() == 2
    assert percentiles(merged["push"]).max == pytest.approx(1.5, rel=1e-3)


def test_a_latency_beyond_a_day_is_counted_as_a_day() -> None:
    histogram = new_histogram()
    record_latency(histogram, 1e9)
    record_latency(histogram, -1.0)
    assert histogram.get_total_count() == 2
    assert percentiles(histogram).max == pytest.approx(86_400, rel=1e-3)


def test_events_are_on_disk_before_the_run_ends(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for i in range(3):
            recorder.event(Note(at=RunTime(0.0, float(i)), text=str(i)))
        texts = [e.text for e in RunRecord.load(tmp_path).events if isinstance(e, Note)]
        assert texts == ["0", "1", "2"]


def test_an_event_log_cut_anywhere_gives_a_prefix(tmp_path: Path) -> None:
    whole = RunRecord.load(record_run(tmp_path / "whole", None)).events
    data = (tmp_path / "whole" / "events.ndjson.zst").read_bytes()
    path = tmp_path / "events.ndjson.zst"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        events = RunRecord.load(tmp_path).events
        assert events == whole[: len(events)]


def test_a_histogram_log_cut_in_its_last_line_gives_the_lines_before(tmp_path: Path) -> None:
    whole = RunRecord.load(record_run(tmp_path, None)).latency
    path = tmp_path / "latency.hlog"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(RunRecord.load(tmp_path).latency) == len(whole) - 1


def test_an_empty_directory_is_a_run_that_lacks_everything(tmp_path: Path) -> None:
    record = RunRecord.load(tmp_path)
    assert record.verdict is None
    assert "verdict.json" in record.missing
    assert "metrics.parquet" in record.missing


def test_no_directory_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such run"):
        RunRecord.load(tmp_path / "nothing")


def test_a_malformed_event_names_file_and_line(tmp_path: Path) -> None:
    good = '{"kind":"note","at":{"scenario_s":0.0,"wall_s":0.0},"text":"x"}'
    _damage(tmp_path / "events.ndjson.zst", good, '{"kind":"note","at":{"wall_s":0.0},"text":"x"}')
    with pytest.raises(RecordError, match=r"events\.ndjson\.zst, line 2: note\.at"):
        RunRecord.load(tmp_path)


def test_an_unknown_kind_of_event_is_refused(tmp_path: Path) -> None:
    _damage(tmp_path / "events.ndjson.zst", '{"kind":"surprise","at":{}}')
    with pytest.raises(RecordError, match="line 1"):
        RunRecord.load(tmp_path)


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    line = (
        '{"kind":"run_started","record_version":99,"at":{"scenario_s":0.0,"wall_s":0.0},"scenario":"x",'
        '"seed":1,"speed":1.0,"started_at":"","command":""}'
    )
    _damage(tmp_path / "events.ndjson.zst", line)
    with pytest.raises(RecordError, match="record version 99"):
        RunRecord.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.ndjson.zst", b"no zstandard at all", r"events\.ndjson\.zst"),
        ("latency.hlog", b"Tag=push,0.0,1.0,2.0,garbage\n", r"latency\.hlog, line 1"),
        ("latency.hlog", b"#ok\nwhatever\n", r"latency\.hlog, line 2"),
        ("metrics.parquet", b"PAR1 but not really", r"metrics\.parquet"),
        ("verdict.json", b'{"verdict": "passed"}', r"verdict\.json: scenario"),
        ("verdict.json", b"{", r"verdict\.json"),
        ("resolved.json", b'{\n"a": }', r"resolved\.json, line 2"),
        ("resolved.json", b"[]", "not a JSON object"),
        ("scenario.toml", b"\xff\xfe", r"scenario\.toml"),
    ],
)
def test_a_malformed_part_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=message):
        RunRecord.load(tmp_path)


def test_closing_twice_keeps_the_record(tmp_path: Path) -> None:
    recorder = RunRecorder(tmp_path)
    recorder.sample(Sample(RunTime(0.0, 0.0), "run", "x", 1.0))
    recorder.close()
    recorder.close()
    assert len(RunRecord.load(tmp_path).series) == 1


def test_samples_can_be_written_while_the_run_goes_on(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        recorder.sample(Sample(RunTime(0.0, 0.0), "run", "x", 1.0))
        recorder.write_samples()
        assert len(RunRecord.load(tmp_path).series) == 1


def test_a_series_name_that_would_break_the_log_is_refused(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder, pytest.raises(ValueError, match="tag"):
        recorder.latency(LatencyInterval("a,b", 0.0, 1.0, new_histogram()))


def test_no_unfinished_file_stays_behind(tmp_path: Path) -> None:
    record_run(tmp_path, passed_verdict())
    assert not list(tmp_path.glob("*.unfinished"))
