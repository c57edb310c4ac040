"""What is listed of a run, and the explanations that are not about single readings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.check.command import check_run
from harness.cli import main
from harness.errors import ExitCode
from harness.explain.command import explain_run
from harness.explain.readings import CHOSEN
from harness.limits import MEASURES
from harness.run.facts import IssuedCommand
from harness.store.commands import Command, CommandState
from reports.recording import (
    BillFigures,
    LabRecord,
    LabSample,
    LatencyInterval,
    LinkCount,
    LinkMeasurement,
    RunRecord,
    RunRecorder,
    RunTime,
    TrackingCount,
    new_histogram,
    record_latency,
    write_verdict,
)
from tests.support.captured import CLEAR_OF_REGISTRATIONS
from tests.support.recorded_run import CHANGE_ONE, OFFSET_S, REMOVE_ONE, START_S, RecordedFolder

DUE_US = int((START_S + OFFSET_S + 1.0) * 1e6)
ISSUED = tuple(
    IssuedCommand(id=number, meter=number, kind="disconnect", parameter=0, due_us=DUE_US)
    for number in (1, 2, 3)
)
JOURNAL = (
    Command(1, 1, "disconnect", "", DUE_US, CommandState.DONE, 7, DUE_US + 5, DUE_US + 9, 1, "ok"),
    Command(2, 2, "disconnect", "", DUE_US, CommandState.FAILED, 8, DUE_US + 5, None, 3, "denied"),
)


def explained(run: RecordedFolder, check: str, most: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(explain_run(run.path, check, most=most, as_json=True))
    return found


def test_what_did_not_pass_is_listed_what_decides_first(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    run.tamper(CHANGE_ONE, REMOVE_ONE)
    check_run(run.path)
    listed = json.loads(explain_run(run.path, None, as_json=True))
    assert listed["verdict"] == "failed"
    troubled = [one["check"] for one in listed["troubled"]]
    assert troubled == ["readings.lost_acknowledged", "readings.wrong", "readings.lost"]
    assert "readings.duplicated" in listed["others"]
    text = explain_run(run.path, None)
    assert f"meterstorm explain {run.path} readings.lost_acknowledged" in text


def test_a_run_that_passed_says_so(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    check_run(run.path)
    assert "every check passed" in explain_run(run.path, None)


def test_replays_that_were_accepted_are_told_one_by_one(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    accounts = ["MSC0000000000001: accepted: confirmed again", "MSC0000000000002: refused: hung up"]
    found = {"tried": 2, "accepted": 1, "unreachable": 0, "accounts": accounts}
    (run.path / "replays.json").write_text(json.dumps(found))
    check_run(run.path)
    told = explained(run, "replays.accepted")
    assert told["found"][0].startswith("2 confirmed pushes were sent again")
    assert told["found"][1:] == accounts
    assert "invocation counter" in told["hint"]


def test_bills_are_told_with_the_readings_that_explain_them(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    check_run(run.path)
    assert explained(run, "bills.wrong")["found"] == [
        "this run has no account of bills: the reasons of its verdict say why"
    ]
    verdict = RunRecord.load(run.path).verdict
    assert verdict is not None
    bills = BillFigures(
        due=9,
        correct=6,
        wrong=3,
        explained=1,
        examples=(
            "wrong: the bill of meter 7 for 2026-10 is 31.22, and must be 31.23: its reading is "
            "not in the store",
            "wrong: the bill of meter 8 for 2026-10 is 1.00, and must be 2.00",
            "twice: the bill of meter 9 for 2026-10 is 1.00 and then 1.00, and must be 1.00",
        ),
    )
    write_verdict(run.path, replace(verdict, bills=bills))
    told = explained(run, "bills.wrong", most=1)
    assert told["found"][0].startswith("9 bills due, 6 right to the cent; of the wrong and missing")
    (subject,) = told["subjects"]
    assert subject["title"].startswith("the bill of meter 7 for 2026-10 is 31.22")
    assert told["more"] == 2


def test_whatever_a_scenario_may_limit_can_be_explained(tmp_path: Path) -> None:
    one_of_each_part = {name.partition(".")[0]: name for name in MEASURES}.values()
    written = {name: f">= 0 {MEASURES[name].units[0].value}".rstrip() for name in one_of_each_part}
    run = RecordedFolder(tmp_path, {"checks": written})
    check_run(run.path)
    for name in written:
        assert explained(run, name, 1)["check"] == name


def test_every_measure_of_readings_has_its_readings() -> None:
    parts = {name.partition(".")[2] for name in MEASURES if name.startswith("readings.")}
    assert parts == {*CHOSEN, "conflicts"}


@pytest.mark.parametrize(
    "check",
    [
        "alarms.conflicts",
        "alarms.lost_acknowledged",
        "association.latency.max",
        "commands.issued",
        "pull.latency.p50",
        "readings.conflicts",
        "readings.deferred",
        "readings.owed",
        "resources.store.size",
        "throughput.times_real_time",
    ],
)
def test_a_measure_can_be_explained_in_a_run_that_passed(check: str, passed: Path) -> None:
    assert explain_run(passed, check).startswith(check)
    json.loads(explain_run(passed, check, as_json=True))


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that passed. Look, but do not touch."""
    run = RecordedFolder(tmp_path_factory.mktemp("passed"))
    check_run(run.path)
    return run.path


def test_a_generator_that_fell_behind(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    run.summary(0, lag_s_max=3.5)
    assert check_run(run.path) is ExitCode.INCONCLUSIVE
    told = explained(run, "generator.lag")
    assert (told["passed"], told["measured"], told["limit"]) == (False, "3.500 s", "<= 2 s")
    assert "fleet shard 0: 3.500 s" in told["found"]
    assert "its own fault" in told["hint"]


def test_commands_that_were_never_carried_out_and_refused_ones(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path, {"commands": {"count": 3}}, commands=ISSUED, journal=JOURNAL)
    run.executed({"meter": 1, "kind": "disconnect", "parameter": 0, "at_s": 0, "counter": 7})
    check_run(run.path)
    (lost,) = explained(run, "commands.lost")["subjects"]
    assert lost["title"] == "command 3: disconnect of MST0000000000004"
    assert any("never accepted" in fact for fact in lost["facts"])
    (failed,) = explained(run, "commands.failed")["subjects"]
    assert failed["title"].startswith("command 2:")
    assert any("sent 3 times, outcome: denied" in fact for fact in failed["facts"])


def test_a_slow_series_names_when_it_was_slowest(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    with RunRecorder(run.path) as recorder:
        for start_s, latency_s in ((0.0, 0.5), (1.0, 9.0), (2.0, 0.7)):
            histogram = new_histogram()
            record_latency(histogram, latency_s)
            recorder.latency(LatencyInterval("push", start_s, start_s + 1.0, histogram))
    check_run(run.path)
    told = explained(run, "push.latency.p99", most=1)
    (slowest,) = told["subjects"]
    assert slowest["title"] == "push, from 1.0 s to 2.0 s of the run"
    assert "max 9.0" in slowest["facts"][0]
    assert told["found"][0].startswith("all: p50 0.100 s")


def test_an_alarm_leads_to_the_reading_it_rides_with(tmp_path: Path) -> None:
    event = {"do": "event", "event": "tamper", "at": "00:20", "share": "100 %"}
    run = RecordedFolder(
        tmp_path, {"protocol": "c12", "c12": CLEAR_OF_REGISTRATIONS, "timeline": [event]}
    )
    check_run(run.path)
    told = explained(run, "alarms.lost", most=1)
    (subject,) = told["subjects"]
    assert subject["title"].startswith("alarm of MST")
    assert subject["facts"][0].startswith("it rides with the reading captured at")


def test_the_verb_prints_it_and_takes_the_latest_run_for_granted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RecordedFolder(tmp_path)
    run.tamper(CHANGE_ONE)
    check_run(run.path)
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "runs/latest", "readings.wrong"]) == ExitCode.PASSED
    by_name = capsys.readouterr().out
    assert by_name.startswith(f"readings.wrong  FAILED  {run.path.name}")
    assert main(["explain", "readings.wrong"]) == ExitCode.PASSED
    assert capsys.readouterr().out == by_name
    assert main(["explain", "runs/latest", "readings.worng"]) == ExitCode.BAD_SCENARIO
    assert "did you mean readings.wrong?" in capsys.readouterr().err
    assert all(len(line) <= 100 or "tshark" in line for line in by_name.splitlines())


MEASURED = (
    LinkMeasurement(
        link="lte", quantity="up loss", unit="%", set=0.05, drawn=0.0, measured=13.04, agrees=False
    ),
    LinkMeasurement(link="lte", quantity="up rate", unit="packets/s", set=1071.4, measured=1052.0),
    LinkMeasurement(link="lte", quantity="down rate", unit="packets/s", set=1071.4),
)


def lab_sample(wall_s: float, dropped: int) -> LabSample:
    count = LinkCount(
        category=0, link="lte", direction="up", packets=344, octets=1, lost=5, limited=0,
        overflowed=None, backlog=0,
    )  # fmt: skip
    tracking = TrackingCount(
        side="head-end", count=8, max=8, drop=dropped, early_drop=0, insert_failed=0
    )
    at = RunTime(scenario_s=wall_s, wall_s=wall_s)
    return LabSample(at=at, links=(count,), unclassified=0, tracking=(tracking,), listening=())


@pytest.fixture
def in_lab(tmp_path: Path) -> RecordedFolder:
    """A run whose links were measured and not drawn, one of them off."""
    run = RecordedFolder(tmp_path)
    check_run(run.path)
    verdict = RunRecord.load(run.path).verdict
    assert verdict is not None
    write_verdict(run.path, replace(verdict, links=MEASURED))
    samples = (lab_sample(1.0, dropped=3), lab_sample(9.0, dropped=147))
    LabRecord(tier="netem", profiles=("lte",), samples=samples).write(run.path)
    return run


def test_links_of_a_lab_are_told_as_they_were_measured(in_lab: RecordedFolder) -> None:
    listed = json.loads(explain_run(in_lab.path, None, as_json=True))
    (off,) = (one for one in listed["troubled"] if one["check"] == "link.lte.up-loss")
    assert (off["measured"], off["limit"]) == ("13.04 %", "about 0.05 %")
    assert explained(in_lab, "link.lte.up-rate")["measured"] == "1052 packets/s"
    assert explained(in_lab, "link.lte.down-rate")["measured"] == "not measured"


def test_a_link_that_is_off_leads_to_what_its_lab_counted(in_lab: RecordedFolder) -> None:
    assert explained(in_lab, "link.lte.up-loss")["found"] == [
        "up loss: set 0.05 %, drawn 0 %, measured from outside 13.04 %  <- not what was set",
        "up rate: set 1071 packets/s, measured from outside 1052 packets/s  (not judged)",
        "down rate: set 1071 packets/s  (not judged)",
        "counted up: 344 packets came through, 5 lost",
        "connection tracking on the head-end side: 144 packets dropped "
        "(8 of 8 entries used at the end)",
    ]
