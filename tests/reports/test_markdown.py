"""The job summary: the answer first, safe, under 100 kB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reports.markdown import SUMMARY_BYTES_MAX, render_summary
from reports.recording import Check, ClassCounts, FailureCause, RunRecord, Verdict
from tests.support.canned import (
    ansi_verdict,
    failed_verdict,
    passed_verdict,
    record_run,
    systems_verdict,
)


def _summary(tmp_path: Path, verdict: Verdict | None) -> str:
    return render_summary(RunRecord.load(record_run(tmp_path, verdict)))


def test_the_verdict_is_the_first_line(tmp_path: Path) -> None:
    lines = _summary(tmp_path, failed_verdict()).splitlines()
    assert lines[0] == "## ❌ Failed: head-end killed under load"
    assert lines[2].startswith("Of 200,200 readings owed, 412 are lost")


def test_every_figure_of_the_account_is_there(tmp_path: Path) -> None:
    summary = _summary(tmp_path, failed_verdict())
    for row in ("| **Owed** | 200,200 | 100 % |", "| = lost | 412 | 0.206 % |"):
        assert row in summary


def test_alarms_and_registrations_are_a_line_each(tmp_path: Path) -> None:
    lines = _summary(tmp_path, ansi_verdict()).splitlines()
    assert sum(line.startswith("- **Alarms**: 7,350 alarms owed") for line in lines) == 1
    assert sum(line.startswith("- **Registrations**: 71,000 nodes") for line in lines) == 1
    assert "**Alarms**" not in _summary(tmp_path / "dlms", passed_verdict())


def test_each_system_beside_the_head_end_has_its_counts_and_examples(tmp_path: Path) -> None:
    summary = _summary(tmp_path, systems_verdict())
    assert "### Batteries\n\n200 batteries, 34 virtual ones commanded" in summary
    for row in (
        "| accepted | 72 | 90 % | durable when answered |",
        "| unanswered | 3 | 3.75 % | no answer in time, or an error |",
        "| superseded | 255 | 35.4 % | a later one took its place before it was sent |",
        "| invented | 1 |  | a command that no order explains |",
        "| correct | 997 | 99.7 % | right to the cent |",
        "| battery status \\(bal.status\\) | 2 s | 3 s | 4 s | 5 s | 6 s |",
    ):
        assert row in summary
    assert "- invented\\: battery-0000042 at 1795286945993 ms" in summary
    assert "### Batteries" not in _summary(tmp_path / "dlms", passed_verdict())


def test_neither_markdown_nor_html_of_a_name_takes_effect(tmp_path: Path) -> None:
    name = "<script>alert(1)</script> | **x** [a](http://b) `c`\n# d"
    summary = _summary(tmp_path, replace(passed_verdict(), scenario=name))
    assert "<script" not in summary
    assert summary.splitlines()[0] == (
        "## ✅ Passed: &lt;script&gt;alert\\(1\\)&lt;/script&gt; \\| \\*\\*x\\*\\* \\[a\\]"
        "\\(http\\://b\\) \\`c\\` \\# d"
    )


def test_a_command_cannot_end_its_block(tmp_path: Path) -> None:
    environment = replace(passed_verdict().environment, command="x\n```\n# y")
    summary = _summary(tmp_path, replace(passed_verdict(), environment=environment))
    assert summary.rstrip().endswith("x\n```\n# y\n````")


def test_a_huge_run_stays_under_the_limit(tmp_path: Path) -> None:
    long = "é" * 5_000
    check = Check(name=long, limit=long, measured=long, passed=False, explanation=long)
    classes = ClassCounts(name=long, concentrators=1, meters=1, owed=1)
    verdict = replace(
        failed_verdict(),
        scenario=long,
        reasons=(long,) * 200,
        checks=(check,) * 200,
        classes={f"{long}{i}": (classes,) * 1000 for i in range(10)},
        failures=(FailureCause(cause=long, where=long, count=1),) * 200,
        distrust=tuple(f"{i}{long}" for i in range(200)),
    )
    summary = _summary(tmp_path, verdict)
    assert len(summary.encode()) < SUMMARY_BYTES_MAX
    assert "report.html" in summary
    assert "### Reproduce" in summary


def test_a_run_cut_short_shows_no_account_of_zeros(tmp_path: Path) -> None:
    summary = _summary(tmp_path, None)
    assert summary.startswith("## ⚠️ Inconclusive")
    assert "Owed" not in summary
