"""All views of a recorded run, made from its record."""

from __future__ import annotations

from pathlib import Path

from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_summary
from reports.recording import RunFiles, RunRecord, write_atomically

__all__ = ["write_views"]


def write_views(run_dir: Path) -> RunRecord:
    """Write ``junit.xml``, ``summary.md`` and ``report.html`` beside the record.

    Each file is replaced in one step. The record is returned, as
    `reports.terminal.print_summary` tells it on a terminal.

    Raises:
        RecordError: a part of the record is malformed.
        FileNotFoundError: ``run_dir`` is no directory.
    """
    record = RunRecord.load(run_dir)
    files = RunFiles(run_dir)
    write_atomically(files.junit, render_junit(record).encode())
    write_atomically(files.summary, render_summary(record).encode())
    write_atomically(files.report, render_html(record).encode())
    return record
