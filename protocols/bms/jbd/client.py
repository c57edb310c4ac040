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

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from protocols.asking import Asker, Failed
from protocols.bms.jbd.device import SILENCE_S
from protocols.bms.jbd.faults import Fault
from protocols.bms.jbd.frame import Reply, Request
from protocols.bms.jbd.line import Line
from protocols.bms.jbd.registers import Register
from protocols.errors import CodecError

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


Answer: TypeAlias = Answered | Written | Refused
ClientEvent: TypeAlias = Answer | Failed[Register[Any], Fault]


class JbdClient(Asker[Register[Any], Answer, Fault]):
    """Sans-IO host of one battery. Times are seconds of any monotonic clock.

    ``timeout_s`` is how long an answer may take; ``silence_s`` how long a frame may pause.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, silence_s: float = SILENCE_S) -> None:
        super().__init__(timeout_s)
        self._line = Line(Reply, self._faults, silence_s)
        self._pending_write = False

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        deadlines = (self._line.deadline, self._answer_deadline)
        return min((at for at in deadlines if at is not None), default=None)

    def read(self, register: Register[Any], *, now: float) -> None:
        """Ask for the value of ``register``.

        Raises `LocalProtocolError` while an answer is owed or after the end of the stream.
        """
        self._ask(register, Request(register.number), now)

    def write(self, register: Register[ValueT], value: ValueT, *, now: float) -> None:
        """Ask that ``register`` be ``value``; raises as `read` does, and `CodecError`."""
        self._ask(register, Request(register.number, True, register.encode(value)), now)

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
        self._give_up(Fault.TRUNCATED if cut else Fault.TRANSPORT_CLOSED, "the transport is gone")

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        cut = self._line.deadline is not None
        self._take_all(self._line.handle_deadline(now))
        if self._overdue(now):
            self._take_all(self._line.receive_eof())
            fault = Fault.TRUNCATED if cut else Fault.TIMEOUT
            self._give_up(fault, f"no whole answer in {self._timeout_s} s")

    def _ask(self, register: Register[Any], request: Request, now: float) -> None:
        self._check_idle()
        self._send(register, request.encode(), now)
        self._pending_write = request.write

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
            self._fail(Fault.MALFORMED_VALUE, f"{register}: {problem}")

    def _give_up(self, fault: Fault, detail: str) -> None:
        """Fail what is under way; what was cut off is counted where it was found."""
        register = self._pending
        if register is None:
            return
        if fault is Fault.TRUNCATED:
            self._settle(Failed(register, fault, f"{register}: {detail}"))
        else:
            self._fail(fault, f"{register}: {detail}")
