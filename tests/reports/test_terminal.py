"""The summary on a terminal, and where there is none."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from reports.recording import RunRecord, Verdict
from reports.terminal import print_summary
from tests.support.canned import (
    ansi_verdict,
    failed_verdict,
    inconclusive_verdict,
    record_run,
    systems_verdict,
)


def _printed(tmp_path: Path, verdict: Verdict | None, *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, color_system="truecolor")
    if not terminal:
        console = Console(file=out, width=100)
    print_summary(RunRecord.load(record_run(tmp_path, verdict)), console)
    return out.getvalue()


def test_a_person_sees_verdict_account_checks_and_where_to_look(tmp_path: Path) -> None:
    printed = _printed(tmp_path, failed_verdict())
    lines = [line.split() for line in printed.splitlines()]
    assert ["FAILED", "head-end", "killed", "under", "load"] in lines
    assert any(line[:3] == ["lost", "412", "0.206"] for line in lines)
    assert ["readings.lost", "412", "==", "0", "FAILED"] in lines
    assert str(tmp_path / "report.html") in printed.replace("\n", "")


def test_alarms_and_registrations_are_a_line_each(tmp_path: Path) -> None:
    printed = " ".join(_printed(tmp_path, ansi_verdict()).split())
    assert "alarms 7,350 alarms owed, all of them stored as their meters noted them" in printed
    assert "(stored: 35 critical, 700 alarm, 3,300 warning, 3,315 info)" in printed
    assert "registrations 71,000 nodes registered, 21,300 registrations expired" in printed
    assert "21,300 nodes back 9.72 s after outage 1" in printed
    assert "after outage 2 7,099 of 7,100 nodes came back" in printed
    assert "nodes registered" not in _printed(tmp_path / "dlms", failed_verdict())


def test_each_system_beside_the_head_end_is_a_line(tmp_path: Path) -> None:
    printed = " ".join(_printed(tmp_path, systems_verdict()).split())
    assert "batteries 200 batteries, 34 virtual ones commanded: 72 of 80" in printed
    assert "bills 1,000 bills due for 2026-10, 2 wrong, 1 missing; made in 1.34 s" in printed
    assert "battery status (bal.status) 2 s 3 s 4 s 5 s 6 s" in printed
    assert "batteries" not in _printed(tmp_path / "dlms", failed_verdict())


def test_without_a_terminal_there_is_no_colour(tmp_path: Path) -> None:
    assert "\x1b" not in _printed(tmp_path, failed_verdict())


def test_on_a_terminal_there_is(tmp_path: Path) -> None:
    assert "\x1b[" in _printed(tmp_path, failed_verdict(), terminal=True)


def test_an_undecided_check_is_called_unknown(tmp_path: Path) -> None:
    printed = _printed(tmp_path, inconclusive_verdict())
    assert "unknown" in printed
    assert "what to distrust" in printed


def test_a_run_cut_short_says_so(tmp_path: Path) -> None:
    printed = _printed(tmp_path, None)
    assert "INCONCLUSIVE" in printed
    assert "readings  " not in printed
