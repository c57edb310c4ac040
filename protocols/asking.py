"""The ends of a line that carries one request at a time, without any I/O.

Theory of operation
-------------------
The asking end sends a request and gets exactly one event for it: an answer in the protocol's own
words, or `Failed`, after which nothing is known of what the other end did::

    client.ask(request, now=now)
    send(client.data_to_send())
    client.receive_data(octets)         # or receive_eof(), or handle_deadline(now)
    while (event := client.next_event()) is not None: ...

Whether a line is of use after a failure is the protocol's to say: where answers carry no number, a
late one would be taken for that to the next request.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Generic, TypeVar

from protocols.errors import LocalProtocolError

RequestT = TypeVar("RequestT")
EventT = TypeVar("EventT")
FaultT = TypeVar("FaultT", bound=Enum)


@dataclass(frozen=True, slots=True)
class Failed(Generic[RequestT, FaultT]):
    """No answer, or one that cannot be one; whether it was done is not known."""

    request: RequestT
    fault: FaultT
    detail: str


class LineEnd(Generic[FaultT]):
    """Either end: octets that go out once, and faults that are counted."""

    def __init__(self) -> None:
        self.closed = False
        self._faults: Counter[FaultT] = Counter()
        self._out = bytearray()

    @property
    def faults(self) -> Mapping[FaultT, int]:
        """How often each thing went wrong so far."""
        return MappingProxyType(self._faults)

    def data_to_send(self) -> bytes:
        """Return octets for the peer, once; there may be some after `closed` too."""
        octets = bytes(self._out)
        self._out.clear()
        return octets


class Asker(LineEnd[FaultT], Generic[RequestT, EventT, FaultT]):
    """The asking end; ``timeout_s`` is how long an answer may take."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._pending: RequestT | None = None
        self._answer_deadline: float | None = None
        self._events: deque[EventT | Failed[RequestT, FaultT]] = deque()

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        return self._answer_deadline

    def next_event(self) -> EventT | Failed[RequestT, FaultT] | None:
        """Return the next thing that came of a request, or ``None``."""
        return self._events.popleft() if self._events else None

    def _check_idle(self) -> None:
        """Raise `LocalProtocolError` while an answer is owed or after the end."""
        if self.closed or self._pending is not None:
            raise LocalProtocolError("over" if self.closed else f"{self._pending} is not answered")

    def _send(self, request: RequestT, octets: bytes, now: float) -> None:
        """Send the ``octets`` of a request; the answer is waited for from ``now`` on."""
        self._out += octets
        self._pending = request
        self._answer_deadline = now + self._timeout_s

    def _overdue(self, now: float) -> bool:
        return self._answer_deadline is not None and now >= self._answer_deadline

    def _close(self, fault: FaultT, detail: str) -> None:
        """End the line for good, once."""
        if not self.closed:
            self.closed = True
            self._fail(fault, detail)

    def _fail(self, fault: FaultT, detail: str) -> None:
        """Count a fault; the request under way, if any, came to nothing."""
        self._faults[fault] += 1
        if self._pending is not None:
            self._settle(Failed(self._pending, fault, detail))

    def _settle(self, event: EventT | Failed[RequestT, FaultT]) -> None:
        """Let the request under way have its event."""
        self._events.append(event)
        self._pending = self._answer_deadline = None
