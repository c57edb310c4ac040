"""One line of the commands journal: what was asked of one meter and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from typing import Any, Final


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


_FIELDS: Final = tuple(field.name for field in fields(Command))

COMMAND_COLUMNS: Final = tuple(name.removesuffix("_us") for name in _FIELDS)
"""Columns of the table ``commands``, in the order of the fields."""


def command_row(command: Command) -> tuple[object, ...]:
    """Return the command as values for `COMMAND_COLUMNS`."""
    return astuple(command)


def command_of(row: Sequence[Any]) -> Command:
    """Return the command that a row of `COMMAND_COLUMNS` holds."""
    values = dict(zip(_FIELDS, row, strict=True))
    return Command(**values | {"state": CommandState(values["state"])})
