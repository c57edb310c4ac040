"""SunSpec models as layouts, from the SunSpec Alliance's own definitions (pysunspec2 brings them).

A model is a run of registers: its number, the length of the rest, then points at fixed places. Many
points come with a scale factor, another point of the model: the value is the number times ten to
its power. A definition is read from the package once, when a layout is first asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from struct import Struct as FixedStruct
from struct import error as StructError
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from protocols.errors import CodecError, LocalProtocolError

Value: TypeAlias = int | str
HEADER_REGISTERS: Final = 2
CODEC: Final = "SunSpec point"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of point: its layout, and the number that says "not implemented"."""

    layout: FixedStruct
    absent: int


def _kinds(names: str, layout: str, absent: int) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), Kind(FixedStruct(layout), absent))


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        **_kinds("int16 sunssf", ">h", -(1 << 15)),
        **_kinds("uint16 enum16 bitfield16 count", ">H", 0xFFFF),
        **_kinds("acc16", ">H", 0),
        **_kinds("pad", ">H", 0x8000),
        **_kinds("int32", ">i", -(1 << 31)),
        **_kinds("uint32 enum32 bitfield32", ">I", 0xFFFF_FFFF),
        **_kinds("acc32", ">I", 0),
        **_kinds("int64", ">q", -(1 << 63)),
        **_kinds("uint64 bitfield64", ">Q", (1 << 64) - 1),
        **_kinds("acc64", ">Q", 0),
    }
)
"""Numbers. Strings are not among them: they are filled up with zeros, and absent when empty."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point: ``offset`` (from the model's number) and ``size`` in registers, and its type.

    ``scale`` names the point that holds its scale factor, or is the factor. ``symbols`` are the
    names of an enumeration's values and of a bit field's bits.
    """

    name: str
    kind: str
    offset: int
    size: int
    scale: str | int | None
    writable: bool
    symbols: Mapping[str, int]

    def encode(self, value: Value | None) -> bytes:
        """Return the registers of ``value``, ``None``: not implemented. Raises `CodecError`."""
        if self.kind == "string":
            octets = str(value or "").encode("utf-8")
            if len(octets) > 2 * self.size:
                raise self._misfit(value)
            return octets.ljust(2 * self.size, b"\0")
        kind = KINDS[self.kind]
        if value is None:
            value = kind.absent
        try:
            packed: bytes = kind.layout.pack(value)
        except (StructError, TypeError) as problem:
            raise self._misfit(value) from problem
        return packed

    def decode(self, octets: bytes) -> Value | None:
        """Return the value of registers; ``None``: not implemented. Raises `CodecError`."""
        if len(octets) != 2 * self.size:
            raise self._misfit(octets.hex())
        if self.kind == "string":
            return octets.split(b"\0", 1)[0].decode("utf-8", "replace") or None
        kind = KINDS[self.kind]
        value: int = kind.layout.unpack(octets)[0]
        return None if value == kind.absent and kind.absent else value

    def _misfit(self, value: object) -> CodecError:
        return CodecError(f"{value!r} in {self.size} registers", codec=CODEC, path=self.name)


@dataclass(frozen=True, slots=True)
class Model:
    """A model: ``number``, ``registers`` with its header, and points by name.

    Points of a group inside are named ``Group.Point``.
    """

    number: int
    registers: int
    points: Mapping[str, Point]

    def point(self, name: str) -> Point:
        """Return the point ``name``; raises `LocalProtocolError`."""
        try:
            return self.points[name]
        except KeyError:
            raise LocalProtocolError(f"SunSpec model {self.number} has no point {name}") from None


@cache
def model(number: int) -> Model:
    """Return the layout of model ``number``.

    Raises:
        LocalProtocolError: there is no such model, or its length depends on counts inside.
    """
    source = files("sunspec2") / "models" / "json" / f"model_{number}.json"
    try:
        definition = json.loads(source.read_text("utf-8"))
    except FileNotFoundError:
        raise LocalProtocolError(f"there is no SunSpec model {number}") from None
    points: dict[str, Point] = {}
    registers = _place(definition["group"], "", 0, points, number)
    return Model(number, registers, MappingProxyType(points))


def _place(
    group: Mapping[str, Any], prefix: str, offset: int, points: dict[str, Point], number: int
) -> int:
    """Put the points of ``group`` and the groups in it one after the other; return the end."""
    if group.get("count", 1) != 1:
        raise LocalProtocolError(f"SunSpec model {number} repeats its group {group['name']}")
    for point in group["points"]:
        name = prefix + point["name"]
        points[name] = Point(
            name=name,
            kind=point["type"],
            offset=offset,
            size=point["size"],
            scale=point.get("sf"),
            writable=point.get("access") == "RW",
            symbols=MappingProxyType({s["name"]: s["value"] for s in point.get("symbols", ())}),
        )
        offset += point["size"]
    for inner in group.get("groups", ()):
        offset = _place(inner, f"{prefix}{inner['name']}.", offset, points, number)
    return offset
