"""From a failed check of readings to the messages that carried them, in both protocols."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.identity import concentrator_name
from harness.check.command import check_run
from harness.errors import ArgumentsError, ExitCode
from harness.explain.command import explain_run
from reports.recording import FaultBegan, ProcessDied, RunRecorder, RunTime
from tests.support.captured import (
    CLEAR_OF_REGISTRATIONS,
    at_ns,
    exchange,
    readings_of,
    write_capture,
)
from tests.support.recorded_run import BEGAN_S, START_S, RecordedFolder

CHANGES: dict[str, dict[str, Any]] = {
    "dlms": {},
    "c12": {"protocol": "c12", "c12": CLEAR_OF_REGISTRATIONS},
}
METER, NUMBER = 0, 0
"""The first reading in order: what the tampering of these tests is about."""
OF_IT = "meter = 0 AND captured_at = (SELECT min(captured_at) FROM readings)"


@pytest.fixture(params=CHANGES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RecordedFolder:
    """A run of either protocol, the push of concentrator 0 at interval 0 captured."""
    made = RecordedFolder(tmp_path, CHANGES[request.param])
    notes = exchange(made, readings_of(made, NUMBER, 0), NUMBER, when_ns=at_ns(made, 0))
    write_capture(made, notes, NUMBER)
    return made


def explained(run: RecordedFolder, check: str, most: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(explain_run(run.path, check, most=most, as_json=True))
    return found


def test_a_changed_value_is_followed_from_the_meter_to_the_store(run: RecordedFolder) -> None:
    run.tamper(f"UPDATE readings SET import_wh = import_wh + 1 WHERE {OF_IT}")
    assert check_run(run.path) is ExitCode.FAILED
    told = explained(run, "readings.wrong")
    registered = int(readings_of(run, NUMBER, 0).values[METER, 0])
    (subject,) = told["subjects"]
    facts = "\n".join(subject["facts"])
    assert told["passed"] is False
    assert subject["title"].startswith("MST0000000000001 behind MSC0000000000001, captured at")
    assert (
        f"import_wh: registered {registered}, carried {registered} (frame 1), "
        f"stored {registered + 1}" in facts
    )
    assert "import_rate1_wh" not in facts
    assert "every captured message carries what the meter registered" in facts


def test_the_messages_are_told_layer_by_layer(run: RecordedFolder) -> None:
    run.tamper(f"UPDATE readings SET import_wh = import_wh + 1 WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.wrong")["subjects"]
    push, answer = subject["exchange"]
    assert push["problem"] == answer["problem"] == ""
    assert (push["who"], push["frame"]) == ("MSC0000000000001", 1)
    assert answer["who"] == "head-end"
    if run.scenario.protocol == "dlms":
        meters = run.prepared.grid.meters_of(0).stop
        assert push["layers"][0].startswith("wrapper: wPort 1 to 1")
        assert "authenticated and encrypted" in push["layers"][1]
        assert push["layers"][2] == (
            f"data-notification 1, to be confirmed: {meters} readings of {meters} meters"
        )
        assert answer["layers"][-1] == "data-notification-confirm of 1"
    else:
        assert push["layers"][0].startswith("ACSE: message from MST0000000000001 to MSH")
        assert push["layers"][1].startswith("EPSEM: encrypted and authenticated")
        assert push["layers"][2].startswith("write of ST64")
        assert answer["layers"][-1].startswith("<ok> ok to write of ST64")
    registered = readings_of(run, NUMBER, 0).values[METER, 0]
    assert f"import_wh {registered}" in push["layers"][-1]
    frames = f"{{{push['frame']},{answer['frame']}}}"
    assert f"-Y 'frame.number in {frames}'" in subject["commands"][0]


def test_a_reading_lost_after_its_acknowledgement(run: RecordedFolder) -> None:
    died_s = START_S - BEGAN_S + 0.5
    with RunRecorder(run.path) as recorder:
        at = RunTime(scenario_s=0.0, wall_s=died_s)
        recorder.event(ProcessDied(at=at, process="headend-0", pid=7, status=-9))
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    assert check_run(run.path) is ExitCode.FAILED
    told = explained(run, "readings.lost")
    (subject,) = told["subjects"]
    assert "confirms before its commit is durable" in told["hint"]
    confirmed = [fact for fact in subject["facts"] if "confirmed it" in fact]
    answer = subject["exchange"][1]["frame"]
    assert confirmed == [f"the head-end confirmed it (frame {answer}) and does not have it"]
    whats = [moment["what"] for moment in subject["moments"]]
    assert whats.index("its push is due") < whats.index("died, status -9 (SIGKILL)")
    assert "handed to the link: yes; acknowledged: yes; rows stored: 0" in subject["facts"]


def test_the_answer_is_the_one_to_that_meter(run: RecordedFolder) -> None:
    run.tamper(f"DELETE FROM readings WHERE {OF_IT.replace('meter = 0', 'meter = 1')}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    push, answer = subject["exchange"]
    assert push["layers"][-1].startswith("MST0000000000002 at ")
    if run.scenario.protocol == "c12":
        assert "from MST0000000000002 to" in push["layers"][0]
        assert "to MST0000000000002," in answer["layers"][0]


def test_a_late_reading_tells_where_its_time_went(run: RecordedFolder) -> None:
    run.tamper(f"UPDATE readings SET stored_at = stored_at + 3600000000 WHERE {OF_IT}")
    check_run(run.path)
    told = explained(run, "readings.late")
    (subject,) = told["subjects"]
    assert (told["measured"], told["more"]) == ("1", 0)
    (late,) = [fact for fact in subject["facts"] if "after its deadline" in fact]
    assert late.startswith(f"stored {3600 + 0.1 - run.step_s:.3f} s after its deadline")
    assert "from due to its first message" in late


def test_a_value_that_changed_on_the_way_is_seen_there(run: RecordedFolder) -> None:
    told = readings_of(run, NUMBER, 0)
    values = told.values.copy()
    values[METER, 0] += 5
    notes = exchange(run, replace(told, values=values), NUMBER, when_ns=at_ns(run, 0))
    write_capture(run, notes, NUMBER)
    run.tamper(f"UPDATE readings SET import_wh = import_wh + 5 WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.wrong")["subjects"]
    assert "a captured message carries something else than the meter registered" in subject["facts"]
    assert not any("changed in the head-end" in fact for fact in subject["facts"])


def test_a_push_that_nobody_answered(run: RecordedFolder) -> None:
    notes = exchange(
        run, readings_of(run, NUMBER, 0), NUMBER, when_ns=at_ns(run, 0), answered=False
    )
    write_capture(run, notes, NUMBER)
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    assert "pushes that carried it: 1; answers: none" in subject["facts"]
    assert [message["who"] for message in subject["exchange"]] == ["MSC0000000000001"]


def test_no_secret_is_told(run: RecordedFolder) -> None:
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    lines = (run.prepared.provisioning / "concentrators.csv").read_text().splitlines()[1:]
    keys = [word for line in lines for word in line.split(",")[-3:]]
    for told in (
        explain_run(run.path, "readings.lost"),
        explain_run(run.path, "readings.lost", as_json=True),
    ):
        assert not [key for key in keys if key in told]


def test_of_many_readings_different_concentrators_are_shown_first(run: RecordedFolder) -> None:
    run.tamper("DELETE FROM readings")
    check_run(run.path)
    told = explained(run, "readings.lost", most=3)
    owners = [subject["title"].split()[2] for subject in told["subjects"]]
    assert len(set(owners)) == 3
    assert told["more"] == 160 - 3
    assert told["found"][0].startswith("160 readings of 40 meters behind")


def test_without_a_capture_it_says_how_to_get_one(run: RecordedFolder) -> None:
    (run.path / "captures" / "fleet-0.pcapng").unlink()
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    assert "--capture MSC0000000000001" in subject["unheard"]
    assert subject["exchange"] == []
    text = explain_run(run.path, "readings.lost")
    assert "nothing was captured of MSC0000000000001" in text


def test_a_capture_that_is_cut_off_is_read_as_far_as_it_goes(run: RecordedFolder) -> None:
    file = run.path / "captures" / "fleet-0.pcapng"
    file.write_bytes(file.read_bytes()[:-7])
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    assert subject["exchange"]


def test_keys_of_a_key_file_open_nothing(run: RecordedFolder) -> None:
    shared = run.prepared.provisioning / "head-end.json"
    facts = json.loads(shared.read_text()) | {"keys": "key file"}
    shared.write_text(json.dumps(facts))
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    assert "no test keys" in subject["unheard"]
    assert all("no test keys" in message["problem"] for message in subject["exchange"])


def test_lines_of_logs_and_faults_that_went_on_are_told(run: RecordedFolder) -> None:
    with RunRecorder(run.path) as recorder:
        at = RunTime(scenario_s=0.0, wall_s=START_S - BEGAN_S + 0.2)
        recorder.event(FaultBegan(at=at, fault="outage 1", description="a third is cut off"))
    line = {
        "event": "connection ended",
        "name": concentrator_name(NUMBER).decode(),
        "cause": "broken",
        "level": "info",
        "timestamp": "2023-11-14T22:30:04.300000Z",
    }
    noise = line | {"name": "MSC0000000000002"}
    text = "".join(json.dumps(one) + "\n" for one in (line, noise)) + "no JSON\n"
    (run.path / "logs" / "headend-0.log").write_text(text)
    run.tamper(f"DELETE FROM readings WHERE {OF_IT}")
    check_run(run.path)
    (subject,) = explained(run, "readings.lost")["subjects"]
    told = [(moment["who"], moment["what"]) for moment in subject["moments"]]
    assert ("run", "outage 1 begins: a third is cut off") in told
    assert [what for who, what in told if who == "headend-0 log"] == [
        "connection ended (name MSC0000000000001, cause broken)"
    ]


def test_a_second_arrival_with_other_values(run: RecordedFolder) -> None:
    run.tamper(
        "INSERT INTO conflicts BY NAME SELECT * REPLACE (import_wh + 9 AS import_wh) "
        f"FROM readings WHERE {OF_IT}"
    )
    assert check_run(run.path) is ExitCode.FAILED
    (subject,) = explained(run, "readings.conflicts")["subjects"]
    registered = int(readings_of(run, NUMBER, 0).values[METER, 0])
    assert any(f"kept aside {registered + 9}" in fact for fact in subject["facts"])


@pytest.mark.parametrize(
    ("check", "advice"),
    [
        ("readings.lots", "did you mean readings.lost?"),
        ("reading.late", "did you mean readings.late?"),
        ("zzz", "there are: "),
    ],
)
def test_a_check_that_is_not_there(check: str, advice: str, tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    check_run(run.path)
    with pytest.raises(ArgumentsError) as raised:
        explain_run(run.path, check)
    assert advice in str(raised.value)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ArgumentsError, match="no recorded run"):
        explain_run(tmp_path, None)


def test_a_run_without_a_verdict_says_how_to_get_one(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    with pytest.raises(ArgumentsError, match="meterstorm check"):
        explain_run(run.path, None)
