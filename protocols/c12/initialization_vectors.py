"""Initialization vectors: never sent twice under one key, and how a receiver takes them.

A vector is the time of sending, UTC in seconds (u32). Who hands them out and who remembers what
was accepted is outside: both must outlive a process, or a restart repeats vectors.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

from protocols.errors import RemoteProtocolError

WINDOW_S: Final = 15 * 60


class ReplayRule(StrEnum):
    """Which vectors a receiver takes.

    ``STRICT``: greater than the last one accepted from that sender. The safe one, and the default;
    a sender that repeats vectors, as one known server does, or messages that overtake each other
    need another. ``WINDOW``: within 15 minutes of our clock, without memory, so a message can be
    replayed for as long. ``OFF``: all.
    """

    STRICT = "strict"
    WINDOW = "window"
    OFF = "off"


class ReplayError(RemoteProtocolError):
    """A vector that the rule does not take: repeated, overtaken, or sent at another time.

    ``received`` is the vector that came; ``lowest`` the least that would have done.
    """

    def __init__(self, received: int, lowest: int) -> None:
        super().__init__(f"initialization vector {received}, {lowest} or more expected")
        self.received = received
        self.lowest = lowest


class AcceptedVectors(Protocol):
    """What was accepted, by sender; `protocols.plugin.Counters` is one."""

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last vector accepted from ``peer``, its absolute title's octets."""
        ...

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        ...


class SendsVectors(Protocol):
    """Hands out vectors for one key and sender, each once."""

    def take(self, now_s: int) -> int:
        """Return a vector greater than every one before, and not before ``now_s``."""
        ...


def check_vector(
    vector: int, rule: ReplayRule, *, last: int | None, now_s: int, window_s: int = WINDOW_S
) -> None:
    """Return if ``rule`` takes ``vector``, after ``last`` and at ``now_s``; else `ReplayError`."""
    match rule:
        case ReplayRule.STRICT:
            if last is not None and vector <= last:
                raise ReplayError(vector, last + 1)
        case ReplayRule.WINDOW:
            if not now_s - window_s <= vector <= now_s + window_s:
                raise ReplayError(vector, now_s - window_s)
        case ReplayRule.OFF:
            pass
