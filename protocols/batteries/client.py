"""The asker's end of a connection in any dialect, without any I/O: one request, one event for it.

No dialect numbers its messages: an answer that comes too late would be taken for that to the next
request. So a timeout ends the connection (`closed`), as a lost framing does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from protocols.asking import Asker, Failed
from protocols.batteries.dialect import Dialect
from protocols.batteries.faults import Fault
from protocols.batteries.values import Done, Refusal, Request, Status
from protocols.errors import CodecError

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


ClientEvent: TypeAlias = Answered | Refused | Failed[Request, Fault]


class BatteryClient(Asker[Request, Answered | Refused, Fault]):
    """Sans-IO client for one connection. Times are seconds of any monotonic clock."""

    def __init__(self, dialect: Dialect, *, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(timeout_s)
        self._end = dialect.client()

    def ask(self, request: Request, *, now: float) -> None:
        """Send ``request``.

        Raises `LocalProtocolError` while an answer is owed or after the end, `CodecError` for a
        request that the dialect does not have or that does not fit.
        """
        self._check_idle()
        self._send(request, self._end.encode(request), now)

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
        if self._overdue(now):
            self._close(Fault.TIMEOUT, f"no whole answer in {self._timeout_s} s")

    def _take(self, reply: Status | Done | Refusal) -> None:
        request = self._pending
        if request is None:
            self._faults[Fault.STRAY_ANSWER] += 1
        elif isinstance(reply, Refusal):
            self._faults[Fault.REFUSED] += 1
            self._settle(Refused(request, reply.reason))
        else:
            self._settle(Answered(request, reply))
