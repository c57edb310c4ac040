"""Dialect v3: protobuf messages, each behind its length (u32, big-endian), over TLS.

The first message names the battery (`Connect`) and is answered with a code; commands about that
battery follow. Servers of the public code want a client certificate; TLS is the transport's
business. Times are milliseconds, quantities are doubles of milliunits and are taken to the
nearest integer. A return code of 0 is success, -1 is not, with the reason in words.

Two commands have no answer in the public code: removing is commented out, and a private schedule is
taken in silence. Here removing is answered as its message says, and so is a schedule (as a set
status), so that nobody waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from protocols.batteries import v3_messages as messages
from protocols.batteries.dialect import (
    PASSED_OVER,
    Dialect,
    ReadingEnd,
    Rejection,
    check_current,
    check_quantity,
    decode_name,
    encode_name,
)
from protocols.batteries.faults import Fault
from protocols.batteries.v3_messages import CODEC, build, parse
from protocols.batteries.values import (
    Connect,
    Done,
    GetStatus,
    Refusal,
    Remove,
    Reply,
    Request,
    SetCurrent,
    SetSchedule,
    SetStatus,
    Status,
    wants_status,
)
from protocols.errors import CodecError, LocalProtocolError
from protocols.lengths import LengthReader, behind_length

MAX_MESSAGE_SIZE: Final = 1 << 20
"""A private schedule of a day's minutes with its proofs is a fifth of this."""

FAILURE: Final = -1
_QUANTITIES: Final = tuple(name for name, _, _ in messages.MESSAGES["Status"].values())[:-1]


class _OutOfRange(CodecError):
    """A number that is none, or beyond what any battery has."""


class V3Server(ReadingEnd[LengthReader]):
    """The battery's end."""

    def __init__(self) -> None:
        super().__init__(LengthReader("big", MAX_MESSAGE_SIZE, CODEC))
        self._name: str | None = None

    def next_request(self) -> Request | Rejection | None:
        """Return the next request; raises `CodecError` when too much is announced."""
        body = self._reader.next_body()
        if body is None:
            return None
        if self._name is None:
            return self._read_connect(body)
        try:
            command = parse("Command", body)
        except CodecError as problem:
            return _reject(messages.GET_STATUS, Fault.MALFORMED, str(problem))
        read = _COMMANDS.get(command.command)
        if read is None:
            reason = f"there is no command {command.command}"
            return _reject(messages.GET_STATUS, Fault.UNKNOWN_OPERATION, reason)
        try:
            return read(self._name, command)
        except _OutOfRange as problem:
            return _reject(command.command, Fault.OUT_OF_RANGE, str(problem))
        except CodecError as problem:
            return _reject(command.command, Fault.MALFORMED, str(problem))

    def encode(self, request: Request, reply: Reply) -> bytes:
        """Return the answer to ``request``; raises `CodecError` when a value does not fit."""
        if isinstance(request, Connect):
            refused = isinstance(reply, Refusal)
            self._name = None if refused else request.name
            code = messages.DOES_NOT_EXIST if refused else messages.CONNECTED
            return _framed(build("ConnectReply", code=code))
        if isinstance(reply, Status):
            return _framed(build("StatusReply", status=_status_fields(reply)))
        if isinstance(reply, Refusal):
            return _framed(_failure(_command_of(request), reply.reason))
        name, field = _SUCCESSES[_command_of(request)]
        return _framed(build(name, **{field: "done"}))

    def last_words(self, reason: str) -> bytes:
        """Return a failure that any reply of this dialect could be."""
        return _framed(_failure(messages.GET_STATUS, reason))

    def _read_connect(self, body: bytes) -> Connect | Rejection:
        try:
            return Connect(decode_name(parse("Connect", body).name.encode(), CODEC))
        except CodecError as problem:
            reply = build("ConnectReply", code=messages.DOES_NOT_EXIST)
            return Rejection(_framed(reply), Fault.NOT_CONNECTED, str(problem))


class V3Client(ReadingEnd[LengthReader]):
    """The asker's end."""

    def __init__(self) -> None:
        super().__init__(LengthReader("big", MAX_MESSAGE_SIZE, CODEC))
        self._name: str | None = None

    def encode(self, request: Request) -> bytes:
        """Return the octets of ``request``.

        Raises `LocalProtocolError` for a battery that the connection is not about.
        """
        if isinstance(request, Connect):
            encode_name(request.name, CODEC)
            return _framed(build("Connect", name=request.name))
        if request.name != self._name:
            raise LocalProtocolError(f"{request.name}: this connection is about {self._name}")
        return _framed(build("Command", **_command_fields(request)))

    def next_reply(self, request: Request | None) -> Reply | None:
        """Return the answer to ``request``; raises `CodecError` for what cannot be one."""
        body = self._reader.next_body()
        if body is None:
            return None
        if request is None:
            return PASSED_OVER
        if isinstance(request, Connect):
            return self._read_connected(request, body)
        if wants_status(request):
            return _read_status_reply(parse("StatusReply", body))
        name, _ = _SUCCESSES[_command_of(request)]
        reply = parse(name, body)
        if reply.code == 0:
            return Done()
        return Refusal(reply.reason if name == "SetStatusReply" else reply.failure)

    def _read_connected(self, request: Connect, body: bytes) -> Reply:
        code = parse("ConnectReply", body).code
        if code != messages.CONNECTED:
            return Refusal(f"refused with code {code}")
        self._name = request.name
        return Done()


def _framed(body: bytes) -> bytes:
    return behind_length(body, "big")


# What says yes, and where the words go, by command.
_SUCCESSES: Final = {
    messages.SCHEDULE_SET_CURRENT: ("SetCurrentReply", "success"),
    messages.REMOVE: ("RemoveReply", "success"),
    messages.SET_STATUS: ("SetStatusReply", "reason"),
    messages.SET_SCHEDULE: ("SetStatusReply", "reason"),
}
_FAILURES: Final = {
    messages.SCHEDULE_SET_CURRENT: ("SetCurrentReply", "failure"),
    messages.GET_STATUS: ("StatusReply", "failure"),
    messages.REMOVE: ("RemoveReply", "failure"),
    messages.SET_STATUS: ("SetStatusReply", "reason"),
    messages.SET_SCHEDULE: ("SetStatusReply", "reason"),
}


def _failure(command: int, reason: str) -> bytes:
    name, field = _FAILURES[command]
    return build(name, **{"code": FAILURE, field: reason})


def _reject(command: int, fault: Fault, reason: str) -> Rejection:
    return Rejection(_framed(_failure(command, reason)), fault, reason)


def _command_of(request: Request) -> int:
    match request:
        case SetCurrent():
            return messages.SCHEDULE_SET_CURRENT
        case GetStatus():
            return messages.GET_STATUS
        case Remove():
            return messages.REMOVE
        case SetStatus():
            return messages.SET_STATUS
        case SetSchedule():
            return messages.SET_SCHEDULE
        case _:
            raise CodecError(f"has no {request}", codec=CODEC, path="command")


def _command_fields(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {"command": _command_of(request)}
    match request:
        case SetCurrent(_, current_ma, int(start_ms), int(end_ms), False):
            check_current(current_ma, CODEC)
            window = {"start_ms": start_ms, "end_ms": end_ms}
            return fields | {"set_current": {"current_ma": float(current_ma)} | window}
        case SetCurrent():
            raise CodecError("needs a window, and an exact current", codec=CODEC, path="command")
        case SetStatus(_, status):
            return fields | {"status": _status_fields(status)}
        case SetSchedule(_, schedule):
            return fields | {"set_schedule": {"schedule": schedule}}
        case _:
            return fields


def _status_fields(status: Status) -> dict[str, float]:
    fields: dict[str, float] = {name: float(getattr(status, name)) for name in _QUANTITIES}
    return fields | {"at_ms": status.at_ms or 0}


def _read_status(message: Any) -> Status:  # noqa: ANN401 (protobuf's own object)
    quantities = {name: _nearest(getattr(message, name), name) for name in _QUANTITIES}
    return Status(**quantities, at_ms=message.at_ms)


def _read_status_reply(reply: Any) -> Status | Refusal:  # noqa: ANN401
    if reply.code != 0:
        return Refusal(reply.failure)
    if not reply.HasField("status"):
        raise CodecError("holds no status", codec=CODEC, path="StatusReply")
    return _read_status(reply.status)


def _read_set_current(name: str, command: Any) -> SetCurrent:  # noqa: ANN401
    _want(command, "set_current")
    parameters = command.set_current
    current_ma = _nearest(parameters.current_ma, "current")
    return SetCurrent(name, current_ma, parameters.start_ms, parameters.end_ms)


def _read_set_status(name: str, command: Any) -> SetStatus:  # noqa: ANN401
    _want(command, "status")
    return SetStatus(name, _read_status(command.status))


def _read_set_schedule(name: str, command: Any) -> SetSchedule:  # noqa: ANN401
    _want(command, "set_schedule")
    return SetSchedule(name, command.set_schedule.schedule)


_COMMANDS: Final[dict[int, Callable[[str, Any], Request]]] = {
    messages.SCHEDULE_SET_CURRENT: _read_set_current,
    messages.GET_STATUS: lambda name, command: GetStatus(name),
    messages.REMOVE: lambda name, command: Remove(name),
    messages.SET_STATUS: _read_set_status,
    messages.SET_SCHEDULE: _read_set_schedule,
}


def _want(command: Any, field: str) -> None:  # noqa: ANN401
    if not command.HasField(field):
        raise CodecError("is missing", codec=CODEC, path=field)


def _nearest(value: float, path: str) -> int:
    """Return a quantity as an integer; raises `_OutOfRange` when it is none or no battery's."""
    if not math.isfinite(value):
        raise _OutOfRange(f"{value} is no number", codec=CODEC, path=path)
    nearest = round(value)
    try:
        check_quantity(nearest, CODEC, path)
        if path == "current":  # that is commanded
            check_current(nearest, CODEC)
    except CodecError:
        raise _OutOfRange(f"{value:g}", codec=CODEC, path=path) from None
    return nearest


V3: Final = Dialect("v3", V3Server, V3Client)
