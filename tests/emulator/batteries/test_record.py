"""The file of a process: what survives, and what is not taken for it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from emulator.batteries.record import BatteryRecord, RecordError, Refused, read_record

ENTRY = Refused(1, "current", 99, 5, "over the limits")


def test_a_file_is_continued(tmp_path: Path) -> None:
    for _ in range(2):
        record = BatteryRecord(tmp_path / "r.ndjson")
        record.write(ENTRY, ENTRY)
        record.close()
    assert list(read_record(tmp_path / "r.ndjson")) == [ENTRY] * 4


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    record = BatteryRecord(path)
    record.write(ENTRY, ENTRY)
    record.close()
    path.write_bytes(path.read_bytes()[:-9])
    assert list(read_record(path)) == [ENTRY]


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"is":"dance"}', '{"is":"refused"}', '{"is":"ended","changed":1}']
)
def test_a_foreign_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.ndjson"
    path.write_text(line + "\n")
    with pytest.raises(RecordError, match=r"r\.ndjson, line 1"):
        list(read_record(path))


def test_what_does_not_fit_is_not_half_written() -> None:
    record = BatteryRecord(Path("/dev/full"))
    with closing(record), pytest.raises(OSError, match="No space left"):
        record.write(ENTRY)
