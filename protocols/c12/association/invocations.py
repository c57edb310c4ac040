"""Invocation ids: whether one was seen, in a session whose messages share one vector."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 64


class InvocationWindow:
    """Knows which of the last `WINDOW` invocation ids were seen; older ones count as seen.

    Pipelined messages may overtake each other by that many.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def is_new(self, invocation: int) -> bool:
        """Return whether ``invocation`` was not seen and is not too old to know."""
        age = self._highest - invocation
        return age < 0 or (age < WINDOW and not self._seen >> age & 1)

    def mark(self, invocation: int) -> None:
        """Remember ``invocation``."""
        age = self._highest - invocation
        if age < 0:
            self._seen = (self._seen << min(-age, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self._highest = invocation
        elif age < WINDOW:
            self._seen |= 1 << age
