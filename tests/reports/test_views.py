"""All views at once, from the record alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reports.recording import RecordError
from reports.views import write_views
from tests.support.canned import failed_verdict, record_run


def test_all_views_are_written_beside_the_record(tmp_path: Path) -> None:
    record = write_views(record_run(tmp_path, failed_verdict()))
    assert record.verdict == failed_verdict()
    assert ET.parse(tmp_path / "junit.xml").getroot().tag == "testsuites"
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("## ❌ Failed")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not list(tmp_path.glob("*.unfinished"))


def test_making_them_again_changes_nothing(tmp_path: Path) -> None:
    write_views(record_run(tmp_path, failed_verdict()))
    names = ("junit.xml", "summary.md", "report.html")
    first = [(tmp_path / name).read_bytes() for name in names]
    write_views(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in names] == first


def test_a_run_of_nothing_still_gives_views(tmp_path: Path) -> None:
    write_views(tmp_path)
    assert "Inconclusive" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_damaged_record_writes_no_view(tmp_path: Path) -> None:
    record_run(tmp_path, failed_verdict())
    (tmp_path / "verdict.json").write_text("{}")
    with pytest.raises(RecordError):
        write_views(tmp_path)
    assert not (tmp_path / "report.html").exists()
