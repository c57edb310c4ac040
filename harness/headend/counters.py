"""Invocation counters of the head-end that survive its death.

What was accepted from a peer is committed with the rows it brought (`Committer`). What the
head-end sends under is reserved in the store in blocks before any of the block is used, so that a
counter is never used twice, however the process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.store.interface import Store
from harness.store.rows import Rows

RESERVED_BLOCK: Final = 65_536


class SendCounters:
    """The counters this shard sends under: one sequence for all its peers.

    ``next`` writes to the store once every 65,536 calls, durably, before it returns.
    """

    def __init__(self, store: Store, own_title: bytes, now_us: Callable[[], int]) -> None:
        self._store = store
        self._title = own_title
        self._now_us = now_us
        self._last = store.counters().get(own_title, 0)
        self._reserved = self._last

    def next(self) -> int:
        """Return a counter never used before. Raises `StoreError` when none can be reserved."""
        if self._last == self._reserved:
            self._reserved += RESERVED_BLOCK
            nothing = Rows.empty(len(self._store.registers))
            self._store.put(nothing, {self._title: self._reserved}, self._now_us())
        self._last += 1
        return self._last


class ContextCounters:
    """The counters of one security context: pushes, or conversations.

    Both contexts send from one sequence, because they share a key, but each remembers by itself
    what it accepted: two connections to one concentrator may overtake each other.
    """

    def __init__(self, sending: SendCounters, accepted: dict[bytes, int], context: bytes) -> None:
        self._sending = sending
        self._context = context
        self._accepted = accepted

    def next(self) -> int:
        """Return the counter to send under."""
        return self._sending.next()

    def name(self, peer: bytes) -> bytes:
        """Return the name under which the store keeps the last counter accepted from ``peer``."""
        return peer + self._context

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from ``peer``."""
        return self._accepted.get(self.name(peer))

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember a counter whose rows are durable (pushes) or that brought none."""
        self._accepted[self.name(peer)] = counter
