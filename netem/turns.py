"""One queue, served in the order of arrival, that may be told of packets in another order.

Times and lengths are whole numbers of any one unit: nanoseconds, or octets of a delivery trace.
"""

from __future__ import annotations

from bisect import bisect_right


class Turns:
    """The packets that are still to be served, in the order of their arrival."""

    __slots__ = ("_arrivals", "_ends", "_lengths")

    def __init__(self) -> None:
        self._arrivals: list[int] = []
        self._lengths: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def end(self) -> int:
        """Where the last packet ends; there must be one."""
        return self._ends[-1]

    def take(self, arrival: int, length: int, most: int) -> int | None:
        """Queue a packet behind all that arrived before it or with it.

        Returns:
            Where it ends, or None, and it is not queued, where that is further from its arrival
            than ``most``.
        """
        index = bisect_right(self._arrivals, arrival)
        begin = max(arrival, self._ends[index - 1]) if index else arrival
        end = begin + length
        if end - arrival > most:
            return None
        self._arrivals.insert(index, arrival)
        self._lengths.insert(index, length)
        self._ends.insert(index, end)
        self._put_off(index + 1, end)
        return end

    def forget(self, before: int) -> None:
        """Drop the packets that end at ``before`` or earlier, where none arrives any more."""
        count = bisect_right(self._ends, before)
        del self._arrivals[:count], self._lengths[:count], self._ends[:count]

    def _put_off(self, index: int, end: int) -> None:
        """Let the packets from ``index`` on begin no earlier than at ``end``."""
        arrivals, lengths, ends = self._arrivals, self._lengths, self._ends
        while index < len(ends) and arrivals[index] < end:
            end = max(arrivals[index], end) + lengths[index]
            if end == ends[index]:
                return
            ends[index] = end
            index += 1
