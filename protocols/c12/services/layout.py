"""How one service code looks on the wire: what is fixed is declared, what follows is a tail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from construct import Struct

from protocols.c12.services.codes import Dialect
from protocols.errors import CodecError
from protocols.lowering import Codec, lower

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
    fields: tuple[str, ...]
    codec: Codec | None
    tail: Tail | None

    def decode(self, data: bytes, dialect: Dialect) -> Any:  # noqa: ANN401 - its dataclass
        """Return the request in ``data``, code included; raises `CodecError`."""
        values, end = ({}, 1) if self.codec is None else self.codec.parse_from(data, 1)
        values = {name: _immutable(values[name]) for name in self.fields}
        if self.tail is not None:
            self.tail.read(values, data[end:], dialect)
        elif end != len(data):
            path = self.kind.__name__
            raise CodecError(f"{len(data) - end} trailing octets", codec=CODEC, path=path)
        return self.kind(**values)

    def encode(self, request: Any, dialect: Dialect) -> bytes:  # noqa: ANN401 - its dataclass
        """Return ``request`` with its code; raises `CodecError`."""
        octets = bytes((self.code,))
        if self.codec is not None:
            octets += self.codec.build({name: getattr(request, name) for name in self.fields})
        return octets if self.tail is None else octets + self.tail.write(request, dialect)


def layout(
    code: int,
    kind: type[Any],
    *fields: Any,  # noqa: ANN401 - construct's edge
    dialects: frozenset[Dialect] = EVERYWHERE,
    tail: Tail | None = None,
) -> Layout:
    """Declare a service code: ``fields`` named as in the dataclass, then the ``tail``.

    A declared field that the dataclass does not have is derived when it is built.
    """
    known = kind.__dataclass_fields__
    names = tuple(field.name for field in fields if field.name in known)
    codec = lower(Struct(*fields), f"{CODEC} {kind.__name__}") if fields else None
    return Layout(code, kind, dialects, names, codec, tail)


def by_code(layouts: tuple[Layout, ...]) -> Mapping[int, Layout]:
    """Return the table of ``layouts`` by their code."""
    table = {layout.code: layout for layout in layouts}
    assert len(table) == len(layouts), "a service code twice"
    return table


def _immutable(value: Any) -> Any:  # noqa: ANN401 - any field
    return tuple(value) if isinstance(value, list) else value
