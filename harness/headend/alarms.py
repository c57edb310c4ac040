"""What alarms are called and how much they matter, and which alarms have which severity.

Only ANSI C12 meters raise alarms yet; names and severities are those of `protocols.c12.tables`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.tables.events import EVENTS, describe_event
from protocols.c12.tables.status import STATUS_FLAGS, Severity
from protocols.readings import EventSource

_FLAGS: Final = {flag.bit: flag for flag in STATUS_FLAGS}
UNKNOWN_FLAG_SEVERITY: Final = Severity.WARNING
"""What a status bit without a name matters: somebody should look it up."""


@dataclass(frozen=True, slots=True)
class AlarmName:
    """What one kind of alarm is called and how much it matters."""

    name: str
    severity: Severity


def describe_alarm(source: int, code: int) -> AlarmName:
    """Return what the code of an event log, or the number of a status bit, means."""
    if source == EventSource.LOG:
        event = describe_event(code)
        return AlarmName(event.name, event.severity)
    flag = _FLAGS.get(code)
    if flag is None:
        return AlarmName(f"Status bit {code}", UNKNOWN_FLAG_SEVERITY)
    return AlarmName(flag.name, flag.severity)


def source_named(name: str) -> EventSource:
    """Return the source called ``log`` or ``status``. Raises `KeyError`."""
    return EventSource[name.upper()]


def kinds_of(least: Severity) -> tuple[tuple[int, int], ...]:
    """Return the kinds, as (source, code), that have a name and matter at least that much."""
    events = [
        (int(EventSource.LOG), event.code) for event in EVENTS.values() if event.severity >= least
    ]
    flags = [(int(EventSource.STATUS), flag.bit) for flag in STATUS_FLAGS if flag.severity >= least]
    return (*events, *flags)
