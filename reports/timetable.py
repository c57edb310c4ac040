"""What happened in a run, told in lines; what happens often is told once, with its count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
    RunRecord,
    RunTime,
)
from reports.text import counted

__all__ = ["Happening", "happenings"]

LINES_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: when, what, and whether it is bad news."""

    at: RunTime
    text: str
    bad: bool = False


def happenings(record: RunRecord) -> tuple[Happening, ...]:
    """Return at most some dozen lines in order of time, those of bad news before any other."""
    lines = [line for event in record.events for line in _tell(event)]
    lines += _gaps(record)
    if len(lines) > LINES_MAX:
        lines = sorted(lines, key=lambda line: not line.bad)[:LINES_MAX]
    return tuple(sorted(lines, key=lambda line: line.at.wall_s))


def _tell(event: Event) -> Iterator[Happening]:
    match event:
        case PhaseStarted():
            yield Happening(event.at, f"Phase: {event.phase}")
        case FaultBegan():
            detail = f" ({event.description})" if event.description else ""
            yield Happening(event.at, f"Fault begins: {event.fault}{detail}")
        case FaultEnded():
            yield Happening(event.at, f"Fault ends: {event.fault}")
        case ProcessDied():
            yield Happening(event.at, f"Process {event.process} died{_how(event)}", bad=True)
        case ProcessRestarted():
            yield Happening(event.at, f"Process {event.process} is up again")
        case FramesRefused():
            refused = counted(event.count, "frame")
            yield Happening(event.at, f"{event.where} refused {refused}: {event.cause}", bad=True)
        case Note():
            yield Happening(event.at, event.text)


def _how(event: ProcessDied) -> str:
    if event.status is None:
        return ""
    return f" (signal {-event.status})" if event.status < 0 else f" (status {event.status})"


def _gaps(record: RunRecord) -> list[Happening]:
    gaps = [event for event in record.events if isinstance(event, GapFilled)]
    if not gaps:
        return []
    readings = counted(sum(gap.readings for gap in gaps), "reading")
    places = counted(len({gap.concentrator for gap in gaps}), "concentrator")
    text = f"Gap filling begins: in all {readings} fetched from {places}"
    return [Happening(gaps[0].at, text)]
