from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.compare import Subject, subject_of
from reports.compare.quantiles import Distribution
from reports.recording import RunRecord, Verdict, new_histogram, record_latency
from tests.support.canned import ansi_verdict, failed_verdict, passed_verdict, record_run


def told(tmp_path: Path, verdict: Verdict | None, **by_link: Any) -> Subject:
    links = {("push", link): histogram for link, histogram in by_link.items()}
    return subject_of(RunRecord.load(record_run(tmp_path / "run", verdict)), links)


def histogram_of(*latencies_s: float) -> Any:
    histogram = new_histogram()
    for value_s in latencies_s:
        record_latency(histogram, value_s)
    return histogram


def test_the_scenario_is_flat_so_that_a_difference_names_its_key(tmp_path: Path) -> None:
    asked = told(tmp_path, passed_verdict()).asked
    assert asked["seed"] == "7"
    assert asked["grid.sizes.1.meters.0"] == "21"
    assert asked["checks.readings.lost"] == '"== 0"'


def test_no_password_goes_into_a_baseline(tmp_path: Path) -> None:
    run = record_run(tmp_path / "run", passed_verdict())
    resolved = {"target": {"store": {"url": "postgresql://me:secret@db/x"}}}
    (run / "resolved.json").write_text(json.dumps(resolved))
    asked = subject_of(RunRecord.load(run), {}).asked
    assert asked == {"target.store.url": '"postgresql://me:***@db/x"'}


def test_what_is_one_number_a_run_is_a_figure(tmp_path: Path) -> None:
    found = told(tmp_path, failed_verdict())
    assert found.verdict == "failed"
    assert found.figures["readings.lost"] == found.figures["readings.lost_acknowledged"] == 412
    assert found.figures["readings.late"] == pytest.approx(168 / 200_200)
    assert found.figures["checks.failed"] == 2
    assert found.figures["resources.headend.cpu"] == 17.9
    assert found.figures["resources.headend.memory"] == 148.0
    assert found.figures["resources.store.size"] == 6_291_456
    assert found.figures["generator.lag"] == 0.0085
    assert found.figures["commands.unexecuted"] == 0


def test_alarms_and_storms_are_figures_where_there_were_any(tmp_path: Path) -> None:
    found = told(tmp_path, ansi_verdict()).figures
    assert found["alarms.lost"] == 0
    assert found["registrations.refused"] == 4120
    assert found["registrations.storm.1"] == 9.72
    assert found["registrations.missing.2"] == 1
    assert "registrations.storm.2" not in found


def test_lateness_that_nobody_knows_is_no_figure(tmp_path: Path) -> None:
    verdict = passed_verdict()
    unknown = replace(verdict, readings=replace(verdict.readings, late=None))
    assert "readings.late" not in told(tmp_path, unknown).figures


def test_latencies_come_from_the_recorded_histograms(tmp_path: Path) -> None:
    found = told(tmp_path, passed_verdict())
    assert sorted(found.latency) == ["command", "push"]
    assert Distribution.decode(found.latency["push"]).samples == 14 * 999


def test_link_classes_are_series_of_their_own(tmp_path: Path) -> None:
    slow, quick = histogram_of(2.0, 2.0), histogram_of(1.0)
    found = told(tmp_path, passed_verdict(), slow=slow, quick=quick, idle=new_histogram())
    parts = {name: Distribution.decode(text).samples for name, text in found.latency.items()}
    assert parts == {"command": 13_986, "push": 13_986, "push/quick": 1, "push/slow": 2}


def test_one_link_class_is_the_whole_series(tmp_path: Path) -> None:
    assert "push/all" not in told(tmp_path, passed_verdict(), all=histogram_of(1.0)).latency


def test_a_series_that_is_in_no_log_is_the_sum_over_its_links(tmp_path: Path) -> None:
    record = RunRecord.load(record_run(tmp_path / "run", passed_verdict()))
    links = {("gap", "a"): histogram_of(1.0), ("gap", "b"): histogram_of(2.0, 3.0)}
    found = subject_of(record, links).latency
    assert Distribution.decode(found["gap"]).samples == 3


def test_a_run_cut_short_is_inconclusive_and_has_no_figures(tmp_path: Path) -> None:
    found = told(tmp_path, None)
    assert found.verdict == "inconclusive"
    assert found.figures == {}
