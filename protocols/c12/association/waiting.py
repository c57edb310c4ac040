"""Requests that wait for their answers, and what the client has to do at which time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from protocols.c12.association.outstanding import Outstanding
from protocols.c12.titles import ApTitle

WhatT = TypeVar("WhatT")


class WaitingRequests:
    """Requests by the title they went to and their invocation id; its length is their number."""

    __slots__ = ("_by_peer", "_count")

    def __init__(self) -> None:
        self._by_peer: dict[ApTitle, dict[int, Outstanding]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, waiting: Outstanding) -> None:
        """Let a request wait."""
        self._by_peer.setdefault(waiting.peer, {})[waiting.invocation] = waiting
        self._count += 1

    def get(self, peer: ApTitle, invocation: int) -> Outstanding | None:
        """Return a request, or ``None``."""
        return self._by_peer.get(peer, {}).get(invocation)

    def take(self, peer: ApTitle, invocation: int) -> Outstanding | None:
        """Return a request that waits no longer, or ``None``."""
        pending = self._by_peer.get(peer, {})
        waiting = pending.pop(invocation, None)
        if waiting is not None:
            self._count -= 1
            if not pending:
                del self._by_peer[peer]
        return waiting

    def of(self, peer: ApTitle) -> list[Outstanding]:
        """Return what waits for answers of one title."""
        return list(self._by_peer.get(peer, {}).values())

    def numbered(self, invocation: int) -> Iterator[Outstanding]:
        """Return what has this invocation id, to whichever title it went."""
        return (found[invocation] for found in self._by_peer.values() if invocation in found)


class Timers(Generic[WhatT]):
    """Things to be done by time; of those at the same time the first that was noted comes first.

    Whoever asks says whether a thing is still to be done at that time; what is not is passed over.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, WhatT]] = []
        self._order = 0

    def deadline(self, is_due_at: Callable[[WhatT, float], bool]) -> float | None:
        """Return when the next thing is to be done, or ``None``."""
        while self._heap and not is_due_at(self._heap[0][2], self._heap[0][0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def note(self, deadline: float, what: WhatT) -> None:
        """Have something done at that time."""
        self._order += 1
        heapq.heappush(self._heap, (deadline, self._order, what))

    def due(self, now: float, is_due_at: Callable[[WhatT, float], bool]) -> Iterator[WhatT]:
        """Return what is to be done until ``now``, what is noted meanwhile too."""
        while (deadline := self.deadline(is_due_at)) is not None and deadline <= now:
            yield heapq.heappop(self._heap)[2]
