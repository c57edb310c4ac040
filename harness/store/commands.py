"""One line of the commands journal: what was asked of one meter and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CommandState(StrEnum):
    """Where a command stands. ``SENT`` without an answer is in doubt until it is settled."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a single meter.

    Attributes:
        id: the caller's number of the command, unique in the store, 0..2**63-1.
        meter: meter number.
        kind: what to do (``disconnect``, ``reconnect``, ``switch``, ``tariff``, ``time``).
        parameter: its argument as text, in the form the kind defines; empty if it has none.
        state: where it stands.
        created_at_us: when it was asked for, POSIX microseconds (UTC).
        invocation_counter: counter of the frame that carried the latest attempt.
        sent_at_us: when the latest attempt was handed to the link.
        done_at_us: when its outcome was known.
        attempts: how often it was sent.
        outcome: the device's answer, or why there is none; empty while unknown.
    """

    id: int
    meter: int
    kind: str
    parameter: str
    created_at_us: int
    state: CommandState = CommandState.QUEUED
    invocation_counter: int | None = None
    sent_at_us: int | None = None
    done_at_us: int | None = None
    attempts: int = 0
    outcome: str = ""
