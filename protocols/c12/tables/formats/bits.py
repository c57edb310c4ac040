"""Bit fields and sets: least significant bit first, whatever the byte order.

A bit field of more than one octet is an integer in the byte order of ST0 (facts, 2.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from construct import Bytes

from protocols.c12.tables.formats.field import ByteOrder, ExactAdapter, refuse
from protocols.c12.tables.formats.numbers import integer

# The number of a flag, or the first and the last bit of a number.
Bits: TypeAlias = "int | tuple[int, int]"

RESERVED = "reserved"
"""The entry that carries the bits without a name, in place, so that they survive a round trip."""


class BitField(ExactAdapter):
    """Named bits: a mapping of booleans (one bit) and integers (more).

    Building takes bits that are not named as zero and refuses names that it does not know.
    """

    def __init__(self, size: int, order: ByteOrder, bits: Mapping[str, Bits]) -> None:
        super().__init__(integer(size, order, signed=False).exact)
        self._flags = {name: 1 << at for name, at in bits.items() if isinstance(at, int)}
        self._numbers = {
            name: (at[0], (1 << (at[1] - at[0] + 1)) - 1)
            for name, at in bits.items()
            if isinstance(at, tuple)
        }
        named = sum(self._flags.values()) + sum(m << s for s, m in self._numbers.values())
        self._unnamed = ((1 << 8 * size) - 1) & ~named
        self._known = {*bits, RESERVED}

    def _decode(self, obj: int, _context: object, _path: object) -> dict[str, Any]:
        values: dict[str, Any] = {name: bool(obj & mask) for name, mask in self._flags.items()}
        values |= {name: obj >> at & mask for name, (at, mask) in self._numbers.items()}
        if obj & self._unnamed:
            values[RESERVED] = obj & self._unnamed
        return values

    def _encode(self, obj: Mapping[str, Any], _context: object, path: str) -> int:
        unknown = set(obj) - self._known
        if unknown:
            raise refuse(f"no bits named {', '.join(sorted(unknown))}", path)
        whole = int(obj.get(RESERVED, 0)) & self._unnamed
        whole |= sum(mask for name, mask in self._flags.items() if obj.get(name, False))
        for name, (at, mask) in self._numbers.items():
            value = int(obj.get(name, 0))
            if not 0 <= value <= mask:
                raise refuse(f"{name} = {value} is outside of 0..{mask}", path)
            whole |= value << at
        return whole


class BitSet(ExactAdapter):
    """A SET of ``size`` octets: the numbers of its bits that are one, as a frozenset."""

    def __init__(self, size: int) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        self._size = size

    def _decode(self, obj: bytes, _context: object, _path: object) -> frozenset[int]:
        return members(obj)

    def _encode(self, obj: Iterable[int], _context: object, path: str) -> bytes:
        try:
            return octets_of(obj, self._size)
        except (OverflowError, ValueError) as exc:
            raise refuse(f"a member outside of 0..{8 * self._size - 1}", path) from exc


def members(octets: bytes) -> frozenset[int]:
    """Return the numbers of the bits that are one in a set."""
    whole = int.from_bytes(octets, "little")
    return frozenset(i for i in range(whole.bit_length()) if whole >> i & 1)


def octets_of(numbers: Iterable[int], size: int) -> bytes:
    """Return a set of ``size`` octets; `OverflowError` or `ValueError` for a member outside."""
    return sum(1 << number for number in set(numbers)).to_bytes(size, "little")
