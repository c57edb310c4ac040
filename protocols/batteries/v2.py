"""Dialect v2: little-endian records behind their length.

::

    request   length (u32) | function | name length | current | is greater | when s | when ms
              | until s | until ms (all i64) | name | NUL
    status    64 (u32) | voltage | current | charge | capacity | max charge current
              | max discharge current | s | ms (all i64)
    others    4 (u32) | code (u32), 0: refused

The public servers leave a request that they do not understand without an answer, and its asker
waiting. Here every request is answered: a status that cannot be given as a record of length 0,
which the public client takes as "nothing new", everything else as code 0.

``REQUEST`` and ``STATUS`` are the specification; they run lowered.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from construct import Int64sl, Struct

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
from protocols.batteries.values import (
    MAX_NAME_SIZE,
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Reply,
    Request,
    SetCurrent,
    Status,
    wants_status,
)
from protocols.errors import CodecError
from protocols.lengths import LengthReader, behind_length
from protocols.lowering import lower

CODEC: Final = "battery dialect v2"
ACCEPTED: Final = 1
REFUSED: Final = 0

REQUEST: Final = Struct(
    "function" / Int64sl,
    "name_length" / Int64sl,
    "current_ma" / Int64sl,
    "is_greater" / Int64sl,
    "start_s" / Int64sl,
    "start_ms" / Int64sl,
    "end_s" / Int64sl,
    "end_ms" / Int64sl,
)
STATUS: Final = Struct(
    "voltage_mv" / Int64sl,
    "current_ma" / Int64sl,
    "charge_mah" / Int64sl,
    "capacity_mah" / Int64sl,
    "max_charge_current_ma" / Int64sl,
    "max_discharge_current_ma" / Int64sl,
    "at_s" / Int64sl,
    "at_ms" / Int64sl,
)
_REQUEST: Final = lower(REQUEST, CODEC)
_STATUS: Final = lower(STATUS, CODEC)
RECORD_SIZE: Final = REQUEST.sizeof()
MAX_REQUEST_SIZE: Final = RECORD_SIZE + MAX_NAME_SIZE + 1
CODE_SIZE: Final = 4


class Function(IntEnum):
    """What is asked."""

    REFRESH = 1
    GET_STATUS = 2
    SET_CURRENT = 3


class V2Server(ReadingEnd[LengthReader]):
    """The battery's end."""

    def __init__(self) -> None:
        super().__init__(LengthReader("little", MAX_REQUEST_SIZE, CODEC))

    def next_request(self) -> Request | Rejection | None:
        """Return the next request; raises `CodecError` when more than one is announced."""
        body = self._reader.next_body()
        if body is None:
            return None
        try:
            fields = _REQUEST.parse(body)
        except CodecError as problem:
            return Rejection(_record(b""), Fault.MALFORMED, str(problem))
        function = fields["function"]
        refused = _code(REFUSED) if function == Function.SET_CURRENT else _record(b"")
        if function not in tuple(Function):
            reason = f"there is no function {function}"
            return Rejection(refused, Fault.UNKNOWN_OPERATION, reason)
        try:
            name = _read_name(body, fields["name_length"])
        except CodecError as problem:
            return Rejection(refused, Fault.MALFORMED, str(problem))
        if function == Function.SET_CURRENT:
            return _read_set_current(name, fields)
        return GetStatus(name) if function == Function.GET_STATUS else Refresh(name)

    def encode(self, request: Request, reply: Reply) -> bytes:
        """Return the answer to ``request``; raises `CodecError` when a value does not fit."""
        match reply:
            case Status():
                return _record(_encode_status(reply))
            case Done():
                return _code(ACCEPTED)
            case Refusal():
                return _record(b"") if wants_status(request) else _code(REFUSED)

    def last_words(self, reason: str) -> bytes:
        """Return a record of length 0."""
        del reason
        return _record(b"")


class V2Client(ReadingEnd[LengthReader]):
    """The asker's end."""

    def __init__(self) -> None:
        super().__init__(LengthReader("little", RECORD_SIZE, CODEC))

    def encode(self, request: Request) -> bytes:
        """Return the octets of a `GetStatus`, `Refresh`, or `SetCurrent` with its window."""
        name = encode_name(request.name, CODEC)
        fields = dict.fromkeys((field.name for field in REQUEST.subcons), 0)
        fields["name_length"] = len(name)
        match request:
            case GetStatus():
                fields["function"] = Function.GET_STATUS
            case Refresh():
                fields["function"] = Function.REFRESH
            case SetCurrent(_, current_ma, int(start_ms), int(end_ms), is_greater):
                check_current(current_ma, CODEC)
                fields |= {"function": Function.SET_CURRENT, "current_ma": current_ma}
                fields["is_greater"] = int(is_greater)
                fields["start_s"], fields["start_ms"] = divmod(start_ms, 1000)
                fields["end_s"], fields["end_ms"] = divmod(end_ms, 1000)
            case _:
                raise CodecError(f"has no {request}", codec=CODEC, path="function")
        return _record(_REQUEST.build(fields) + name + b"\0")

    def next_reply(self, request: Request | None) -> Reply | None:
        """Return the answer to ``request``; raises `CodecError` for what cannot be one."""
        body = self._reader.next_body()
        if body is None:
            return None
        if request is None:
            return PASSED_OVER
        if not body:
            return Refusal("refused, as v2 says it: without a reason")
        if wants_status(request):
            return _decode_status(body)
        if len(body) != CODE_SIZE:
            raise CodecError(f"{len(body)} octets, not {CODE_SIZE}", codec=CODEC, path="code")
        accepted = int.from_bytes(body, "little") != REFUSED
        return Done() if accepted else Refusal("refused with code 0")


def _record(body: bytes) -> bytes:
    return behind_length(body, "little")


def _code(code: int) -> bytes:
    return _record(code.to_bytes(CODE_SIZE, "little"))


def _read_name(body: bytes, length: int) -> str:
    name = body[RECORD_SIZE:-1]
    if len(name) != length or body[-1]:
        what = f"{len(name)} octets where {length} and a NUL are announced"
        raise CodecError(what, codec=CODEC, path="name")
    return decode_name(name, CODEC)


def _read_set_current(name: str, fields: dict[str, int]) -> SetCurrent | Rejection:
    try:
        check_current(fields["current_ma"], CODEC)
    except CodecError as problem:
        return Rejection(_code(REFUSED), Fault.OUT_OF_RANGE, str(problem))
    return SetCurrent(
        name,
        fields["current_ma"],
        1000 * fields["start_s"] + fields["start_ms"],
        1000 * fields["end_s"] + fields["end_ms"],
        bool(fields["is_greater"]),
    )


def _encode_status(status: Status) -> bytes:
    seconds, milliseconds = divmod(status.at_ms or 0, 1000)
    return _STATUS.build(
        {
            "voltage_mv": status.voltage_mv,
            "current_ma": status.current_ma,
            "charge_mah": status.charge_mah,
            "capacity_mah": status.capacity_mah,
            "max_charge_current_ma": status.max_charge_current_ma,
            "max_discharge_current_ma": status.max_discharge_current_ma,
            "at_s": seconds,
            "at_ms": milliseconds,
        }
    )


def _decode_status(body: bytes) -> Status:
    if len(body) != RECORD_SIZE:
        raise CodecError(f"{len(body)} octets, not {RECORD_SIZE}", codec=CODEC, path="status")
    fields = _STATUS.parse(body)
    seconds, milliseconds = fields.pop("at_s"), fields.pop("at_ms")
    for name, quantity in fields.items():
        check_quantity(quantity, CODEC, name)
    return Status(**fields, at_ms=1000 * seconds + milliseconds)


V2: Final = Dialect("v2", V2Server, V2Client)
