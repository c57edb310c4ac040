"""What `Verdict` says of alarms and of the registrations of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ConfigDict

__all__ = ["AlarmKind", "Alarms", "Registrations", "Severity", "Storm"]

Severity = Literal["info", "warning", "alarm", "critical"]

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """The alarms of one kind.

    ``source`` says whether ``code`` is that of an entry of the meter's event log or the number of a
    status bit. ``first_s`` and ``last_s``, POSIX seconds (UTC), are when meters noted the first and
    the last that was raised or stored.
    """

    __pydantic_config__ = _STRICT

    source: Literal["log", "status"]
    code: int
    name: str
    severity: Severity
    owed: int
    stored: int
    first_s: int | None = None
    last_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """The account of all alarms. An alarm is owed exactly when the reading of its interval is.

    The words mean what they mean in `Readings`: ``owed`` splits into correct, wrong, lost and
    unattempted. ``kinds`` are sorted by severity, worst first.
    """

    __pydantic_config__ = _STRICT

    owed: int = 0
    deferred: int = 0
    unattempted: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    correct: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    invented: int = 0
    conflicts: int = 0
    lost_acknowledged: int = 0
    kinds: tuple[AlarmKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How the nodes that an outage cut off came back.

    ``began_s`` and ``ended_s`` are when the outage did, wall seconds of the run. ``nodes`` were
    registered when it began, and cut off; ``again`` of them registered after it, before the next
    outage that cut them off. ``half_s``, ``most_s`` and ``last_s``: wall seconds from its end until
    half, 99 % and the last of ``nodes`` had; None where that many never did.
    """

    __pydantic_config__ = _STRICT

    number: int
    began_s: float
    ended_s: float
    nodes: int
    again: int
    half_s: float | None = None
    most_s: float | None = None
    last_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """What happened to the registrations of nodes at the head-end.

    ``nodes`` ever registered. The counts of what happened to them follow: ``registered`` anew,
    ``renewed`` before they ended, ``deregistered``, ``expired``. ``refused``: registrations the
    head-end refused, mostly for its rate; ``retried``: registrations that nodes sent again.
    """

    __pydantic_config__ = _STRICT

    nodes: int = 0
    registered: int = 0
    renewed: int = 0
    deregistered: int = 0
    expired: int = 0
    refused: int = 0
    retried: int = 0
    storms: tuple[Storm, ...] = ()
