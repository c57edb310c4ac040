"""Scripted conversations with a sans-IO session.

A playbook lists what happens (``>>``) and everything the session does about it (``<<``). Anything
the session does that the script leaves out is a failure.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


class Session(Protocol):
    """What a playbook can play with: a server's or a client's session."""

    def receive_data(self, data: bytes, now: float) -> None: ...
    def receive_eof(self) -> None: ...
    def handle_deadline(self, now: float) -> None: ...
    def next_event(self) -> object | None: ...
    def data_to_send(self) -> bytes: ...


@dataclass(frozen=True)
class At:
    """>> the clock reads ``time``."""

    time: float


@dataclass(frozen=True)
class Receive:
    """>> these octets arrive."""

    data: bytes


@dataclass(frozen=True)
class Eof:
    """>> the peer closes the transport."""


@dataclass(frozen=True)
class Do:
    """>> our side does this, at the time it is given."""

    what: str
    action: Callable[[float], None] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Reports:
    """<< the session hands up this event."""

    event: object


@dataclass(frozen=True)
class Sends:
    """<< the session wants these octets sent."""

    data: bytes


Step: TypeAlias = At | Receive | Eof | Do | Reports | Sends


def play(session: Session, *script: Step) -> None:
    """Run ``script`` against ``session`` and compare the whole transcript."""
    actual: list[Step] = []
    now = 0.0
    for step in script:
        match step:
            case At(time):
                now = time
                session.handle_deadline(now)
            case Receive(data):
                session.receive_data(data, now)
            case Eof():
                session.receive_eof()
            case Do(_, action):
                action(now)
            case Reports() | Sends():
                continue
        actual.append(step)
        while (event := session.next_event()) is not None:
            actual.append(Reports(event))
        while data := session.data_to_send():
            actual.append(Sends(data))
    if actual != list(script):
        diff = difflib.ndiff([str(s) for s in script], [str(s) for s in actual])
        raise AssertionError("playbook mismatch\n" + "\n".join(diff))
