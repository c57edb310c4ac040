"""Dialect v1: JSON over TCP (port 4004), quantities in volts, amperes and ampere-hours.

::

    {"request": "get_status", "name": N}
        {"response": {"voltage": V, "current": A, "state_of_charge": Ah, "max_capacity": Ah,
                      "max_discharging_current": A, "max_charging_current": A}} NUL
    {"request": "set_current", "name": N, "current": A}
        {"response": null} NUL
    whatever is refused
        {"response": null, "error": why} NUL

A request has no terminator: it ends with its last brace, and white space or NULs between requests
mean nothing. A reply ends with NUL, an error too: clients read up to it. Numbers are taken
exactly, to the milliampere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

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
    Done,
    GetStatus,
    Refusal,
    Reply,
    Request,
    SetCurrent,
    Status,
    wants_status,
)
from protocols.errors import CodecError

CODEC: Final = "battery dialect v1"
PORT: Final = 4004
MAX_REQUEST_SIZE: Final = 1_024
MAX_REPLY_SIZE: Final = 4_096
TERMINATOR: Final = b"\0"
_BETWEEN: Final = b" \t\r\n\0"
_CLOSING: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_MAX_EXPONENT: Final = 12

# The fields of a status in the order in which the public code writes them.
_FIELDS: Final[Mapping[str, str]] = {
    "voltage": "voltage_mv",
    "current": "current_ma",
    "state_of_charge": "charge_mah",
    "max_capacity": "capacity_mah",
    "max_discharging_current": "max_discharge_current_ma",
    "max_charging_current": "max_charge_current_ma",
}


class _OutOfRange(CodecError):
    """A number beyond what any battery has."""


class _UnknownOperation(CodecError):
    """A request of a kind that is not there."""


class ObjectReader:
    """Cuts a stream into JSON objects by their brackets, `MAX_REQUEST_SIZE` octets at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0
        self._open = bytearray()
        self._in_string = self._escaped = False

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their object."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append octets, in any split."""
        self._buffer += data

    def next_object(self) -> bytes | None:
        """Return the next object; raises `CodecError` for what begins none, or is too long."""
        if not self._seen:
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(_BETWEEN))]
        if self._buffer and self._buffer[0] != ord("{"):
            raise CodecError("a request begins with a brace", codec=CODEC, path="request")
        for at in range(self._seen, min(len(self._buffer), MAX_REQUEST_SIZE)):
            self._look_at(self._buffer[at])
            if not self._open:
                text = bytes(self._buffer[: at + 1])
                del self._buffer[: at + 1]
                self._seen = 0
                return text
        self._seen = min(len(self._buffer), MAX_REQUEST_SIZE)
        if self._seen == MAX_REQUEST_SIZE:
            what = f"no end within {MAX_REQUEST_SIZE} octets"
            raise CodecError(what, codec=CODEC, path="request")
        return None

    def _look_at(self, octet: int) -> None:
        if self._in_string:
            self._in_string = self._escaped or octet != ord('"')
            self._escaped = not self._escaped and octet == ord("\\")
        elif octet == ord('"'):
            self._in_string = True
        elif octet in _CLOSING:
            self._open.append(_CLOSING[octet])
        elif octet in b"}]" and self._open.pop() != octet:
            # No JSON any more: it ends here, so that nobody waits for an end that cannot come.
            self._open.clear()


class V1Server(ReadingEnd[ObjectReader]):
    """The battery's end."""

    def __init__(self) -> None:
        super().__init__(ObjectReader())

    def next_request(self) -> Request | Rejection | None:
        """Return the next request; raises `CodecError` when it begins none or is too long."""
        text = self._reader.next_object()
        if text is None:
            return None
        try:
            return _decode_request(_parse(text))
        except _OutOfRange as problem:
            fault, reason = Fault.OUT_OF_RANGE, str(problem)
        except _UnknownOperation as problem:
            fault, reason = Fault.UNKNOWN_OPERATION, str(problem)
        except CodecError as problem:
            fault, reason = Fault.MALFORMED, str(problem)
        return Rejection(_refuse(reason), fault, reason)

    def encode(self, request: Request, reply: Reply) -> bytes:
        """Return the answer to ``request``."""
        del request
        match reply:
            case Status():
                return _text({"response": _encode_status(reply)}) + TERMINATOR
            case Done():
                return _text({"response": None}) + TERMINATOR
            case Refusal(reason):
                return _refuse(reason)

    def last_words(self, reason: str) -> bytes:
        """Return an error, with its terminator."""
        return _refuse(reason)


class V1Client:
    """The asker's end."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """How many octets wait for their terminator."""
        return len(self._buffer)

    def encode(self, request: Request) -> bytes:
        """Return the octets of a `GetStatus`, or of a `SetCurrent` from now on for ever."""
        encode_name(request.name, CODEC)
        match request:
            case GetStatus(name):
                return _text({"request": "get_status", "name": name})
            case SetCurrent(name, current_ma, None, None, False):
                check_current(current_ma, CODEC)
                fields = {"request": "set_current", "name": name, "current": current_ma / 1000}
                return _text(fields)
            case _:
                raise CodecError(f"has no {request}", codec=CODEC, path="request")

    def feed(self, data: bytes) -> None:
        """Append octets of the peer, in any split."""
        self._buffer += data

    def next_reply(self, request: Request | None) -> Reply | None:
        """Return the answer to ``request``; raises `CodecError` for what cannot be one."""
        end = self._buffer.find(TERMINATOR, 0, MAX_REPLY_SIZE)
        if end < 0:
            if len(self._buffer) >= MAX_REPLY_SIZE:
                what = f"no end within {MAX_REPLY_SIZE} octets"
                raise CodecError(what, codec=CODEC, path="reply")
            return None
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return PASSED_OVER if request is None else _decode_reply(request, _parse(text))


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")


def _refuse(reason: str) -> bytes:
    return _text({"response": None, "error": reason}) + TERMINATOR


def _parse(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError) as problem:
        raise CodecError("is no JSON", codec=CODEC, path="text") from problem
    if not isinstance(value, dict):
        raise CodecError("is no JSON object", codec=CODEC, path="text")
    return value


def _no_number(word: str) -> Decimal:
    raise ValueError(word)


def _decode_request(fields: Mapping[str, Any]) -> Request:
    kind = _field(fields, "request")
    if kind not in ("get_status", "set_current"):
        raise _UnknownOperation(f"there is no request {kind!r:.40}", codec=CODEC, path="request")
    name = _field(fields, "name")
    if not isinstance(name, str):
        raise CodecError("is no string", codec=CODEC, path="name")
    name = decode_name(name.encode("utf-8", "surrogatepass"), CODEC)
    if kind == "get_status":
        return GetStatus(name)
    return SetCurrent(name, _milli(fields, "current"))


def _decode_reply(request: Request, fields: Mapping[str, Any]) -> Reply:
    response = _field(fields, "response")
    if fields.get("error") is not None:
        return Refusal(str(fields["error"]))
    if not wants_status(request):
        return Done()
    if not isinstance(response, dict):
        raise CodecError("is no status", codec=CODEC, path="response")
    return Status(**{ours: _milli(response, theirs) for theirs, ours in _FIELDS.items()})


def _encode_status(status: Status) -> dict[str, float]:
    # A float of thousandths is written with its three decimals and so read exactly again.
    return {theirs: getattr(status, ours) / 1000 for theirs, ours in _FIELDS.items()}


def _field(fields: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 (whatever JSON holds)
    try:
        return fields[name]
    except KeyError:
        raise CodecError("is missing", codec=CODEC, path=name) from None


def _milli(fields: Mapping[str, Any], name: str) -> int:
    """Return a number of volts, amperes or ampere-hours in thousandths, to the nearest."""
    value = _field(fields, name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise CodecError(f"{value!r:.40} is no number", codec=CODEC, path=name)
    number = Decimal(value)
    # Before it is made an integer: ten to a great power needs a great memory.
    if number and number.adjusted() > _MAX_EXPONENT:
        raise _OutOfRange(f"{number:.3e}", codec=CODEC, path=name)
    thousandths = round(number * 1000)
    if name == "current":
        _check_range(thousandths)
    check_quantity(thousandths, CODEC, name)
    return thousandths


def _check_range(current_ma: int) -> None:
    try:
        check_current(current_ma, CODEC)
    except CodecError as problem:
        raise _OutOfRange(f"{current_ma} mA", codec=CODEC, path="current") from problem


V1: Final = Dialect("v1", V1Server, V1Client, PORT)
