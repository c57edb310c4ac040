"""Reading a recorded run back."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import zstandard
from pydantic import ValidationError

from reports.recording.errors import RecordError, explain
from reports.recording.events import RECORD_VERSION, Event, RunStarted, parse_event
from reports.recording.files import RunFiles
from reports.recording.latency import LatencyInterval, read_intervals
from reports.recording.series import Series, read_series
from reports.recording.verdict import Verdict, load_verdict

__all__ = ["RunRecord"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that was recorded of a run. A run cut short lacks parts; ``missing`` names their files.

    ``resolved`` holds JSON values only; ``scenario_text`` is the scenario file as given.
    """

    directory: Path
    verdict: Verdict | None
    scenario_text: str
    resolved: dict[str, Any]
    events: tuple[Event, ...]
    latency: tuple[LatencyInterval, ...]
    series: tuple[Series, ...]
    missing: tuple[str, ...]

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Read the record in ``run_dir``.

        A missing file, an event log without its end and a half-written last line are what a
        crash leaves and are accepted. Anything else out of shape is not.

        Raises:
            RecordError: a part is malformed; the message names file and line.
            FileNotFoundError: ``run_dir`` is no directory.
        """
        if not run_dir.is_dir():
            raise FileNotFoundError(f"{run_dir}: no such run")
        files = RunFiles(run_dir)
        there = {path for path in files.record if path.is_file()}
        return cls(
            directory=run_dir,
            verdict=load_verdict(files.verdict) if files.verdict in there else None,
            scenario_text=_read_text(files.scenario) if files.scenario in there else "",
            resolved=_read_object(files.resolved) if files.resolved in there else {},
            events=_read_events(files.events) if files.events in there else (),
            latency=read_intervals(files.latency) if files.latency in there else (),
            series=read_series(files.metrics) if files.metrics in there else (),
            missing=tuple(path.name for path in files.record if path not in there),
        )

    @property
    def started(self) -> RunStarted | None:
        """The event that opened the run, if it was recorded."""
        return next((event for event in self.events if isinstance(event, RunStarted)), None)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(str(error), path=path) from None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise RecordError(error.msg, path=path, line=error.lineno) from None
    if not isinstance(value, dict):
        raise RecordError("not a JSON object", path=path)
    return value


def _read_events(path: Path) -> tuple[Event, ...]:
    lines = _decompress(path).split(b"\n")[:-1]  # what follows the last newline was cut short
    return tuple(_parse_line(line, path, number) for number, line in enumerate(lines, 1))


def _decompress(path: Path) -> bytes:
    """Return as much of the compressed file as there is."""
    out = io.BytesIO()
    try:
        with path.open("rb") as file:
            for chunk in zstandard.ZstdDecompressor().read_to_iter(file):
                out.write(chunk)
    except zstandard.ZstdError as error:
        raise RecordError(str(error), path=path) from None
    return out.getvalue()


def _parse_line(line: bytes, path: Path, number: int) -> Event:
    try:
        event = parse_event(line)
    except ValidationError as error:
        raise RecordError(explain(error), path=path, line=number) from None
    if isinstance(event, RunStarted) and event.record_version != RECORD_VERSION:
        message = f"record version {event.record_version}, this reader knows {RECORD_VERSION}"
        raise RecordError(message, path=path, line=number)
    return event
