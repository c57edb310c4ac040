"""What clients asked, answered, refused and failed: counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.check.operations import (
    operation_failures,
    operation_figures,
    operation_measurements,
    operation_notes,
)
from harness.check.recorded import RecordedRun
from harness.load.clients.config import CONFIG_NAME, ClientsConfig, Operation, System
from harness.load.clients.summary import LOAD_FOLDER, summary_path
from reports.recording import FailureCause, OperationFigures
from tests.support.recorded_run import RecordedFolder


def run_of(folder: Path, *counts: dict[str, int], **begins_s: float) -> RecordedRun:
    run = RecordedFolder(folder)
    operations = tuple(
        Operation(
            name=name,
            kind="bal-status",
            system="bal",
            rate_per_s=1,
            subjects=("a",),
            begins_s=begins_s.get(name, 0.0),
        )
        for name in ("read", "write")
    )
    config = ClientsConfig(
        seed=1,
        clients=max(1, len(counts)),
        span_s=10.0,
        systems={"bal": System(url="http://127.0.0.1:1")},
        operations=operations,
    )
    (run.path / LOAD_FOLDER).mkdir(exist_ok=True)
    (run.path / LOAD_FOLDER / CONFIG_NAME).write_text(config.model_dump_json())
    for client, told in enumerate(counts):
        summary: dict[str, Any] = {"lag_s_max": 0.0, "counts": told, "latencies": []}
        summary_path(run.path, client).write_text(json.dumps(summary))
    return RecordedRun.open(run.path)


def test_clients_are_added_up_and_refusals_are_no_failures(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        {"read.answered": 3, "read.failed": 2, "read.failed: answered 422": 2},
        {
            "read.answered": 4,
            "read.failed": 6,
            "read.failed: answered 404": 1,
            "read.failed: answered 429": 1,
            "read.failed: answered 408": 1,
            "read.failed: answered 503": 1,
            "read.failed: no answer in time": 2,
            "write.answered": 5,
        },
        write=7.5,
    )
    read, write = operation_figures(run)
    assert read == OperationFigures(
        name="read", system="bal", asked=15, answered=7, refused=3, failed=5, lasted_s=10.0
    )
    assert (write.asked, write.answered, write.failed) == (5, 5, 0)
    assert (read.answered_per_s, write.answered_per_s) == (0.7, 2.0)
    assert operation_measurements([read, write]) == {
        "read.asked": 15,
        "read.refused": 3,
        "read.failed": 5,
        "write.asked": 5,
        "write.refused": 0,
        "write.failed": 0,
    }
    (note,) = operation_notes([read, write])
    assert note.startswith("5 of 15 requests (read) failed")


def test_every_cause_is_told_with_its_count(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        {"read.failed": 2, "read.failed: answered 503": 2},
        {"read.failed": 1, "read.failed: answered 503": 1},
    )
    assert list(operation_failures(run)) == [
        FailureCause(cause="read.failed: answered 503", where="clients", count=3)
    ]


def test_clients_that_said_nothing_asked_nothing(tmp_path: Path) -> None:
    read, _ = operation_figures(run_of(tmp_path))
    assert (read.asked, read.answered_per_s) == (0, 0.0)


def test_a_run_without_clients_has_no_operations(tmp_path: Path) -> None:
    run = RecordedRun.open(RecordedFolder(tmp_path).path)
    assert operation_figures(run) == ()
    assert list(operation_failures(run)) == []
