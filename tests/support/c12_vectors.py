"""The vectors of a C12.22 node in a test: handed out and remembered in memory."""

from __future__ import annotations


class SendVectors:
    """Hands out vectors: the time, or the one after the last, which was ``last``."""

    def __init__(self, last: int = 0) -> None:
        self._last = last

    def take(self, now_s: int) -> int:
        self._last = max(self._last + 1, now_s)
        return self._last


class VectorMemory:
    """Vectors accepted, by the sender's title."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def last_accepted(self, peer: bytes) -> int | None:
        return self._last.get(peer)

    def accept(self, peer: bytes, counter: int) -> None:
        self._last[peer] = counter
