"""What a head-end keeps of one call: requests that passed the checks, and their vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from protocols.c12.association.events import Opened
from protocols.c12.epsem import ResponseControl
from protocols.c12.plugin.naming import element_of
from protocols.c12.services import Deregister, Register
from protocols.c12.titles import NODES_REMEMBERED, ApTitle
from protocols.plugin import Counters, Credentials


@dataclass(frozen=True, slots=True, eq=False)
class Inbound:
    """A message that passed the checks; ``vector`` is what its answer goes out under."""

    opened: Opened
    peer: Credentials
    vector: int

    @property
    def title(self) -> bytes:
        """What its sender is called."""
        return self.peer.system_title

    @property
    def behind(self) -> bytes:
        """What the concentrator is called that the sender is behind, or is."""
        return self.peer.behind or self.title

    @property
    def services(self) -> tuple[bytes, ...]:
        """Its services."""
        return self.opened.message.epsem.services

    @property
    def response(self) -> ResponseControl:
        """When it wants an answer."""
        return self.opened.message.epsem.control.response


Waiting: TypeAlias = tuple[Inbound, tuple[bytes, ...]]
"""A request, and the services of its answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers that wait for something durable: requests, and the services of each answer."""

    session: object
    waiting: list[Waiting]


@dataclass(slots=True)
class Gathered:
    """What one concentrator's nodes said in one call."""

    pushes: list[Inbound] = field(default_factory=list)
    registrations: list[tuple[Inbound, Register | Deregister]] = field(default_factory=list)


class AcceptedHere:
    """The vectors accepted until the last call, and during this one."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.now: dict[bytes, int] = {}

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last vector accepted from ``peer``, the octets of its absolute title."""
        here = self.now.get(peer)
        return self._counters.last_accepted(_element(peer)) if here is None else here

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        self.now[peer] = counter


class AnswerVectors:
    """Vectors for answers, and so the time: one for each request, taken when first asked for."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._peer = b""
        self._stamp: int | None = None
        self._first = 0
        self._latest = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds from the first vector to the latest; 0 before there is any."""
        return float(self._latest - self._first)

    def begin(self, peer: bytes) -> None:
        """Go on to a request of ``peer``."""
        self._peer, self._stamp = peer, None

    def utc_s(self) -> int:
        """Return the vector of the answer, POSIX seconds."""
        if self._stamp is None:
            self._stamp = self._counters.stamp(self._peer)
            self._first = self._first or self._stamp
            self._latest = max(self._latest, self._stamp)
        return self._stamp

    def take(self, now_s: int) -> int:
        """Return the vector of the answer."""
        return self.utc_s()


@lru_cache(NODES_REMEMBERED)
def _element(absolute: bytes) -> bytes:
    return element_of(ApTitle(absolute))
