from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from harness.check.command import check_run
from harness.cli import main
from harness.errors import ExitCode
from reports.compare import load_baseline
from reports.compare.quantiles import Distribution
from tests.support.canned import failed_verdict, inconclusive_verdict, passed_verdict, record_run
from tests.support.command_line import run_scenario
from tests.support.compared import encoded, latencies
from tests.support.recorded_run import RecordedFolder

Output = pytest.CaptureFixture[str]


@pytest.fixture
def passed(tmp_path: Path) -> Path:
    return record_run(tmp_path / "passed", passed_verdict())


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    return record_run(tmp_path / "failed", failed_verdict())


@pytest.fixture
def doubted(tmp_path: Path) -> Path:
    return record_run(tmp_path / "doubted", inconclusive_verdict())


def compared(*words: object) -> int:
    return main(["compare", *map(str, words)])


def test_no_worse_exits_0_worse_1_and_who_cannot_tell_2(
    passed: Path, failed: Path, doubted: Path, capsys: Output
) -> None:
    assert compared(passed, passed) == ExitCode.PASSED
    assert compared(passed, failed) == ExitCode.FAILED
    assert compared(failed, passed) == ExitCode.PASSED
    assert compared(passed, doubted) == ExitCode.INCONCLUSIVE
    shown = capsys.readouterr().out
    said = [word for word in ("SAME", "WORSE", "BETTER", "CANNOT TELL") if f"{word}  " in shown]
    assert said == ["SAME", "WORSE", "BETTER", "CANNOT TELL"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{passed}"], "1 given"),
        (["{passed}", "{passed}", "{passed}"], "3 given"),
        (["--baseline", "b.json", "{passed}", "{passed}"], "2 given"),
        (["--baseline", "b.json", "--save-baseline", "b.json", "{passed}"], "exclude each other"),
        (["{passed}", "nowhere"], "nowhere is no recorded run"),
        (["--baseline", "nowhere.json", "{passed}"], "nowhere.json"),
        (["{passed}", "{passed}", "--noise", "lots"], "--noise: 'lots' is no share"),
        (["{passed}", "{passed}", "--format", "xml"], "--format"),
        ([], "Missing argument"),
    ],
)
def test_arguments_that_make_no_sense_exit_3(
    words: list[str], message: str, passed: Path, capsys: Output
) -> None:
    assert compared(*(word.format(passed=passed) for word in words)) == ExitCode.BAD_SCENARIO
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err


def test_a_damaged_record_exits_3_and_names_the_file(passed: Path, capsys: Output) -> None:
    (passed / "verdict.json").write_text("{}")
    assert compared(passed, passed) == ExitCode.BAD_SCENARIO
    assert "verdict.json" in capsys.readouterr().err


def test_a_baseline_is_kept_and_held_against(
    tmp_path: Path, passed: Path, failed: Path, capsys: Output
) -> None:
    file = tmp_path / "baseline.json"
    assert compared("--save-baseline", file, passed, "--noise", "*.p99=30 %") == ExitCode.PASSED
    assert capsys.readouterr().out == f"{file}\n"
    assert compared("--baseline", file, passed) == ExitCode.PASSED
    assert compared("--baseline", file, failed) == ExitCode.FAILED
    assert load_baseline(file).noise == {"*.p99": "30 %"}


def test_noise_of_the_command_line_goes_over_that_of_the_baseline(
    tmp_path: Path, passed: Path
) -> None:
    file = tmp_path / "baseline.json"
    verdict = passed_verdict()
    twice = {**verdict.resources, "headend": {"cpu_s": 50.0, "rss_mib_max": 148.0}}
    busier = record_run(tmp_path / "busier", replace(verdict, resources=twice))
    compared("--save-baseline", file, passed, "--noise", "200 %")
    assert compared("--baseline", file, busier) == ExitCode.PASSED
    assert compared("--baseline", file, busier, "--noise", "resources.*=20%") == ExitCode.FAILED


def test_an_inconclusive_run_becomes_no_baseline(
    tmp_path: Path, doubted: Path, passed: Path, capsys: Output
) -> None:
    file = tmp_path / "baseline.json"
    assert compared("--save-baseline", file, passed, doubted) == ExitCode.INCONCLUSIVE
    assert "doubted is not fit for a baseline" in capsys.readouterr().err
    assert not file.exists()


def test_what_may_differ_is_allowed_by_name(tmp_path: Path, passed: Path) -> None:
    other = record_run(tmp_path / "other", passed_verdict())
    resolved = json.loads((other / "resolved.json").read_text())
    (other / "resolved.json").write_text(json.dumps(resolved | {"seed": 8}))
    assert compared(passed, other) == ExitCode.INCONCLUSIVE
    assert compared(passed, other, "--allow", "seed") == ExitCode.PASSED


def test_markdown_and_json_are_all_that_is_printed(
    passed: Path, failed: Path, capsys: Output
) -> None:
    compared(passed, failed, "--format", "markdown")
    assert capsys.readouterr().out.startswith("## ❌ B is worse than A\n")
    compared(passed, failed, "--format", "json")
    assert json.loads(capsys.readouterr().out)["outcome"] == "worse"


def test_latencies_by_link_come_from_what_fleet_and_head_end_told(
    tmp_path: Path, capsys: Output
) -> None:
    def part(series: str, link: str, samples_s: list[float]) -> dict[str, str]:
        return {"series": series, "link": link, "histogram": encoded(samples_s)}

    def recorded(name: str, factor: float) -> Path:
        slow = [factor * value_s for value_s in latencies(2, 200)]
        told: list[Any] = [part("push", "a", latencies(1, 200)), part("push", "b", slow)]
        facts = {"latencies": (part("gap", "a", [1.0]), part("gap", "b", [2.0]))}
        folder = RecordedFolder(tmp_path / name, facts=facts)
        folder.summary(0, latencies=told)
        check_run(folder.path)
        return folder.path

    one, other = recorded("one", 1.0), recorded("other", 1.5)
    capsys.readouterr()
    assert compared(one, other, "--format", "json") == ExitCode.FAILED
    document = json.loads(capsys.readouterr().out)
    judged = {figure["figure"]: figure["judgement"] for figure in document["figures"]}
    assert judged["push.latency.p50/a"] == "same"
    assert judged["push.latency.p50/b"] == "worse"
    assert judged["gap.latency.p50/a"] == "not judged"
    file = tmp_path / "baseline.json"
    compared("--save-baseline", file, one)
    series = load_baseline(file).runs[0].latency
    samples = {name: Distribution.decode(text).samples for name, text in series.items()}
    assert samples == {
        "gap": 2,
        "gap/a": 1,
        "gap/b": 1,
        "push": 400,
        "push/a": 200,
        "push/b": 200,
    }


def test_damaged_latencies_exit_3(tmp_path: Path, capsys: Output) -> None:
    folder = RecordedFolder(tmp_path)
    check_run(folder.path)
    folder.summary(0, latencies=[{"series": "push", "link": "a", "histogram": "none"}])
    assert compared(folder.path, folder.path) == ExitCode.BAD_SCENARIO
    assert "the latencies by link: " in capsys.readouterr().err


LINKS: Final = """\
name = "links"
seed = 7
speed = 180
link = "model"
[grid]
transformer_stations = 80
meters = 1200
sizes = [{ name = "small", meters = [5, 25], share = "100 %" }]
links = [{ profile = "seed-1", share = "50 %" }, { profile = "seed-4", share = "50 %" }]
[behaviour]
mode = "push"
steps = 4
first = "2026-03-02T00:00:00+01:00"
"""
"""320 pushes; the median takes 2.4 s, and the head-end acknowledges within 0.1 s of it."""

SLOWER: Final = "target.group_commit=1200ms"
"""A head-end that makes pushes wait for its store until they have taken 30 % longer."""


def ran(folder: Path, words: Sequence[str]) -> Path:
    folder.mkdir()
    (folder / "links.toml").write_text(LINKS)
    return run_scenario(folder / "links.toml", *words).path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_real_runs_are_equal_and_a_head_end_slower_by_30_per_cent_is_slower(
    tmp_path: Path, capsys: Output
) -> None:
    # At the same time: what the machine does meanwhile, it does to all of them.
    with ThreadPoolExecutor() as threads:
        changes = ((), (), ("--set", SLOWER))
        folders = (tmp_path / name for name in ("first", "second", "slowed"))
        first, second, slowed = threads.map(ran, folders, changes)
    assert compared(first, second) == ExitCode.PASSED
    assert compared(second, first) == ExitCode.PASSED
    capsys.readouterr()
    assert compared(first, slowed, "--format", "json") == ExitCode.FAILED
    document = json.loads(capsys.readouterr().out)
    figures = {figure["figure"]: figure for figure in document["figures"]}
    push = figures["push.latency.middle"]
    assert 1.2 < push["after"] / push["before"] < 1.7
    # Where the machine held up the generator by half a second the middle is unclear, no more.
    assert push["judgement"] in ("worse", "unclear")
    worse = [
        name for name, one in figures.items() if one["judgement"] == "worse" and one["decides"]
    ]
    assert worse
    assert all(name.startswith(("push.latency.", "readings.late")) for name in worse), worse
    assert figures["readings.lost"]["judgement"] == "same"
    noted = [one["key"] for one in document["differences"] if not one["refuses"]]
    assert "target.group_commit" in noted
