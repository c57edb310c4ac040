"""What is to be looked at when: moments by name, the earliest first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping


class Agenda:
    """Moments at which batteries want to be looked at; each keeps its earliest one only."""

    __slots__ = ("_moments", "_planned")

    def __init__(self, planned: Mapping[str, int] | None = None) -> None:
        self._moments: list[tuple[int, str]] = []
        self._planned: dict[str, int] = {}
        for name, at_ms in (planned or {}).items():
            self.plan(name, at_ms)

    @property
    def planned(self) -> dict[str, int]:
        """The moments by name; what an agenda is made from again."""
        return dict(self._planned)

    def plan(self, name: str, at_ms: int) -> None:
        """Look at ``name`` at ``at_ms``; where that is planned earlier, it stays so."""
        if name not in self._planned or at_ms < self._planned[name]:
            self._planned[name] = at_ms
            heapq.heappush(self._moments, (at_ms, name))

    def next_ms(self) -> int | None:
        """Return the earliest moment; None when nothing is planned."""
        while self._moments and self._planned.get(self._moments[0][1]) != self._moments[0][0]:
            heapq.heappop(self._moments)
        return self._moments[0][0] if self._moments else None

    def take(self, at_ms: int) -> list[str]:
        """Take out the names planned for exactly ``at_ms``, which is `next_ms`."""
        names = []
        while self.next_ms() == at_ms:
            _, name = heapq.heappop(self._moments)
            del self._planned[name]
            names.append(name)
        return names
