"""The host's end of a Modbus TCP connection, without any I/O: one request, one event for it.

Every request has a transaction of its own, so an answer that comes too late is not taken for the
answer to a later request.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.faults import Fault
from protocols.sunspec.modbus import Adu, AduReader
from protocols.sunspec.pdu import Refusal, Request, decode_answer

TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The device did it; ``registers`` are what was read."""

    request: Request
    registers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The device answered with exception ``code``; nothing was changed."""

    request: Request
    code: int


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or one that cannot be one; whether a write was done is not known."""

    request: Request
    fault: Fault
    detail: str


ClientEvent: TypeAlias = Answered | Refused | Failed


class ModbusClient:
    """Sans-IO client of one unit. Times are seconds of any monotonic clock.

    ``deadline`` is when the answer under way is given up on; ``closed``: no request can be made.
    """

    def __init__(self, *, unit: int = 1, timeout_s: float = TIMEOUT_S) -> None:
        self.closed = False
        self.deadline: float | None = None
        self._unit = unit
        self._timeout_s = timeout_s
        self._faults: Counter[Fault] = Counter()
        self._reader = AduReader()
        self._transaction = 0
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
        request that does not fit.
        """
        if self.closed or self._pending is not None:
            raise LocalProtocolError("over" if self.closed else "an answer is owed")
        transaction = (self._transaction + 1) & 0xFFFF
        self._out += Adu(transaction, self._unit, request.encode()).encode()
        self._transaction = transaction
        self._pending = request
        self.deadline = now + self._timeout_s

    def receive_data(self, data: bytes) -> None:
        """Take octets of the device, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._reader.feed(data)
        try:
            while (adu := self._reader.next_adu()) is not None:
                self._take(adu)
        except CodecError as problem:
            self._end(Fault.FRAMING, str(problem))

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        cut = self._reader.buffered
        fault = Fault.TRUNCATED if cut else Fault.TRANSPORT_CLOSED
        self._end(fault, f"the transport is gone, {cut} octets into an answer")

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        if self.deadline is not None and now >= self.deadline:
            self._fail(Fault.TIMEOUT, f"no answer in {self._timeout_s} s")

    def data_to_send(self) -> bytes:
        """Return octets for the device, once."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def next_event(self) -> ClientEvent | None:
        """Return the next thing that came of a request, or ``None``."""
        return self._events.popleft() if self._events else None

    def _take(self, adu: Adu) -> None:
        request = self._pending
        if request is None or adu.transaction != self._transaction or adu.unit != self._unit:
            self._faults[Fault.STRAY_ANSWER] += 1
            return
        try:
            answer = decode_answer(request, adu.pdu)
        except CodecError as problem:
            self._fail(Fault.MALFORMED_ANSWER, str(problem))
            return
        if isinstance(answer, Refusal):
            self._faults[Fault.REFUSED] += 1
            self._settle(Refused(request, answer.code))
        else:
            self._settle(Answered(request, answer))

    def _end(self, fault: Fault, detail: str) -> None:
        if not self.closed:
            self.closed = True
            self._fail(fault, detail)

    def _fail(self, fault: Fault, detail: str) -> None:
        self._faults[fault] += 1
        if self._pending is not None:
            self._settle(Failed(self._pending, fault, detail))

    def _settle(self, event: ClientEvent) -> None:
        self._events.append(event)
        self._pending = self.deadline = None
