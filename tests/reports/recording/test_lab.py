from __future__ import annotations

from pathlib import Path

import pytest

from reports.recording import (
    FaultCount,
    LabRecord,
    LabSample,
    LinkCount,
    ListenCount,
    RecordError,
    RunFiles,
    RunTime,
    TrackingCount,
)

RECORD = LabRecord(
    tier="packet",
    profiles=("seed-1",),
    notes=("it was up to 12 ms late",),
    samples=(
        LabSample(
            at=RunTime(scenario_s=60.0, wall_s=1.5),
            links=(
                LinkCount(
                    category=0,
                    link="seed-1",
                    direction="up",
                    packets=10,
                    octets=1_000,
                    lost=1,
                    limited=0,
                    overflowed=None,
                    backlog=3,
                ),
            ),
            unclassified=0,
            tracking=(
                TrackingCount(
                    side="fleet", count=3, max=100, drop=0, early_drop=0, insert_failed=0
                ),
            ),
            listening=(ListenCount(side="fleet", overflows=0, drops=0, request_queue_full=0),),
            faults=(FaultCount(fault="missed", count=2),),
        ),
    ),
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert LabRecord.load(tmp_path) == RECORD


def test_a_run_without_a_lab_has_no_such_record(tmp_path: Path) -> None:
    assert LabRecord.load(tmp_path) is None


def test_a_record_that_is_none_names_file_and_key(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    path = RunFiles(tmp_path).links
    path.write_text(path.read_text().replace('"packet"', '"pigeon"', 1))
    with pytest.raises(RecordError, match=r"links\.json: tier: "):
        LabRecord.load(tmp_path)
