"""The host's end of a Modbus TCP connection, without any I/O: one request, one event for it.

Every request has a transaction of its own, so an answer that comes too late is not taken for the
answer to a later request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from protocols.asking import Asker, Failed
from protocols.errors import CodecError
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


ClientEvent: TypeAlias = Answered | Refused | Failed[Request, Fault]


class ModbusClient(Asker[Request, Answered | Refused, Fault]):
    """Sans-IO client of one unit. Times are seconds of any monotonic clock."""

    def __init__(self, *, unit: int = 1, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(timeout_s)
        self._unit = unit
        self._reader = AduReader()
        self._transaction = 0

    def ask(self, request: Request, *, now: float) -> None:
        """Send ``request``.

        Raises `LocalProtocolError` while an answer is owed or after the end, `CodecError` for a
        request that does not fit.
        """
        self._check_idle()
        transaction = (self._transaction + 1) & 0xFFFF
        self._send(request, Adu(transaction, self._unit, request.encode()).encode(), now)
        self._transaction = transaction

    def receive_data(self, data: bytes) -> None:
        """Take octets of the device, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._reader.feed(data)
        try:
            while (adu := self._reader.next_adu()) is not None:
                self._take(adu)
        except CodecError as problem:
            self._close(Fault.FRAMING, str(problem))

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        cut = self._reader.buffered
        fault = Fault.TRUNCATED if cut else Fault.TRANSPORT_CLOSED
        self._close(fault, f"the transport is gone, {cut} octets into an answer")

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        if self._overdue(now):
            self._fail(Fault.TIMEOUT, f"no answer in {self._timeout_s} s")

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
