"""Invocation counters of the head-end that survive its death.

What was accepted from a peer is committed with the rows it brought (`Committer`). What the
head-end sends under is reserved in the store in blocks before any of the block is used, so that a
counter is never used twice, however the process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from harness.headend.committer import Committer, Submission
from harness.store.interface import Store
from harness.store.rows import Rows
from protocols.errors import LocalProtocolError

RESERVED_BLOCK: Final = 65_536
RESERVED_SECONDS: Final = 60
"""Every short life puts the next one so much further ahead of the clock; peers bear 15 minutes."""
RENEWED_AFTER_S: Final = 15.0
STAMPS_CONTEXT: Final = b"/stamps"


class CountersUsedUpError(LocalProtocolError):
    """Every reserved counter was used before the store reserved more: it is away, or too slow."""


class SendCounters:
    """The counters this shard sends under: one sequence for all its peers.

    Making one reserves a block in the store, durably. `keep_reserve` reserves the next before half
    of it is used, so `next` never waits for the store.

    Raises:
        StoreError: nothing can be reserved.
    """

    def __init__(self, store: Store, own_title: bytes, now_us: Callable[[], int]) -> None:
        self._title = own_title
        self._nothing = Rows.empty(len(store.registers))
        self._last = store.counters().get(own_title, 0)
        self._reserved = self._last + RESERVED_BLOCK
        self._low = trio.Event()
        store.put(self._nothing, {own_title: self._reserved}, now_us())

    def next(self) -> int:
        """Return a counter never used before. Raises `CountersUsedUpError`."""
        if self._last >= self._reserved:
            raise CountersUsedUpError(f"all counters up to {self._reserved} are used")
        self._last += 1
        if self._reserved - self._last < RESERVED_BLOCK // 2:
            self._low.set()
        return self._last

    async def keep_reserve(self, committer: Committer) -> None:
        """Reserve block after block until cancelled; a block counts once it is durable."""
        while True:
            await self._low.wait()
            self._low = trio.Event()
            reserved = self._reserved + RESERVED_BLOCK
            await committer.submit(Submission(self._nothing, {self._title: reserved}))
            self._reserved = reserved


class SendStamps:
    """The POSIX seconds this shard sends under (C12.22's initialization vectors), by peer.

    A peer may be asked more often than once a second, so stamps run ahead of the clock. What may
    be given out is reserved in the store before, and the next life begins beyond it: no stamp is
    given to a peer twice. The reserve is short, because peers refuse stamps of another time; it is
    renewed in time, used or not.

    Raises:
        StoreError: nothing can be reserved.
    """

    def __init__(self, store: Store, own_title: bytes, now_us: Callable[[], int]) -> None:
        self._name = own_title + STAMPS_CONTEXT
        self._now_us = now_us
        self._nothing = Rows.empty(len(store.registers))
        self._floor = store.counters().get(self._name, 0)
        self._last: dict[bytes, int] = {}
        self._highest = self._floor
        self._reserved = self._next_reserve()
        self._low = trio.Event()
        store.put(self._nothing, {self._name: self._reserved}, now_us())

    def next(self, peer: bytes) -> int:
        """Return a second never given out for ``peer`` before. Raises `CountersUsedUpError`."""
        stamp = max(self._now_us() // 1_000_000, self._last.get(peer, self._floor) + 1)
        if stamp > self._reserved:
            raise CountersUsedUpError(f"no stamp beyond {self._reserved} is reserved")
        self._last[peer] = stamp
        self._highest = max(self._highest, stamp)
        if self._reserved - stamp < RESERVED_SECONDS // 2:
            self._low.set()
        return stamp

    async def keep_reserve(self, committer: Committer) -> None:
        """Renew the reserve until cancelled; it counts once it is durable."""
        while True:
            with trio.move_on_after(RENEWED_AFTER_S):
                await self._low.wait()
            self._low = trio.Event()
            reserved = self._next_reserve()
            await committer.submit(Submission(self._nothing, {self._name: reserved}))
            self._reserved = reserved

    def _next_reserve(self) -> int:
        return max(self._now_us() // 1_000_000, self._highest) + RESERVED_SECONDS


class ContextCounters:
    """The counters of one security context: pushes, or conversations.

    Both contexts send from one sequence, because they share a key, but each remembers by itself
    what it accepted: two connections to one concentrator may overtake each other.
    """

    def __init__(
        self, sending: SendCounters, accepted: dict[bytes, int], context: bytes, stamps: SendStamps
    ) -> None:
        self._sending = sending
        self._stamps = stamps
        self._context = context
        self._accepted = accepted

    def next(self) -> int:
        """Return the counter to send under. Raises `CountersUsedUpError`."""
        return self._sending.next()

    def stamp(self, peer: bytes) -> int:
        """Return POSIX seconds never returned for ``peer`` before."""
        return self._stamps.next(peer)

    def name(self, peer: bytes) -> bytes:
        """Return the name under which the store keeps the last counter accepted from ``peer``."""
        return peer + self._context

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from ``peer``."""
        return self._accepted.get(self.name(peer))

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember a counter; a lower one than before changes nothing."""
        name = self.name(peer)
        self._accepted[name] = max(counter, self._accepted.get(name, counter))


class ConversationCounters:
    """The counters of one conversation: its context's, and a note of whom something came from.

    A conversation may be with many peers: the nodes behind a concentrator count for themselves.
    """

    def __init__(self, context: ContextCounters) -> None:
        self._context = context
        self._heard: set[bytes] = set()

    def next(self) -> int:
        """Return the counter to send under. Raises `CountersUsedUpError`."""
        return self._context.next()

    def stamp(self, peer: bytes) -> int:
        """Return POSIX seconds never returned for ``peer`` before."""
        return self._context.stamp(peer)

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from ``peer``."""
        return self._context.last_accepted(peer)

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember a counter; a lower one than before changes nothing."""
        self._context.accept(peer, counter)
        self._heard.add(peer)

    def to_keep(self) -> dict[bytes, int]:
        """Return what the store must keep: the last counter of everybody heard."""
        last = {peer: self.last_accepted(peer) for peer in self._heard}
        return {self._context.name(peer): at for peer, at in last.items() if at is not None}
