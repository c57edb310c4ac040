"""What happened around a moment: events of the run, and lines of its processes' logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from harness.check.recorded import RecordedRun
from harness.explain.story import Moment
from reports.recording import (
    Event,
    FaultBegan,
    FaultEnded,
    FramesRefused,
    GapFilled,
    Note,
    PhaseStarted,
    ProcessDied,
    ProcessRestarted,
    Warned,
)

LINES_MAX: Final = 8
LOG_OCTETS_MAX: Final = 32 * 1024 * 1024
"""Read of one log: the lines beyond are not looked at."""
QUIET: Final = frozenset({"event", "level", "timestamp", "logger"})


@dataclass(frozen=True, slots=True)
class Span:
    """Wall seconds since the run began, from ``start_s`` to ``end_s``."""

    start_s: float
    end_s: float

    def holds(self, at_s: float) -> bool:
        """Tell whether a moment is within."""
        return self.start_s <= at_s <= self.end_s


def moments_of(events: Iterable[Event], span: Span, concentrator: int | None) -> Iterator[Moment]:
    """Yield what the record says happened to the run within a span, and began before and lasted.

    Of a single concentrator's gaps only those of ``concentrator``.
    """
    ended = {event.fault: event.at.wall_s for event in events if isinstance(event, FaultEnded)}
    for event in events:
        at_s = event.at.wall_s
        if isinstance(event, FaultBegan) and at_s < span.start_s < ended.get(event.fault, 0.0):
            yield Moment(at_s, "run", f"{_fault(event)} (went on until {ended[event.fault]:.3f} s)")
        elif span.holds(at_s) and (told := _told(event, concentrator)) is not None:
            yield Moment(at_s, *told)


def _told(event: Event, concentrator: int | None) -> tuple[str, str] | None:
    match event:
        case FaultBegan():
            return "run", _fault(event)
        case FaultEnded():
            return "run", f"{event.fault} is over"
        case ProcessDied():
            killed = " (SIGKILL)" if event.status == -9 else ""
            return event.process, f"died, status {event.status}{killed}"
        case ProcessRestarted():
            return event.process, "is up again"
        case GapFilled() if event.concentrator == concentrator:
            return "head-end", f"fetched {event.readings} missing readings from the buffer"
        case FramesRefused():
            return event.where, f"refused {event.count}: {event.cause}"
        case PhaseStarted() if event.phase == "drain":
            return "run", "the drain begins"
        case Note() | Warned():
            return "run", event.text
    return None


def _fault(event: FaultBegan) -> str:
    return f"{event.fault} begins" + (f": {event.description}" if event.description else "")


def log_lines(run: RecordedRun, span: Span, name: str, number: int) -> list[Moment]:
    """Return the log lines within a span that name a concentrator, or are warnings; the first few.

    Args:
        run: the recorded run.
        span: when.
        name: the concentrator's device name.
        number: its number.
    """
    found = [
        moment
        for path in sorted(run.folder.logs.glob("*.log"))
        for moment in _lines(run, path, span, name, number)
    ]
    return sorted(found, key=lambda moment: moment.at_s)[:LINES_MAX]


def _lines(run: RecordedRun, path: Path, span: Span, name: str, number: int) -> Iterator[Moment]:
    with path.open("rb") as file:
        text = file.read(LOG_OCTETS_MAX).decode("utf-8", "replace")
    for line in text.splitlines():
        fields = _fields(line)
        if fields is None or not (at_s := wall_s(run, fields["timestamp"])):
            continue
        is_mine = name in line or fields.get("concentrator") == number
        is_loud = fields.get("level") not in (None, "info", "debug")
        if span.holds(at_s) and (is_mine or is_loud):
            more = ", ".join(f"{key} {value}" for key, value in fields.items() if key not in QUIET)
            what = f"{fields.get('event', '')}" + (f" ({more})" if more else "")
            yield Moment(at_s, f"{path.stem} log", what)


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "timestamp" in fields else None


def wall_s(run: RecordedRun, timestamp: str) -> float:
    """Return the wall seconds since the run began at an ISO 8601 time; 0 where it is none."""
    try:
        posix_s = datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0
    return posix_s - run.facts.realtime_offset_s - run.facts.began_s


def since_began_s(run: RecordedRun, posix_us: float) -> float:
    """Return the wall seconds since the run began at a time in POSIX microseconds."""
    return posix_us / 1e6 - run.facts.realtime_offset_s - run.facts.began_s
