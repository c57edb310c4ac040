"""What both ends of a conversation with a relay share: vectors out of counters that last."""

from __future__ import annotations

from typing import Final

from protocols.c12.titles import ApTitle, decode_title
from protocols.plugin import Counters, Credentials

MAX_ANSWER_SIZE: Final = 65_535
"""What an answer may have in all, segmented or not."""


def absolute_title(node: Credentials) -> ApTitle:
    """Return the absolute title of a node. Raises `CodecError`."""
    return decode_title(node.system_title).absolute()


class DeviceVectors:
    """The vectors of one node of a relay: what it answers under, and what it has accepted.

    ``counters`` belong to all nodes of the relay, so what was accepted is kept under both titles.
    An answer goes out under the time that its request was held against.
    """

    def __init__(self, counters: Counters, credentials: Credentials) -> None:
        self.accepted_last = 0
        """The vector of the last message accepted; 0 in clear, which has none."""
        self.messages = 0
        """How many messages have come."""
        self._counters = counters
        self._title = credentials.system_title
        self._now_s: int | None = None
        self._last = 0

    def begin(self) -> None:
        """Another message has come: the time is to be asked again."""
        self._now_s = None
        self.accepted_last = 0
        self.messages += 1

    def utc_s(self) -> float:
        """Return the time, POSIX seconds."""
        if self._now_s is None:
            self._now_s = self._counters.stamp(self._title)
        return float(self._now_s)

    def take(self, now_s: int) -> int:
        """Return a vector greater than every one before."""
        self._last = now_s if now_s > self._last else self._counters.stamp(self._title)
        return self._last

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last vector accepted from ``peer``."""
        return self._counters.last_accepted(self._title + peer)

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        self.accepted_last = counter
        self._counters.accept(self._title + peer, counter)


class HeadEndVectors:
    """The vectors of a head-end that talks to many nodes, under the key of each.

    Say `address` before each message, for whom it is.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._peers: dict[bytes, bytes] = {}
        self._peer = b""
        self._promised: dict[bytes, int] = {}
        self._last = 0

    def address(self, peer: Credentials) -> None:
        """The next vector is for a message to ``peer``."""
        self._peer = peer.system_title
        self._peers[absolute_title(peer).octets] = peer.system_title

    def promise(self, peer: Credentials) -> int:
        """Return the vector of the next message to ``peer``."""
        vector = self._counters.stamp(peer.system_title)
        self._promised[peer.system_title] = vector
        return vector

    def withdraw(self, peer: Credentials) -> None:
        """Forget what was promised for ``peer``: nothing goes out under it."""
        self._promised.pop(peer.system_title, None)

    def utc_s(self) -> float:
        """Return about what time it is, POSIX seconds: that of the last request."""
        return float(self._last)

    def take(self, _now_s: int) -> int:
        """Return the vector of the next message: the promised one, or the time."""
        promised = self._promised.pop(self._peer, None)
        self._last = self._counters.stamp(self._peer) if promised is None else promised
        return self._last

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last vector accepted from ``peer``."""
        return self._counters.last_accepted(self._peers.get(peer, peer))

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        self._counters.accept(self._peers.get(peer, peer), counter)
