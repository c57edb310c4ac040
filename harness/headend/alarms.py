"""What alarms are called and how much they matter, and how a shard tells of them.

Only ANSI C12 meters raise alarms yet; names and severities are those of `protocols.c12.tables`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import trio

from harness.store.interface import AlarmFilter, Store
from protocols.c12.tables.events import EVENTS, UNKNOWN_SEVERITY, describe_event
from protocols.c12.tables.status import STATUS_FLAGS, Severity
from protocols.framing import Message
from protocols.readings import EventSource

_FLAGS: Final = {flag.bit: flag for flag in STATUS_FLAGS}
ALARMS_MAX: Final = 10_000
"""Alarms in one answer."""
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


def kinds_below(severity: Severity) -> tuple[tuple[int, int], ...]:
    """Return the kinds, as (source, code), that have a name and matter less than ``severity``."""
    return tuple(kind for kind, named in _NAMED.items() if named.severity < severity)


def kinds_from(severity: Severity) -> tuple[tuple[int, int], ...]:
    """Return the kinds, as (source, code), that have a name and matter at least that much."""
    return tuple(kind for kind, named in _NAMED.items() if named.severity >= severity)


def at_least(wanted: AlarmFilter, severity: Severity) -> AlarmFilter:
    """Return ``wanted``, narrowed to what matters at least that much, nameless kinds included."""
    if severity <= min(UNKNOWN_SEVERITY, UNKNOWN_FLAG_SEVERITY):
        return replace(wanted, but=kinds_below(severity))
    return replace(wanted, among=kinds_from(severity))


async def tell_alarms(store: Store, question: Message) -> dict[str, Any]:
    """Answer ``alarms`` of the control socket: columns of the first ``count`` wanted alarms.

    ``question`` has ``from_s``, ``to_s`` and ``count``, and the other fields of `AlarmFilter` as
    far as they are wanted, ``severity`` (a number) in place of ``among`` and ``but``.

    Raises:
        StoreError: the store failed.
        KeyError, TypeError, ValueError: no such question.
    """
    count = int(question["count"])
    if not 0 < count <= ALARMS_MAX:
        raise ValueError(f"count must be 1 to {ALARMS_MAX}")
    severity = Severity(question.get("severity", Severity.INFO))
    read = partial(store.alarms, at_least(_wanted(question), severity), count)
    stored = await trio.to_thread.run_sync(read)
    columns = {name: getattr(stored.alarms, name).tolist() for name in stored.alarms.TYPES}
    return columns | {"stored_at_us": stored.stored_at_us.tolist()}


def _wanted(question: Message) -> AlarmFilter:
    after = question.get("after")
    return AlarmFilter(
        from_s=int(question["from_s"]),
        to_s=int(question["to_s"]),
        meter=_number(question.get("meter")),
        source=_number(question.get("source")),
        code=_number(question.get("code")),
        after=None if after is None else _place(*map(int, after)),
    )


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _place(
    raised_at_s: int, meter: int, source: int, code: int, sequence: int
) -> tuple[int, int, int, int, int]:
    return raised_at_s, meter, source, code, sequence


_NAMED: Final[dict[tuple[int, int], AlarmName]] = {
    kind: describe_alarm(*kind)
    for kind in (
        *((int(EventSource.LOG), code) for code in EVENTS),
        *((int(EventSource.STATUS), bit) for bit in _FLAGS),
    )
}
