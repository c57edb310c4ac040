"""How far a process that fills a store is: one number in a file, for whoever started it."""

from __future__ import annotations

from pathlib import Path

from reports.recording import write_atomically


def write_written(file: Path, readings: int) -> None:
    """Say how many readings are written. Raises `OSError`."""
    write_atomically(file, f"{readings}\n".encode())


def read_written(file: Path) -> int:
    """Return what was last said; 0 before anything was. Raises `OSError`."""
    try:
        return int(file.read_text())
    except FileNotFoundError:
        return 0
