"""The battery's end of a connection in any dialect, without any I/O.

Theory of operation
-------------------
Requests are answered one after the other, each exactly once::

    server.receive_data(data)
    while (request := server.next_request()) is not None:
        server.answer(status)        # or Done(), or Refusal(why)
    send(server.data_to_send())

What the dialect itself refuses (malformed, out of range, unknown) is answered here, in its place
among the others, and the connection goes on. What has no framing ends it: the peer gets a last
answer, and the session is `closed`. No request is left without an answer, so no asker waits.
"""

from __future__ import annotations

from protocols.asking import LineEnd
from protocols.batteries.dialect import Dialect, Rejection
from protocols.batteries.faults import Fault
from protocols.batteries.values import Done, Refusal, Reply, Request, wants_status
from protocols.errors import CodecError, LocalProtocolError


class BatteryServer(LineEnd[Fault]):
    """Sans-IO server for one connection."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__()
        self._end = dialect.server()
        self._pending: Request | None = None

    def receive_data(self, data: bytes) -> None:
        """Take octets of the peer, in any split. Never raises for what they hold."""
        if not self.closed:
            self._end.feed(data)

    def receive_eof(self) -> None:
        """The transport is gone: nothing is answered any more. Safe to call twice."""
        if not self.closed and self._end.buffered:
            self._faults[Fault.TRUNCATED] += 1
        self.closed = True
        self._pending = None

    def next_request(self) -> Request | None:
        """Return the next request, or ``None``.

        Raises `LocalProtocolError` when the one before was not answered.
        """
        if self._pending is not None:
            raise LocalProtocolError(f"{self._pending} was not answered")
        while not self.closed:
            try:
                request = self._end.next_request()
            except CodecError as problem:
                self._faults[Fault.FRAMING] += 1
                self._out += self._end.last_words(str(problem))
                self.closed = True
                return None
            if not isinstance(request, Rejection):
                self._pending = request
                return request
            self._faults[request.fault] += 1
            self._out += request.octets
        return None

    def answer(self, reply: Reply) -> None:
        """Answer the request that came last.

        Raises:
            LocalProtocolError: nothing was asked, or this cannot answer it.
            CodecError: a value does not fit the dialect; the request still wants its answer.
        """
        request = self._pending
        if request is None:
            raise LocalProtocolError("nothing was asked")
        if not isinstance(reply, Refusal) and wants_status(request) is isinstance(reply, Done):
            raise LocalProtocolError(f"{reply} is no answer to {request}")
        self._out += self._end.encode(request, reply)
        if isinstance(reply, Refusal):
            self._faults[Fault.REFUSED] += 1
        self._pending = None
