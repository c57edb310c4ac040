"""A device's registers: which models lie where (`RegisterMap`), and what they hold (`Image`).

A map begins with the mark "SunS" at one of three addresses, then model after model, then the end
model FFFF of length 0. One map is shared by all devices of a kind; an image is a few hundred
octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct as FixedStruct
from types import MappingProxyType
from typing import Final, TypeAlias

from protocols.errors import LocalProtocolError
from protocols.sunspec.models import HEADER_REGISTERS, Point, Value, model

MARK: Final = b"SunS"
MARK_REGISTERS: Final = 2
BASES: Final = (40_000, 0, 50_000)
"""Where a map may begin, in the order that hosts look."""

END_MODEL: Final = 0xFFFF
_HEADER: Final = FixedStruct(">HH")
Name: TypeAlias = tuple[int, str]
"""Number of the model and name of the point."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point at its ``address``."""

    model: int
    point: Point
    address: int

    @property
    def name(self) -> Name:
        """What it is called."""
        return self.model, self.point.name


@dataclass(frozen=True, slots=True)
class Change:
    """A point that somebody wants to have another value; ``None``: not implemented."""

    name: Name
    value: Value | None


class IllegalAddress(LocalProtocolError):
    """Registers that are not there, or that are no whole writable points."""


class IllegalValue(LocalProtocolError):
    """What no point can be set to: "not implemented", or a number that an enumeration lacks."""


@dataclass(frozen=True, slots=True)
class Run:
    """The registers of one model: its number, where they begin, and how many with the header."""

    model: int
    address: int
    registers: int


class RegisterMap:
    """Where the points of some models are: ``runs`` one after the other behind the mark.

    A run of a model without a definition is passed over; of one that is shorter than its definition
    only the points that it has are there; of two of one model the first counts.
    """

    def __init__(self, runs: Sequence[Run], *, base: int = BASES[0]) -> None:
        self.base = base
        self.runs = tuple(runs)
        self.places: Mapping[Name, Place]
        """All points by name."""
        places: dict[Name, Place] = {}
        end = base + MARK_REGISTERS
        for run in runs:
            end = run.address + run.registers
            for place in _places(run):
                places.setdefault(place.name, place)
        self.places = MappingProxyType(places)
        self.end = end + HEADER_REGISTERS
        """The address after the last register."""
        self._by_address = {place.address: place for place in places.values()}

    @classmethod
    def of(cls, models: Iterable[int], *, base: int = BASES[0]) -> RegisterMap:
        """Return the map of ``models`` in this order; raises `LocalProtocolError`."""
        runs: list[Run] = []
        address = base + MARK_REGISTERS
        for layout in map(model, models):
            runs.append(Run(layout.number, address, layout.registers))
            address += layout.registers
        return cls(runs, base=base)

    def place(self, name: Name) -> Place:
        """Return where the point ``name`` is; raises `LocalProtocolError`."""
        try:
            return self.places[name]
        except KeyError:
            raise LocalProtocolError(f"no point {name[1]} of model {name[0]} in the map") from None

    def whole_points(self, address: int, count: int) -> list[Place]:
        """Return the points that ``count`` registers are, exactly; raises `IllegalAddress`."""
        places: list[Place] = []
        end = address + count
        while address < end:
            place = self._by_address.get(address)
            if place is None or address + place.point.size > end:
                raise IllegalAddress(f"register {address} begins no point within the write")
            places.append(place)
            address += place.point.size
        return places


class Image:
    """The registers of one device: every point not implemented but what ``values`` say.

    Numbers and lengths of models are there from the beginning. Raises `LocalProtocolError` for a
    point that the map does not have, `CodecError` for a value that does not fit.
    """

    def __init__(self, layout: RegisterMap, values: Mapping[Name, Value]) -> None:
        self.map = layout
        self._octets = bytearray(_blank(layout))
        for name, value in values.items():
            self.set(name, value)

    def copy(self) -> Image:
        """Return an image of its own with the same registers."""
        twin = Image.__new__(Image)
        twin.map = self.map
        twin._octets = bytearray(self._octets)
        return twin

    def get(self, name: Name) -> Value | None:
        """Return what the point ``name`` holds; ``None``: not implemented."""
        return self.at(self.map.place(name))

    def at(self, place: Place) -> Value | None:
        """Return what the point at ``place``, of this map, holds; ``None``: not implemented."""
        start = 2 * (place.address - self.map.base)
        return place.point.decode(bytes(self._octets[start : start + 2 * place.point.size]))

    def number(self, name: Name) -> int | None:
        """Return what the point ``name``, which is no string, holds."""
        value = self.get(name)
        if isinstance(value, str):
            raise LocalProtocolError(f"point {name[1]} of model {name[0]} is a string")
        return value

    def set(self, name: Name, value: Value | None) -> None:
        """Let the point ``name`` hold ``value``."""
        self.put(self.map.place(name), value)

    def put(self, place: Place, value: Value | None) -> None:
        """Let the point at ``place``, of this map, hold ``value``."""
        start = 2 * (place.address - self.map.base)
        self._octets[start : start + 2 * place.point.size] = place.point.encode(value)

    def apply(self, changes: Iterable[Change]) -> None:
        """Let points hold what ``changes`` say."""
        for change in changes:
            self.set(change.name, change.value)

    def octets(self, address: int, count: int) -> bytes:
        """Return ``count`` registers from ``address`` on; raises `IllegalAddress`."""
        if not self.map.base <= address < address + count <= self.map.end:
            raise IllegalAddress(
                f"registers {address} to {address + count - 1} are not all within "
                f"{self.map.base} to {self.map.end - 1}"
            )
        start = 2 * (address - self.map.base)
        return bytes(self._octets[start : start + 2 * count])

    def read(self, address: int, count: int) -> tuple[int, ...]:
        """Return ``count`` registers from ``address`` on; raises `IllegalAddress`."""
        return _registers(count).unpack(self.octets(address, count))

    def changes(self, address: int, registers: Sequence[int]) -> tuple[Change, ...]:
        """Return what writing ``registers`` at ``address`` would change; nothing is written.

        Raises:
            IllegalAddress: they are no whole points, or one is not writable or not implemented.
            IllegalValue: a point would be no longer implemented, or have no meaning.
        """
        octets = _registers(len(registers)).pack(*registers)
        changes: list[Change] = []
        for place in self.map.whole_points(address, len(registers)):
            if not place.point.writable:
                raise IllegalAddress(
                    f"point {place.point.name} of model {place.model} is read-only"
                )
            start = 2 * (place.address - address)
            value = place.point.decode(octets[start : start + 2 * place.point.size])
            if self.get(place.name) is None:
                raise IllegalAddress(
                    f"point {place.point.name} of model {place.model} is not implemented"
                )
            changes.append(Change(place.name, _settable(place, value)))
        return tuple(changes)

    def load(self, address: int, registers: Sequence[int]) -> None:
        """Take registers that were read from a device; raises `IllegalAddress`."""
        self.octets(address, len(registers))
        start = 2 * (address - self.map.base)
        octets = _registers(len(registers)).pack(*registers)
        self._octets[start : start + len(octets)] = octets


@lru_cache(maxsize=64)
def shared_map(base: int, runs: tuple[Run, ...]) -> RegisterMap:
    """Return the map of ``runs``: one for all devices that have the same."""
    return RegisterMap(runs, base=base)


def _settable(place: Place, value: Value | None) -> Value | None:
    point = place.point
    if value is None and point.kind != "string":
        # Nobody could ever write it again.
        raise IllegalValue(f"point {point.name} of model {place.model} would be absent")
    if point.kind.startswith("enum") and point.symbols and value not in point.symbols.values():
        raise IllegalValue(f"point {point.name} of model {place.model} has no {value}")
    return value


@lru_cache(maxsize=128)
def _registers(count: int) -> FixedStruct:
    return FixedStruct(f">{count}H")


def _places(run: Run) -> Iterable[Place]:
    try:
        layout = model(run.model)
    except LocalProtocolError:
        return
    for point in layout.points.values():
        if point.offset + point.size <= run.registers:
            yield Place(run.model, point, run.address + point.offset)


def _blank(layout: RegisterMap) -> bytes:
    octets = bytearray(2 * (layout.end - layout.base))
    octets[: len(MARK)] = MARK
    for place in layout.places.values():
        start = 2 * (place.address - layout.base)
        octets[start : start + 2 * place.point.size] = place.point.encode(None)
    for run in layout.runs:
        start = 2 * (run.address - layout.base)
        octets[start : start + 4] = _HEADER.pack(run.model, run.registers - HEADER_REGISTERS)
    octets[-4:] = _HEADER.pack(END_MODEL, 0)
    return bytes(octets)
