"""The packet rate of connections: one `Lane` of the link model for each, in a table of bounds."""

from __future__ import annotations

from typing import Final

from netem.model.delay import NANOSECONDS
from netem.model.path import Lane

FLOWS_MOST: Final = 131_072
"""Connections remembered in each direction."""
SWEEP_NS: Final = NANOSECONDS
"""A full table is searched for idle connections no more often than this."""


class FlowTable:
    """The connections of one direction that a packet rate limits.

    A connection that has been idle long enough to have its whole burst back is as good as a new
    one, so a full table forgets these first, which changes nothing. Where none is idle it forgets
    the oldest, which then gets a burst that was not due to it; that is counted.
    """

    def __init__(self, most: int = FLOWS_MOST) -> None:
        self._most = most
        self._lanes: dict[bytes, Lane] = {}
        self._swept_ns = -SWEEP_NS
        self.forgotten = 0
        """Connections forgotten while they were limited."""

    def __len__(self) -> int:
        """Return how many connections are remembered."""
        return len(self._lanes)

    def lane(self, connection: bytes, now_ns: int) -> Lane:
        """Return the lane of ``connection``; the same one as long as it matters."""
        lane = self._lanes.get(connection)
        if lane is None:
            if len(self._lanes) >= self._most:
                self._make_room(now_ns)
            lane = self._lanes[connection] = Lane()
        return lane

    def _make_room(self, now_ns: int) -> None:
        if now_ns >= self._swept_ns + SWEEP_NS:
            self._swept_ns = now_ns
            idle = [name for name, lane in self._lanes.items() if lane.next_ns <= now_ns]
            for name in idle:
                del self._lanes[name]
        if len(self._lanes) >= self._most:
            oldest = next(iter(self._lanes))
            self.forgotten += self._lanes.pop(oldest).next_ns > now_ns
