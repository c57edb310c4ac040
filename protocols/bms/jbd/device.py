"""The battery's end of a JBD line, without any I/O.

Theory of operation
-------------------
The host asks, one request at a time; a battery answers every request that arrives whole, in order,
and stays silent about everything else. What the table of registers does not allow is refused here
(status 80); what it does comes out as an event, and the caller answers it::

    device.receive_data(data, now=now)
    while (event := device.next_event()) is not None:
        match event:
            case ReadRequested(register): device.answer(value)      # or device.refuse()
            case WriteRequested(register, value): device.accept()   # or device.refuse()
    send(device.data_to_send())

The next event comes only after the answer to this one. Factory mode is kept here: registers of it
are refused outside of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from protocols.asking import LineEnd
from protocols.bms.jbd.faults import Fault
from protocols.bms.jbd.frame import Reply, Request
from protocols.bms.jbd.line import Line
from protocols.bms.jbd.registers import (
    ENTER_CODE,
    ENTER_FACTORY_MODE,
    EXIT_CODES,
    EXIT_FACTORY_MODE,
    REGISTERS,
    Register,
)
from protocols.errors import CodecError, LocalProtocolError

SILENCE_S: Final = 0.5
"""A frame takes 0.27 s at most on a line of 9,600 baud."""


@dataclass(frozen=True, slots=True)
class ReadRequested:
    """The host wants the value of ``register``."""

    register: Register[Any]


@dataclass(frozen=True, slots=True)
class WriteRequested:
    """The host wants ``register`` to be ``value``."""

    register: Register[Any]
    value: Any


DeviceEvent: TypeAlias = ReadRequested | WriteRequested


class JbdDevice(LineEnd[Fault]):
    """Sans-IO battery for one line. Times are seconds of any monotonic clock."""

    def __init__(self, *, silence_s: float = SILENCE_S) -> None:
        super().__init__()
        self._line = Line(Request, self._faults, silence_s)
        self._requests: deque[Request] = deque()
        self._pending: Register[Any] | None = None
        self._pending_write = False
        self._factory_mode = False

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        return self._line.deadline

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the line, in any split. Never raises for what they hold."""
        self._requests.extend(self._line.receive_data(data, now))

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come: a request that stopped is given up on."""
        self._requests.extend(self._line.handle_deadline(now))

    def receive_eof(self) -> None:
        """The transport is gone: nothing is answered any more."""
        self._line.receive_eof()
        self._requests.clear()
        self._pending = None

    def next_event(self) -> DeviceEvent | None:
        """Return the next thing the host wants, or ``None``.

        Raises `LocalProtocolError` when the one before was not answered.
        """
        if self._pending is not None:
            raise LocalProtocolError(f"{self._pending} was not answered")
        while self._requests:
            request = self._requests.popleft()
            event = self._judge(request)
            if isinstance(event, Fault):
                self._faults[event] += 1
                self._reply(Reply(request.register, ok=False))
            elif not self._switches_factory_mode(event):
                self._pending = event.register
                self._pending_write = request.write
                return event
        return None

    def answer(self, value: object) -> None:
        """Answer a `ReadRequested` with the register's ``value``; raises `CodecError`."""
        register = self._take_pending(write=False)
        self._reply(Reply(register.number, register.encode(value)))
        self._pending = None

    def accept(self) -> None:
        """Answer a `WriteRequested`: it is done."""
        self._reply(Reply(self._take_pending(write=True).number))
        self._pending = None

    def refuse(self) -> None:
        """Answer whatever was asked with status 80."""
        register = self._take_pending(write=self._pending_write)
        self._reply(Reply(register.number, ok=False))
        self._pending = None

    def _judge(self, request: Request) -> DeviceEvent | Fault:
        register = REGISTERS.get(request.register)
        if register is None:
            return Fault.UNKNOWN_REGISTER
        if register.factory and not self._factory_mode:
            return Fault.FACTORY_MODE_NEEDED
        if not request.write:
            return ReadRequested(register) if register.readable else Fault.NOT_READABLE
        if not register.writable:
            return Fault.NOT_WRITABLE
        try:
            return WriteRequested(register, register.decode(request.data))
        except CodecError:
            return Fault.MALFORMED_VALUE

    def _switches_factory_mode(self, event: DeviceEvent) -> bool:
        match event:
            case WriteRequested(register, code) if register is ENTER_FACTORY_MODE:
                right = code == ENTER_CODE
                self._factory_mode |= right
            case WriteRequested(register, code) if register is EXIT_FACTORY_MODE:
                right = code in EXIT_CODES
                self._factory_mode &= not right
            case _:
                return False
        if not right:
            self._faults[Fault.MALFORMED_VALUE] += 1
        self._reply(Reply(event.register.number, ok=right))
        return True

    def _take_pending(self, *, write: bool) -> Register[Any]:
        if self._pending is None or self._pending_write is not write:
            raise LocalProtocolError("nothing of that kind was asked")
        return self._pending

    def _reply(self, reply: Reply) -> None:
        self._out += reply.encode()
