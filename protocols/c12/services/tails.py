"""What follows a request's declared fields: data, titles, and what only one dialect has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from construct import GreedyBytes, Int8ub, Int16ub, Prefixed, Struct

from protocols.c12.services.codes import Dialect
from protocols.c12.services.fields import decode_elements, encode_elements
from protocols.c12.services.layout import CODEC, Tail, Values
from protocols.c12.services.table_data import decode_table_data, encode_table_data
from protocols.errors import CodecError
from protocols.lowering import Codec, lower

MAX_MESSAGE_OCTETS: Final = 1 << 16
"""What one message over the local port may hold."""

MAX_TICKET_OCTETS: Final = 254
PATTERN_BIT: Final = 0x80
"""Bit 7 of a node type: a domain pattern follows."""

# A declaration cannot see the end of its octets, so each of these ends a request.
TIMEOUT_FIELD: Final = Struct("value" / Int16ub * "seconds of silence that end the session")
USER_FIELD: Final = Struct("value" / Int16ub * "user identifier, sessionless")
CHANNELS_FIELD: Final = Struct("value" / Int8ub * "concurrent channels")
PATTERN_FIELD: Final = Struct("value" / Prefixed(Int8ub, GreedyBytes) * "domain pattern")
TICKET_FIELD: Final = Prefixed(
    Int8ub, Struct("key_id" / Int8ub, "ticket" / GreedyBytes * "encrypted")
)

_TICKET: Final = lower(TICKET_FIELD, f"{CODEC} Authenticate")


def _whole(codec: Codec, octets: bytes) -> Any:  # noqa: ANN401 - construct's edge
    value, end = codec.parse_from(octets)
    if end != len(octets):
        raise CodecError(f"{len(octets) - end} trailing octets", codec=codec.name)
    return value


def _read_data(values: Values, octets: bytes, _dialect: Dialect) -> None:
    values["data"] = decode_table_data(octets)


def _read_message(values: Values, octets: bytes, _dialect: Dialect) -> None:
    values["message"] = _bounded(octets, MAX_MESSAGE_OCTETS, "message")


def _read_titles(values: Values, octets: bytes, _dialect: Dialect) -> None:
    values["titles"] = decode_elements(octets)


def _read_ticket(values: Values, octets: bytes, _dialect: Dialect) -> None:
    values |= decode_ticket(octets)


def decode_ticket(octets: bytes) -> dict[str, Any]:
    """Return the ``key_id`` and the ``ticket`` that fill ``octets``; raises `CodecError`."""
    value: dict[str, Any] = _whole(_TICKET, octets)
    return value


def encode_ticket(key_id: int, ticket: bytes) -> bytes:
    """Return a ticket behind length and key identifier; raises `CodecError`."""
    _bounded(ticket, MAX_TICKET_OCTETS, "ticket")
    return _TICKET.build({"key_id": key_id, "ticket": ticket})


def _bounded(octets: bytes, limit: int, path: str) -> bytes:
    if len(octets) > limit:
        raise CodecError(f"{len(octets)} octets", codec=CODEC, path=path)
    return octets


def _one_field(
    name: str,
    declaration: Any,  # noqa: ANN401 - construct's edge
    required: Callable[[Values, Dialect], bool | None],
) -> Tail:
    """Return a tail of one field; ``required`` says yes, no (``False``) or either (``None``)."""
    codec = lower(declaration, f"{CODEC} {name}")

    def refuse_unless(there: bool, values: Values, dialect: Dialect) -> None:
        if required(values, dialect) not in (None, there):
            what = "not allowed" if there else "missing"
            raise CodecError(f"{what} in {dialect.name}", codec=CODEC, path=name)

    def read(values: Values, octets: bytes, dialect: Dialect) -> None:
        refuse_unless(bool(octets), values, dialect)
        values[name] = _whole(codec, octets)["value"] if octets else None

    def write(request: Any, dialect: Dialect) -> bytes:  # noqa: ANN401 - one of the requests
        value = getattr(request, name)
        values = {key: getattr(request, key) for key in request.__dataclass_fields__}
        refuse_unless(value is not None, values, dialect)
        return b"" if value is None else codec.build({"value": value})

    return Tail(read, write)


def _network(_values: Values, dialect: Dialect) -> bool:
    return dialect is Dialect.C12_22


def _network_perhaps(_values: Values, dialect: Dialect) -> bool | None:
    return None if dialect is Dialect.C12_22 else False


def _patterned(values: Values, _dialect: Dialect) -> bool:
    return bool(values["node_type"] & PATTERN_BIT)


TABLE_DATA: Final = Tail(_read_data, lambda request, _: encode_table_data(request.data))
MESSAGE: Final = Tail(
    _read_message, lambda request, _: _bounded(request.message, MAX_MESSAGE_OCTETS, "message")
)
TITLES: Final = Tail(_read_titles, lambda request, _: encode_elements(request.titles))
TICKET: Final = Tail(_read_ticket, lambda request, _: encode_ticket(request.key_id, request.ticket))
TIMEOUT: Final = _one_field("timeout_s", TIMEOUT_FIELD, _network)
SECURITY_USER: Final = _one_field("user_id", USER_FIELD, _network_perhaps)
CHANNELS: Final = _one_field("channels", CHANNELS_FIELD, _network_perhaps)
PATTERN: Final = _one_field("pattern", PATTERN_FIELD, _patterned)
