"""A file that is only ever added to."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import pytest

from emulator.append_log import AppendLog


class HalfFull(FileIO):
    """A file on a disk that has room for half of what is written."""

    def write(self, octets: bytes, /) -> int:  # type: ignore[override]
        return super().write(octets[: len(octets) // 2])


def test_a_file_is_continued(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        log = AppendLog(tmp_path / "log")
        log.append(line)
        log.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_half_a_line_is_taken_back(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log")
    log.append(b"one\n")
    whole = log._file
    with HalfFull(tmp_path / "log", "ab") as log._file, pytest.raises(OSError, match="No space"):
        log.append(b"two\n")
    log._file = whole
    log.append(b"three\n")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"one\nthree\n"
