"""The kinds of request there are: what is asked of a system, by the draw of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from harness.load.clients.arrivals import Arrival
from harness.load.clients.config import Operation

_SUBJECT_BITS: Final = 32
_HALF: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a system.

    Attributes:
        subject: whom it is about.
        command: the name under which it must be executed once, however often it is sent; None
            where it only reads.
    """

    method: str
    path: str
    subject: str
    body: Mapping[str, Any] | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A request that reads: ``path`` has ``{subject}``, and whatever details the scenario gives."""

    path: str

    def __call__(self, operation: Operation, arrival: Arrival) -> Request:
        subject = _subject(operation, arrival)
        path = self.path.format(subject=quote(subject, safe=""), **operation.details)
        return Request("GET", path, subject)


@dataclass(frozen=True, slots=True)
class _Commanding:
    """A request that changes something: ``body`` makes what it says besides its name."""

    path: str
    body: Callable[[Operation, Arrival], Mapping[str, Any]] = field(default=lambda *_: {})

    def __call__(self, operation: Operation, arrival: Arrival) -> Request:
        subject = _subject(operation, arrival)
        command = f"{operation.name.replace(' ', '-')}-{arrival.number}"
        return Request(
            "POST",
            self.path.format(subject=quote(subject, safe=""), **operation.details),
            subject,
            {"id": command, **self.body(operation, arrival)},
            command,
        )


def _current(operation: Operation, arrival: Arrival) -> Mapping[str, Any]:
    """Draw a current from -``current_ma`` to ``current_ma``: positive is discharge."""
    most_ma = int(operation.details["current_ma"])
    return {"current_ma": ((2 * most_ma + 1) * (arrival.draw & _HALF) >> 32) - most_ma}


KINDS: Final[Mapping[str, Callable[[Operation, Arrival], Request]]] = {
    "bal-status": _Reading("/batteries/{subject}"),
    "bal-flows": _Reading("/batteries/{subject}/flows"),
    "bal-current": _Commanding("/batteries/{subject}/current", _current),
    "bill": _Reading("/bills/{subject}/{month}"),
    "statistics": _Reading("/statistics?meter={subject}&day={day}"),
    "export": _Reading("/export?what={subject}"),
}
"""What `Operation.kind` may say."""
SNAPSHOT: Final = "bal-status"
"""The kind whose answers are noted, as far as there is room."""


def request_of(operation: Operation, arrival: Arrival) -> Request:
    """Return the request that ``arrival`` is for. Raises `KeyError` for a detail that lacks."""
    return KINDS[operation.kind](operation, arrival)


def _subject(operation: Operation, arrival: Arrival) -> str:
    place = (arrival.draw >> _SUBJECT_BITS) * len(operation.subjects) >> 32
    return operation.subjects[place]
