"""How one service code looks on the wire: what is fixed is declared, what follows is a tail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from construct import Struct

from protocols.c12.services.codes import Dialect
from protocols.c12.services.fields import FieldCodec, field_codec
from protocols.errors import CodecError

CODEC: Final = "C12 service"
Values: TypeAlias = dict[str, Any]
EVERYWHERE: Final = frozenset(Dialect)


@dataclass(frozen=True, slots=True)
class Tail:
    """What comes behind the declared fields, up to the end of the octets.

    ``read`` gets those octets and adds fields to the values; ``write`` gets the request and
    returns the octets. Both know the dialect and raise `CodecError`.
    """

    read: Callable[[Values, bytes, Dialect], None]
    write: Callable[[Any, Dialect], bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """One service code: its dataclass, where it is spoken, its declared fields and its tail."""

    code: int
    kind: type[Any]
    dialects: frozenset[Dialect]
    fields: FieldCodec | None
    tail: Tail | None

    def decode(self, data: bytes, dialect: Dialect) -> Any:  # noqa: ANN401 - its dataclass
        """Return the request in ``data``, code included; raises `CodecError`."""
        values, end = ({}, 1) if self.fields is None else self.fields.parse_from(data, 1)
        if self.tail is not None:
            self.tail.read(values, data[end:], dialect)
        elif end != len(data):
            path = self.kind.__name__
            raise CodecError(f"{len(data) - end} trailing octets", codec=CODEC, path=path)
        return self.kind(**values)

    def encode(self, request: Any, dialect: Dialect) -> bytes:  # noqa: ANN401 - its dataclass
        """Return ``request`` with its code; raises `CodecError`."""
        octets = bytes((self.code,))
        if self.fields is not None:
            octets += self.fields.build(request)
        return octets if self.tail is None else octets + self.tail.write(request, dialect)


def layout(
    code: int,
    kind: type[Any],
    *fields: Any,  # noqa: ANN401 - construct's edge
    dialects: frozenset[Dialect] = EVERYWHERE,
    tail: Tail | None = None,
) -> Layout:
    """Declare a service code: ``fields`` named as in the dataclass, then the ``tail``."""
    codec = field_codec(f"{CODEC} {kind.__name__}", Struct(*fields)) if fields else None
    return Layout(code, kind, dialects, codec, tail)


def by_code(layouts: tuple[Layout, ...]) -> Mapping[int, Layout]:
    """Return the table of ``layouts`` by their code."""
    table = {layout.code: layout for layout in layouts}
    assert len(table) == len(layouts), "a service code twice"
    return table
