"""The registers of a JBD battery management system that are served here, as a table.

Two things are easily confused: `status.Mosfets` is what conducts now, register E1 is what somebody
wants *disabled* (`Disabled`).

A battery management system switches current, it does not set one. What does is a current regulator
beside it (the public drivers know a bench supply on a line of its own). Here it is on the same
line, at register `REGULATOR`, which no JBD device has: a battery that is driven by a foreign host
is left where its load drives it, and still obeys E1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntFlag
from struct import Struct as FixedStruct
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from protocols.bms.jbd.status import STEP, PackStatus
from protocols.errors import CodecError

ValueT = TypeVar("ValueT")

_U16: Final = FixedStruct(">H")
_S16: Final = FixedStruct(">h")
_S32: Final = FixedStruct(">i")
MAX_CELLS: Final = 32


class Disabled(IntFlag):
    """What register E1 forbids, whatever the protection allows."""

    NONE = 0
    CHARGE = 1
    DISCHARGE = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Register(Generic[ValueT]):
    """One register: what may be done with it, and its value on the wire.

    ``factory`` registers answer only between `ENTER_FACTORY_MODE` and `EXIT_FACTORY_MODE`.
    ``encode`` and ``decode`` raise `CodecError`.
    """

    number: int
    name: str
    encode: Callable[[ValueT], bytes]
    decode: Callable[[bytes], ValueT]
    readable: bool = True
    writable: bool = False
    factory: bool = False

    def __str__(self) -> str:
        return f"register {self.number:02X} ({self.name})"


def _fixed(
    layout: FixedStruct, name: str, scale: int = 1
) -> tuple[Callable[[int], bytes], Callable[[bytes], int]]:
    """Return codecs of one integer that is ``scale`` times what the wire holds."""

    def encode(value: int) -> bytes:
        # Towards zero, so that no limit grows by being written down.
        count = abs(value) // abs(scale) * (1 if (value < 0) == (scale < 0) else -1)
        bits = 8 * layout.size
        low = 0 if layout is _U16 else -(1 << bits - 1)
        if not low <= count < low + (1 << bits):
            raise CodecError(f"{value} in {bits} bits", codec=name)
        octets: bytes = layout.pack(count)
        return octets

    def decode(data: bytes) -> int:
        if len(data) != layout.size:
            raise CodecError(f"{len(data)} octets, not {layout.size}", codec=name)
        count: int = layout.unpack(data)[0]
        return count * scale

    return encode, decode


def _encode_cells(cells_mv: tuple[int, ...]) -> bytes:
    if len(cells_mv) > MAX_CELLS or not all(0 <= cell <= 0xFFFF for cell in cells_mv):
        raise CodecError("more than 32 cells, or a voltage over 65,535 mV", codec="JBD register 04")
    return b"".join(map(_U16.pack, cells_mv))


def _decode_cells(data: bytes) -> tuple[int, ...]:
    if len(data) % 2 or len(data) > 2 * MAX_CELLS:
        raise CodecError(f"{len(data)} octets of cell voltages", codec="JBD register 04")
    return tuple(cell for (cell,) in _U16.iter_unpack(data))


def _encode_name(name: str) -> bytes:
    octets = name.encode("latin-1", "replace")
    if len(octets) > 0xFF:
        raise CodecError(f"a name of {len(octets)} octets", codec="JBD register 05")
    return octets


def _encode_disabled(disabled: Disabled) -> bytes:
    return _U16.pack(disabled)


def _decode_disabled(data: bytes) -> Disabled:
    if len(data) != _U16.size or data[0] or data[1] > Disabled.BOTH:
        raise CodecError(f"{data.hex()} is no mask of two bits", codec="JBD register E1")
    return Disabled(data[1])


STATUS: Final[Register[PackStatus]] = Register(
    0x03, "basic information", PackStatus.encode, PackStatus.decode
)
CELL_VOLTAGES: Final[Register[tuple[int, ...]]] = Register(
    0x04, "cell voltages, mV", _encode_cells, _decode_cells
)
DEVICE_NAME: Final[Register[str]] = Register(
    0x05, "device name", _encode_name, lambda data: data.decode("latin-1")
)
MOSFET_CONTROL: Final[Register[Disabled]] = Register(
    0xE1, "transistor control", _encode_disabled, _decode_disabled, readable=False, writable=True
)
ENTER_FACTORY_MODE: Final[Register[int]] = Register(
    0x00, "enter factory mode", *_fixed(_U16, "JBD register 00"), readable=False, writable=True
)
EXIT_FACTORY_MODE: Final[Register[int]] = Register(
    0x01, "exit factory mode", *_fixed(_U16, "JBD register 01"), readable=False, writable=True
)
ENTER_CODE: Final = 0x5678
EXIT_CODES: Final = frozenset((0x0000, 0x2828))
"""Leave without saving, and save what was written."""

# The sign of a limit is the sign of its current on the wire; here both are magnitudes.
MAX_CHARGE_CURRENT: Final[Register[int]] = Register(
    0x28, "charge overcurrent, mA", *_fixed(_S16, "JBD register 28", STEP), factory=True
)
MAX_DISCHARGE_CURRENT: Final[Register[int]] = Register(
    0x29, "discharge overcurrent, mA", *_fixed(_S16, "JBD register 29", -STEP), factory=True
)
REGULATOR: Final[Register[int]] = Register(
    0xF0, "regulated current, mA", *_fixed(_S32, "JBD register F0", -1), writable=True
)

REGISTERS: Final[Mapping[int, Register[Any]]] = MappingProxyType(
    {
        register.number: register
        for register in (
            ENTER_FACTORY_MODE,
            EXIT_FACTORY_MODE,
            STATUS,
            CELL_VOLTAGES,
            DEVICE_NAME,
            MAX_CHARGE_CURRENT,
            MAX_DISCHARGE_CURRENT,
            MOSFET_CONTROL,
            REGULATOR,
        )
    }
)
"""All of them, by number."""
