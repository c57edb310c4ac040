"""The host's end of a JBD line, without any I/O.

Theory of operation
-------------------
One request at a time, one event for it: `Answered`, `Written`, `Refused` or `Failed`. After
`Failed` nothing is known of what the battery did. Replies carry no number, so one that comes too
late could be taken for the answer to the next request about the same register: after a timeout,
open the line anew, or leave it silent until nothing can be under way (what comes then is counted
as `STRAY_REPLY`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from protocols.bms.jbd.device import SILENCE_S
from protocols.bms.jbd.faults import Fault
from protocols.bms.jbd.frame import Reply, Request
from protocols.bms.jbd.line import Line
from protocols.bms.jbd.registers import Register
from protocols.errors import CodecError, LocalProtocolError

TIMEOUT_S: Final = 1.0

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Answered:
    """The battery said what ``register`` holds."""

    register: Register[Any]
    value: Any


@dataclass(frozen=True, slots=True)
class Written:
    """The battery took the value for ``register``."""

    register: Register[Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The battery answered with status 80."""

    register: Register[Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or one that cannot be one; whether a value was taken is not known."""

    register: Register[Any]
    fault: Fault
    detail: str


ClientEvent: TypeAlias = Answered | Written | Refused | Failed


class JbdClient:
    """Sans-IO host of one battery. Times are seconds of any monotonic clock.

    ``timeout_s`` is how long an answer may take; ``silence_s`` how long a frame may pause.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, silence_s: float = SILENCE_S) -> None:
        self.closed = False
        self._faults: Counter[Fault] = Counter()
        self._line = Line(Reply, self._faults, silence_s)
        self._timeout_s = timeout_s
        self._pending: Register[Any] | None = None
        self._pending_write = False
        self._answer_deadline: float | None = None
        self._events: deque[ClientEvent] = deque()
        self._out = bytearray()

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each thing went wrong so far."""
        return MappingProxyType(self._faults)

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        deadlines = (self._line.deadline, self._answer_deadline)
        return min((at for at in deadlines if at is not None), default=None)

    def read(self, register: Register[Any], *, now: float) -> None:
        """Ask for the value of ``register``.

        Raises `LocalProtocolError` while an answer is owed or after the end of the stream.
        """
        self._send(register, Request(register.number), now)

    def write(self, register: Register[ValueT], value: ValueT, *, now: float) -> None:
        """Ask that ``register`` be ``value``; raises as `read` does, and `CodecError`."""
        self._send(register, Request(register.number, True, register.encode(value)), now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the line, in any split. Never raises for what they hold."""
        if not self.closed:
            self._take_all(self._line.receive_data(data, now))

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        if self.closed:
            return
        cut = self._line.deadline is not None
        self._take_all(self._line.receive_eof())
        self.closed = True
        if self._pending is not None:
            fault = Fault.TRUNCATED if cut else Fault.TRANSPORT_CLOSED
            self._fail(self._pending, fault, "the transport is gone")

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        cut = self._line.deadline is not None
        self._take_all(self._line.handle_deadline(now))
        if self._pending is None or self._answer_deadline is None or now < self._answer_deadline:
            return
        self._take_all(self._line.receive_eof())
        if self._pending is not None:
            fault = Fault.TRUNCATED if cut else Fault.TIMEOUT
            self._fail(self._pending, fault, f"no whole answer in {self._timeout_s} s")

    def data_to_send(self) -> bytes:
        """Return octets for the line, once."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def next_event(self) -> ClientEvent | None:
        """Return the next thing that came of a request, or ``None``."""
        return self._events.popleft() if self._events else None

    def _send(self, register: Register[Any], request: Request, now: float) -> None:
        if self.closed or self._pending is not None:
            raise LocalProtocolError("over" if self.closed else f"{self._pending} is not answered")
        self._out += request.encode()
        self._pending = register
        self._pending_write = request.write
        self._answer_deadline = now + self._timeout_s

    def _take_all(self, replies: list[Reply]) -> None:
        for reply in replies:
            self._take(reply)

    def _take(self, reply: Reply) -> None:
        register = self._pending
        if register is None or reply.register != register.number:
            self._faults[Fault.STRAY_REPLY] += 1
        elif not reply.ok:
            self._faults[Fault.REFUSED] += 1
            self._settle(Refused(register))
        elif self._pending_write:
            self._settle(Written(register))
        else:
            self._take_value(register, reply.data)

    def _take_value(self, register: Register[Any], data: bytes) -> None:
        try:
            self._settle(Answered(register, register.decode(data)))
        except CodecError as problem:
            self._fail(register, Fault.MALFORMED_VALUE, str(problem))

    def _fail(self, register: Register[Any], fault: Fault, detail: str) -> None:
        if fault is not Fault.TRUNCATED:
            # What was cut off is counted where it was found.
            self._faults[fault] += 1
        self._settle(Failed(register, fault, f"{register}: {detail}"))

    def _settle(self, event: ClientEvent) -> None:
        self._events.append(event)
        self._pending = self._answer_deadline = None
