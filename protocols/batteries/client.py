"""The asker's end of a connection in any dialect, without any I/O: one request, one event for it.

No dialect numbers its messages: an answer that comes too late would be taken for that to the next
request. So a timeout ends the connection (`closed`), as a lost framing does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from protocols.batteries.dialect import Dialect
from protocols.batteries.faults import Fault
from protocols.batteries.values import Done, Refusal, Request, Status
from protocols.errors import CodecError, LocalProtocolError

TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The battery did it, or said how it is."""

    request: Request
    reply: Status | Done


@dataclass(frozen=True, slots=True)
class Refused:
    """The battery did not do it, and said why."""

    request: Request
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or one that cannot be one; whether it was done is not known."""

    request: Request
    fault: Fault
    detail: str


ClientEvent: TypeAlias = Answered | Refused | Failed


class BatteryClient:
    """Sans-IO client for one connection. Times are seconds of any monotonic clock.

    ``deadline`` is when the answer under way is given up on.
    """

    def __init__(self, dialect: Dialect, *, timeout_s: float = TIMEOUT_S) -> None:
        self.closed = False
        self.deadline: float | None = None
        self._end = dialect.client()
        self._timeout_s = timeout_s
        self._faults: Counter[Fault] = Counter()
        self._pending: Request | None = None
        self._events: deque[ClientEvent] = deque()
        self._out = bytearray()

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each thing went wrong so far."""
        return MappingProxyType(self._faults)

    def ask(self, request: Request, *, now: float) -> None:
        """Send ``request``.

        Raises `LocalProtocolError` while an answer is owed or after the end, `CodecError` for a
        request that the dialect does not have or that does not fit.
        """
        if self.closed or self._pending is not None:
            raise LocalProtocolError("over" if self.closed else f"{self._pending} is not answered")
        self._out += self._end.encode(request)
        self._pending = request
        self.deadline = now + self._timeout_s

    def receive_data(self, data: bytes) -> None:
        """Take octets of the battery, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._end.feed(data)
        try:
            while (reply := self._end.next_reply(self._pending)) is not None:
                self._take(reply)
        except CodecError as problem:
            self._close(Fault.MALFORMED, str(problem))

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        cut = self._end.buffered
        fault = Fault.TRUNCATED if cut else Fault.TRANSPORT_CLOSED
        self._close(fault, f"the transport is gone, {cut} octets into an answer")

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        if self.deadline is not None and now >= self.deadline:
            self._close(Fault.TIMEOUT, f"no whole answer in {self._timeout_s} s")

    def data_to_send(self) -> bytes:
        """Return octets for the battery, once."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def next_event(self) -> ClientEvent | None:
        """Return the next thing that came of a request, or ``None``."""
        return self._events.popleft() if self._events else None

    def _take(self, reply: Status | Done | Refusal) -> None:
        request = self._pending
        if request is None:
            self._faults[Fault.STRAY_ANSWER] += 1
        elif isinstance(reply, Refusal):
            self._faults[Fault.REFUSED] += 1
            self._settle(Refused(request, reply.reason))
        else:
            self._settle(Answered(request, reply))

    def _close(self, fault: Fault, detail: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._faults[fault] += 1
        if self._pending is not None:
            self._settle(Failed(self._pending, fault, detail))

    def _settle(self, event: ClientEvent) -> None:
        self._events.append(event)
        self._pending = self.deadline = None
