"""What goes wrong when a recorded run is read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

__all__ = ["RecordError", "explain"]


class RecordError(Exception):
    """A recorded file that is there but is not what it should be.

    Attributes:
        path: The file.
        line: Line number from 1, where the file has lines.
    """

    def __init__(self, message: str, *, path: Path, line: int | None = None) -> None:
        where = str(path) if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {message}")
        self.path = path
        self.line = line


def explain(error: ValidationError) -> str:
    """Say in one line which key is wrong and why."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole value"
    more = error.error_count() - 1
    return f"{key}: {first['msg']}" + (f" (and {more} more)" if more else "")
