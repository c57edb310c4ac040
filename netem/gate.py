"""Outages: a switch that takes a class of links, or one link, down and up again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

import trio

from netem.model.delay import NANOSECONDS
from netem.model.sender import MAXIMUM_TIMEOUT_NS, MINIMUM_TIMEOUT_NS

if TYPE_CHECKING:
    from netem.shaper import ShapedStream

OutageKind = Literal["break", "hang"]
NEVER_NS: Final = -1
REMEMBERED: Final = 64
"""Outages before the last that octets may still be under way from: links flap."""


class LinkGate:
    """The switch of one link or of one class of links; every link through it shares it.

    ``break`` resets the connections at once and refuses new ones until restored. ``hang`` is what
    a dead cell does: nothing is said, octets under way wait for TCP to try again after the outage,
    and so does connecting, which is given up after 127 s.
    """

    def __init__(self) -> None:
        self.streams: set[ShapedStream] = set()
        """Connections subject to this switch; they come and go by themselves."""
        self.kind: OutageKind | None = None
        """The kind of the outage that is on, or None."""
        self.cut_ns = self.restored_ns = NEVER_NS
        self._over: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self._up = trio.Event()
        self._up.set()

    @property
    def is_down(self) -> bool:
        """Whether an outage is on."""
        return self.kind is not None

    def cut(self, kind: OutageKind) -> None:
        """Begin an outage; one that is on goes on, and becomes of this kind."""
        if self.kind is None:
            self.cut_ns = int(trio.current_time() * NANOSECONDS)
            self._up = trio.Event()
        self.kind = kind
        if kind == "break":
            for stream in list(self.streams):
                stream.reset()

    def restore(self) -> None:
        """End the outage that is on, if one is."""
        if self.kind is not None:
            self.kind = None
            self.restored_ns = int(trio.current_time() * NANOSECONDS)
            self._over.append((self.cut_ns, self.restored_ns))
            self._up.set()

    async def wait_up(self) -> None:
        """Wait for the end of the outage that is on; returns at once where none is."""
        if self.kind is not None:
            await self._up.wait()

    def hit(self, sent_ns: int, release_ns: int) -> bool:
        """Return whether an outage that ended fell on octets between these times."""
        return sent_ns < self.restored_ns and any(
            sent_ns < restored_ns and cut_ns < release_ns for cut_ns, restored_ns in self._over
        )


def retry_ns(sent_ns: int, restored_ns: int, timeout_ns: int) -> int:
    """Return the first time after ``restored_ns`` at which TCP sends again what was sent.

    Retransmissions come after a timeout that doubles up to two minutes.
    """
    wait_ns = max(timeout_ns, MINIMUM_TIMEOUT_NS)
    at_ns = sent_ns
    while at_ns < restored_ns:
        at_ns += wait_ns
        wait_ns = min(2 * wait_ns, MAXIMUM_TIMEOUT_NS)
    return at_ns
