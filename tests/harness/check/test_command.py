from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.check.command import check_run, judge_run
from harness.errors import ArgumentsError, ExitCode
from harness.ledger.fingerprint import FINGERPRINT_FILE
from reports.recording import Metric, Readings, RunRecord
from tests.support.recorded_run import CHANGE_ONE, DOUBLE_ONE, REMOVE_ONE, RecordedFolder

SHOWN = ("wrong", "lost", "duplicated", "invented", "unattempted", "late")


@pytest.fixture
def run(tmp_path: Path) -> RecordedFolder:
    return RecordedFolder(tmp_path)


def counts(readings: Readings) -> dict[str, int]:
    return {name: value for name in SHOWN if (value := getattr(readings, name))}


def test_a_run_that_stored_everything_passes(run: RecordedFolder) -> None:
    assert check_run(run.path) is ExitCode.PASSED
    record = RunRecord.load(run.path)
    assert record.missing == ("scenario.toml",)
    assert record.verdict is not None
    readings = record.verdict.readings
    assert readings.owed == readings.stored == readings.correct == 160
    assert counts(readings) == {}
    assert record.verdict.latency_s["push"].p50 == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([CHANGE_ONE], {"wrong": 1}, id="one value changed"),
        pytest.param([REMOVE_ONE], {"lost": 1}, id="one row removed"),
        pytest.param([DOUBLE_ONE], {"duplicated": 1}, id="one row doubled"),
        pytest.param(
            [CHANGE_ONE, REMOVE_ONE, DOUBLE_ONE],
            {"wrong": 1, "lost": 1, "duplicated": 1},
            id="all three",
        ),
        pytest.param(
            ["UPDATE readings SET captured_at = captured_at + 1"],
            {"lost": 160, "invented": 160},
            id="every capture time off by a second",
        ),
    ],
)
def test_a_tampered_store_fails_and_says_how(
    statements: list[str], expected: dict[str, int], run: RecordedFolder
) -> None:
    run.tamper(*statements)
    assert check_run(run.path) is ExitCode.FAILED
    assert counts(judge_run(run.path).verdict.readings) == expected


def test_the_verdict_says_that_the_store_has_changed_since(run: RecordedFolder) -> None:
    check_run(run.path)
    assert not any("changed" in note for note in judge_run(run.path).verdict.distrust)
    run.tamper(CHANGE_ONE)
    (note,) = (text for text in judge_run(run.path).verdict.distrust if "changed" in text)
    assert str(run.prepared.fleet.first_s) in note


def test_the_fingerprint_stays_that_of_the_first_judgement(run: RecordedFolder) -> None:
    check_run(run.path)
    path = run.prepared.folder.ledger / FINGERPRINT_FILE
    first = path.read_bytes()
    run.tamper(DOUBLE_ONE)
    check_run(run.path)
    assert path.read_bytes() == first


def test_judging_twice_writes_the_same_record(run: RecordedFolder) -> None:
    check_run(run.path)
    files = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    check_run(run.path)
    again = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    del files["metrics.parquet"], again["metrics.parquet"]
    assert again == files
    series = RunRecord.load(run.path).series
    assert len({(s.source, s.metric, s.label) for s in series}) == len(series)


def test_a_run_can_be_judged_where_it_was_moved_to(run: RecordedFolder, tmp_path: Path) -> None:
    moved = shutil.move(run.path, tmp_path / "elsewhere")
    assert check_run(Path(moved)) is ExitCode.PASSED


def test_completeness_and_meters_are_in_the_series(run: RecordedFolder) -> None:
    check_run(run.path)
    series = {s.metric: s for s in RunRecord.load(run.path).series if s.source == "run"}
    assert series[Metric.OWED].values[-1] == series[Metric.STORED].values[-1] == 160
    assert series[Metric.METERS_PLANNED].values == [40] * 4
    assert series[Metric.METERS_HEARD].values == [40] * 4
    # Stored a tenth of a second after each step opened, in wall time since the run began.
    half = series[Metric.STORED].values.index(80)
    opened_s = 4.0 + run.step_s
    assert opened_s < series[Metric.STORED].wall_s[half] < opened_s + 0.2


def test_without_times_in_the_store_lateness_is_unknown(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path, {"checks": {"readings.late": "<= 1 %"}})
    run.tamper("UPDATE readings SET stored_at = 0")
    assert check_run(run.path) is ExitCode.INCONCLUSIVE
    record = RunRecord.load(run.path)
    assert record.verdict is not None
    assert record.verdict.readings.late is None
    assert record.verdict.reasons == ("readings.late was not measured",)
    assert "When they were stored is not known" not in (run.path / "junit.xml").read_text()
    assert Metric.STORED not in {series.metric for series in record.series}


def test_readings_of_steps_that_had_not_opened_are_deferred(tmp_path: Path) -> None:
    drained = {"drain_began_s": 1_004.0 + 3.0 + 0.5, "doubts": ("interrupted by SIGINT",)}
    run = RecordedFolder(tmp_path, facts=drained)
    run.tamper(f"DELETE FROM readings WHERE captured_at > {run.prepared.fleet.first_s + 900}")
    assert check_run(run.path) is ExitCode.FAILED  # acknowledged, and not there
    readings = judge_run(run.path).verdict.readings
    assert (readings.owed, readings.deferred, readings.lost) == (80, 80, 0)
    assert readings.lost_acknowledged == 80


def test_a_store_that_is_gone_makes_the_run_inconclusive(run: RecordedFolder) -> None:
    run.store.unlink()
    assert check_run(run.path) is ExitCode.INCONCLUSIVE


def test_a_run_that_was_cut_off_is_inconclusive(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path, facts={"ended_at": ""})
    assert check_run(run.path) is ExitCode.INCONCLUSIVE


def test_a_generator_that_lagged_makes_the_run_inconclusive(run: RecordedFolder) -> None:
    run.summary(0, lag_s_max=2.5)
    assert check_run(run.path) is ExitCode.INCONCLUSIVE
    (reason,) = judge_run(run.path).verdict.reasons
    assert reason.startswith("the generator fell 2.50 s behind its plan")


def test_a_wrong_reading_fails_even_a_run_that_lagged(run: RecordedFolder) -> None:
    run.summary(0, lag_s_max=2.5)
    run.tamper(CHANGE_ONE)
    assert check_run(run.path) is ExitCode.FAILED


@pytest.mark.parametrize("part", ["run.json", "fleet.json", "ledger/shard-0/sent.bits"])
def test_a_record_that_lacks_a_part_is_refused_by_its_name(run: RecordedFolder, part: str) -> None:
    (run.path / part).unlink()
    with pytest.raises(ArgumentsError, match=part):
        judge_run(run.path)


def test_a_damaged_record_is_refused(run: RecordedFolder) -> None:
    (run.path / "metrics.parquet").write_bytes(b"no parquet")
    with pytest.raises(ArgumentsError, match=r"metrics\.parquet"):
        check_run(run.path)
