"""Which requests read some points, and which write them: as few as Modbus allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct as FixedStruct

from protocols.sunspec.image import Name, Place, RegisterMap
from protocols.sunspec.models import Value
from protocols.sunspec.pdu import MAX_READ, MAX_WRITE, ReadRegisters, WriteRegisters


def read_plan(layout: RegisterMap, names: Iterable[Name]) -> list[ReadRegisters]:
    """Return the reads that cover ``names``; one of at most 125 registers is one moment.

    Raises `LocalProtocolError` for a point that is not in the map.
    """
    reads: list[ReadRegisters] = []
    for place in _in_order(layout, names):
        end = place.address + place.point.size
        if reads and end - reads[-1].address <= MAX_READ:
            reads[-1] = ReadRegisters(reads[-1].address, end - reads[-1].address)
        else:
            reads.append(ReadRegisters(place.address, place.point.size))
    return reads


def write_plan(layout: RegisterMap, values: Mapping[Name, Value]) -> list[WriteRegisters]:
    """Return the writes of ``values``; points beside each other go in one, which is done whole.

    Raises `LocalProtocolError` for a point that is not in the map, `CodecError` for a value that
    does not fit.
    """
    writes: list[WriteRegisters] = []
    for place in _in_order(layout, values):
        registers = _registers(place, values[place.name])
        last = writes[-1] if writes else None
        if (
            last is not None
            and last.address + len(last.registers) == place.address
            and len(last.registers) + len(registers) <= MAX_WRITE
        ):
            writes[-1] = WriteRegisters(last.address, last.registers + registers)
        else:
            writes.append(WriteRegisters(place.address, registers))
    return writes


def _in_order(layout: RegisterMap, names: Iterable[Name]) -> list[Place]:
    places = {name: layout.place(name) for name in names}
    return sorted(places.values(), key=lambda place: place.address)


def _registers(place: Place, value: Value) -> tuple[int, ...]:
    return FixedStruct(f">{place.point.size}H").unpack(place.point.encode(value))
