"""The construct pieces that the service declarations share, and how their values become fields.

Titles are BER elements and stay octets on our side, tag and length included. Their declaration is
a plain structure all the same, so that it can be lowered; `FieldCodec` joins and splits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from construct import Bytes, Int8ub, Rebuild, Renamed, Struct, len_, this

from protocols.errors import CodecError
from protocols.lowering import Codec, lower

TITLE_TAGS: Final = frozenset({0x06, 0x80, 0x0D})
"""Absolute; relative as in the ACSE header; relative as some write it in Register."""

MAX_ELEMENT_CONTENTS: Final = 127
"""What one octet of BER length can say; no title is longer."""

ELEMENT: Final = Struct(
    "tag" / Int8ub,
    "length" / Rebuild(Int8ub, len_(this.contents)),
    "contents" / Bytes(this.length),
)
"""A title or an identifier: BER tag 06, 80 or 0D, one octet of length, contents."""

ADDRESS: Final = Struct(
    "length" / Rebuild(Int8ub, len_(this.address)) * "octets of the address",
    "address" / Bytes(this.length),
)
"""A native address behind its length."""

_ELEMENT: Final = lower(ELEMENT, "C12 element")


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """Runs a declaration for objects with fields of the same names.

    ``names`` are the fields, ``elements`` those of them that are BER elements.
    """

    codec: Codec
    names: tuple[str, ...]
    elements: frozenset[str]

    def parse_from(self, data: bytes, offset: int = 0) -> tuple[dict[str, Any], int]:
        """Return the fields at ``offset`` and the offset after them. Raises `CodecError`."""
        values, end = self.codec.parse_from(data, offset)
        return {name: self._value(name, values[name]) for name in self.names}, end

    def parse(self, data: bytes) -> dict[str, Any]:
        """Return the fields that fill ``data``. Raises `CodecError`, also for what is left."""
        values, end = self.parse_from(data)
        if end != len(data):
            raise CodecError(f"{len(data) - end} trailing octets", codec=self.codec.name)
        return values

    def build(self, source: object) -> bytes:
        """Return the fields of ``source`` as octets. Raises `CodecError`."""
        values = {name: getattr(source, name) for name in self.names}
        for name in self.elements:
            values[name] = _split(values[name], name)
        return self.codec.build(values)

    def _value(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any field
        if name in self.elements:
            return _join(value, name)
        return tuple(value) if isinstance(value, list) else value


def field_codec(name: str, declaration: Any) -> FieldCodec:  # noqa: ANN401 - construct's edge
    """Return the codec of a Struct, or of one inside a Prefixed; derived lengths are no fields."""
    fields = getattr(declaration, "subcons", None) or declaration.subcon.subcons
    plain = {field.name: _unnamed(field) for field in fields}
    names = tuple(name for name, each in plain.items() if not isinstance(each, Rebuild))
    elements = frozenset(name for name, each in plain.items() if each is ELEMENT)
    return FieldCodec(lower(declaration, name), names, elements)


def decode_elements(octets: bytes) -> tuple[bytes, ...]:
    """Return the BER elements that fill ``octets``; raises `CodecError`."""
    elements, offset = [], 0
    while offset < len(octets):
        value, offset = _ELEMENT.parse_from(octets, offset)
        elements.append(_join(value, "titles"))
    return tuple(elements)


def encode_elements(elements: tuple[bytes, ...]) -> bytes:
    """Return ``elements`` one behind the other; raises `CodecError`."""
    return b"".join(_ELEMENT.build(_split(element, "titles")) for element in elements)


def _join(parsed: Mapping[str, Any], path: str) -> bytes:
    contents: bytes = parsed["contents"]
    _check(parsed["tag"], len(contents), path)
    return bytes((parsed["tag"], len(contents))) + contents


def _split(element: bytes, path: str) -> dict[str, Any]:
    if len(element) < 2 or element[1] != len(element) - 2:
        raise CodecError(f"{element.hex()} is no element", codec=_ELEMENT.name, path=path)
    _check(element[0], element[1], path)
    return {"tag": element[0], "contents": element[2:]}


def _check(tag: int, length: int, path: str) -> None:
    if tag not in TITLE_TAGS:
        raise CodecError(f"tag {tag:#04x}", codec=_ELEMENT.name, path=f"{path}.tag")
    if length > MAX_ELEMENT_CONTENTS:
        raise CodecError(f"{length} octets", codec=_ELEMENT.name, path=f"{path}.length")


def _unnamed(field: Any) -> Any:  # noqa: ANN401 - construct's edge
    while isinstance(field, Renamed):
        field = field.subcon
    return field
