"""How the views tell of outages and of what came after them."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from reports.charts import draw_charts
from reports.html import render_html
from reports.markdown import render_summary
from reports.recording import (
    FaultBegan,
    FaultEnded,
    Metric,
    Recovery,
    RunRecord,
    RunRecorder,
    RunTime,
    Sample,
    Verdict,
)
from reports.recoveries import LINES_MAX, last_stored_line, recovery_lines
from reports.story import Tone
from reports.terminal import print_summary
from tests.support.canned import passed_verdict, record_run

OUTAGE: Final = Recovery(
    fault="outage 1",
    began=RunTime(1_200.0, 25.0),
    ended=RunTime(4_800.0, 85.0),
    concentrators=333,
    held_back=116_666,
    arrived=116_666,
    last_stored=RunTime(5_538.0, 97.3),
    lowest=46_700,
    lowest_planned=70_000,
    highest=163_300,
)


def verdict_with(*recoveries: Recovery) -> Verdict:
    return replace(passed_verdict(), recoveries=recoveries, last_stored=RunTime(7_260.0, 1_261.0))


def sentence(recovery: Recovery) -> str:
    (line,) = recovery_lines(verdict_with(recovery))
    return line.sentence


def test_a_line_tells_the_dip_the_catching_up_and_the_last_one() -> None:
    (line,) = recovery_lines(verdict_with(OUTAGE), {"outage 1": "F2"})
    assert line.band == "F2"
    assert line.tone is Tone.GOOD
    assert line.cells == (
        "outage 1",
        "25.0 s (0:20), 85.0 s (1:20)",
        "333",
        "116,666",
        "46,700 (66.7 %)",
        "163,300",
        "12.3 s",
        "97.3 s (1:32)",
    )
    assert line.sentence == (
        "outage 1, 25.0 s (0:20) to 85.0 s (1:20), 333 concentrators: 116,666 readings held back, "
        "the last of them stored 12.3 s after it ended, at 97.3 s (1:32); leanest step "
        "46,700 (66.7 %) of what was planned"
    )


def test_what_never_came_is_bad_and_counted() -> None:
    lost = replace(OUTAGE, arrived=116_600)
    (line,) = recovery_lines(verdict_with(lost))
    assert line.tone is Tone.BAD
    assert line.cells[6] == "never: 66 missing"
    assert "66 of them never stored, the last of the others at 97.3 s (1:32);" in line.sentence
    none = replace(OUTAGE, arrived=0, last_stored=None)
    assert "held back, none of them was stored; leanest" in sentence(none)


def test_a_cut_that_held_nothing_back_has_nothing_to_catch_up() -> None:
    harmless = replace(OUTAGE, held_back=0, arrived=0, last_stored=None)
    (line,) = recovery_lines(verdict_with(harmless))
    assert line.tone is Tone.PLAIN
    assert line.cells[5:] == ("", "", "")
    assert line.sentence.endswith("333 concentrators: 0 readings held back")
    deferred = replace(harmless, deferred=12)
    assert sentence(deferred).endswith("0 readings held back, 12 deferred")


def test_a_loss_of_storage_says_how_many_readings_are_back_and_when() -> None:
    loss = replace(OUTAGE, fault="lose 0", ended=OUTAGE.began, lowest_planned=0, lowest=0)
    (line,) = recovery_lines(verdict_with(loss))
    assert line.tone is Tone.GOOD
    assert line.cells[4:7] == ("", "", "72.3 s")
    assert line.sentence == (
        "lose 0, 25.0 s (0:20), 333 concentrators: 116,666 readings lost, "
        "the last of them stored 72.3 s after it ended, at 97.3 s (1:32)"
    )
    assert sentence(replace(loss, arrived=116_600)).endswith("at 97.3 s (1:32)")
    nothing = replace(loss, held_back=0, arrived=0, last_stored=None)
    assert sentence(nothing).endswith("333 concentrators: 0 readings lost")


def test_a_step_that_brings_more_than_planned_is_no_dip() -> None:
    assert recovery_lines(verdict_with(replace(OUTAGE, lowest=91_000)))[0].cells[4] == (
        "91,000 (130 %)"
    )
    assert recovery_lines(verdict_with(replace(OUTAGE, lowest_planned=0)))[0].cells[4] == ""


def test_the_last_owed_reading_has_its_time_on_both_clocks() -> None:
    verdict = verdict_with()
    assert last_stored_line(verdict) == ("The last owed reading was stored at 21 min 1 s (2:01).")
    lost = replace(verdict, readings=replace(verdict.readings, lost=2, unattempted=1))
    assert last_stored_line(lost).endswith("(2:01); 3 never were.")
    assert last_stored_line(passed_verdict()) == ""


def test_the_page_has_a_table_with_the_names_of_the_bands(tmp_path: Path) -> None:
    path = record_run(tmp_path, verdict_with(replace(OUTAGE, fault="head-end killed")))
    page = render_html(RunRecord.load(path))
    assert '<a href="#recovery">' in page
    (row,) = re.findall(r'<tr><th scope="row"><b>F1</b> head-end killed</th>(.*)</tr>', page)
    assert row.count('<td class="n">') == 7
    assert "The last owed reading was stored at 21 min 1 s (2:01)." in page


def test_on_the_page_what_never_came_is_marked(tmp_path: Path) -> None:
    path = record_run(tmp_path, verdict_with(replace(OUTAGE, arrived=0)))
    page = render_html(RunRecord.load(path))
    assert '<td class="n bad">never: 116,666 missing</td>' in page


def test_without_a_cut_there_is_no_table(tmp_path: Path) -> None:
    record = RunRecord.load(record_run(tmp_path, verdict_with()))
    assert "Outages and recovery" not in render_html(record)
    summary = render_summary(record)
    assert "Outages and recovery" not in summary
    assert "The last owed reading was stored at 21 min 1 s" in summary


def test_the_summary_has_it_too(tmp_path: Path) -> None:
    summary = render_summary(RunRecord.load(record_run(tmp_path, verdict_with(OUTAGE))))
    assert "### Outages and recovery" in summary
    (row,) = (line for line in summary.splitlines() if line.startswith("| outage 1 |"))
    assert "| 12.3 s |" in row


def printed(tmp_path: Path, verdict: Verdict) -> str:
    out = io.StringIO()
    print_summary(RunRecord.load(record_run(tmp_path, verdict)), Console(file=out, width=100))
    return " ".join(out.getvalue().split())


def test_a_terminal_shows_the_first_few(tmp_path: Path) -> None:
    assert "outages and recovery" not in printed(tmp_path / "none", verdict_with())
    told = printed(tmp_path / "many", verdict_with(*[OUTAGE] * (LINES_MAX + 2)))
    assert told.count("the last of them stored 12.3 s after it ended") == LINES_MAX
    assert "- and 2 more in the report" in told
    assert "The last owed reading was stored at" in told


def test_a_chart_shows_the_dip_and_the_catching_up(tmp_path: Path) -> None:
    def at(wall_s: float) -> RunTime:
        return RunTime(wall_s * 60, wall_s)

    with RunRecorder(tmp_path) as recorder:
        recorder.event(FaultBegan(at=at(15.0), fault="outage 0"))
        recorder.event(FaultEnded(at=at(30.0), fault="outage 0"))
        for step, stored in enumerate((100, 60, 180, 0)):
            for wall_s in (step * 15.0, (step + 1) * 15.0 - 0.001):
                planned = 100.0 if step < 3 else 0.0
                recorder.sample(Sample(at(wall_s), "run", Metric.PLANNED_IN_STEP, planned))
                recorder.sample(Sample(at(wall_s), "run", Metric.STORED_IN_STEP, float(stored)))
    (chart,) = draw_charts(RunRecord.load(tmp_path)).completeness
    assert chart.key == "by-step"
    assert chart.head == ("stored", "planned")
    assert [band.what for band in chart.bands] == ["outage 0"]
    drawn, _ = chart.lines
    assert [value for _, value in drawn.points] == [100, 100, 60, 60, 180, 180, 0, 0]
    assert [place for place, _ in drawn.points][2] == pytest.approx(0.25)
