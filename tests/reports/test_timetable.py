"""What happened, in lines."""

from __future__ import annotations

from pathlib import Path

from reports.recording import Note, ProcessDied, RunRecord, RunRecorder, RunTime
from reports.timetable import LINES_MAX, happenings
from tests.support.canned import passed_verdict, record_run


def test_what_happened_is_told_in_order(tmp_path: Path) -> None:
    lines = happenings(RunRecord.load(record_run(tmp_path, passed_verdict())))
    assert [line.text for line in lines] == [
        "Phase: set-up",
        "Phase: timeline",
        "Fault begins: head-end killed (SIGKILL while under load)",
        "Process headend died (signal 9)",
        "Process headend is up again",
        "Fault ends: head-end killed",
        "headend refused 3 frames: replayed invocation counter",
        "Gap filling begins: in all 64 readings fetched from 1 concentrator",
        "checkpoint of the store",
        "Phase: drain",
    ]
    assert [line.text for line in lines if line.bad] == [lines[3].text, lines[6].text]


def test_bad_news_survives_a_flood_of_notes(tmp_path: Path) -> None:
    with RunRecorder(tmp_path) as recorder:
        for i in range(1000):
            recorder.event(Note(at=RunTime(0.0, float(i)), text="x"))
        recorder.event(ProcessDied(at=RunTime(0.0, 2000.0), process="p", pid=1, status=3))
    lines = happenings(RunRecord.load(tmp_path))
    assert len(lines) == LINES_MAX
    assert lines[-1].text == "Process p died (status 3)"
