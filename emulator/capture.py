"""Capture profiles: which registers one reading carries, and what DLMS calls them.

Every register is an unsigned 32-bit counter or measure on the wire (double-long-unsigned). Logical
names after the OBIS identification system (IEC 62056-6-1): 1-0 is electricity, channel 0; C 1 and
2 are active energy imported and exported, E the tariff rate; C 32, 52, 72 the phase voltages and
C 14 the frequency, D 7 the instantaneous value, D 8 the time integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from emulator.grid_parameters import GridParameters


class Unit(IntEnum):
    """Units a register can have (DLMS UA Blue Book, table of the physical units)."""

    WATT_HOUR = 30
    VOLT = 35
    HERTZ = 44


@dataclass(frozen=True, slots=True)
class Register:
    """One column of a reading: an instance of interface class 3, attribute 2."""

    name: str
    logical_name: str
    """OBIS code as text, ``A-B:C.D.E.F``."""
    unit: Unit
    scaler: int
    """The value is the integer times ten to this power, in ``unit``."""

    @property
    def logical_name_octets(self) -> bytes:
        """The logical name as the six octets A to F."""
        groups = self.logical_name.replace("-", ".").replace(":", ".").split(".")
        return bytes(int(group) for group in groups)


@dataclass(frozen=True, slots=True)
class CaptureProfile:
    """The registers of one reading, in their order on the wire and in the store."""

    number: int
    name: str
    registers: tuple[Register, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The registers' names: the value columns of the store."""
        return tuple(register.name for register in self.registers)


_ENERGY: Final = (
    Register("import_wh", "1-0:1.8.0.255", Unit.WATT_HOUR, 0),
    Register("import_rate1_wh", "1-0:1.8.1.255", Unit.WATT_HOUR, 0),
    Register("import_rate2_wh", "1-0:1.8.2.255", Unit.WATT_HOUR, 0),
    Register("export_wh", "1-0:2.8.0.255", Unit.WATT_HOUR, 0),
)
_POWER_QUALITY: Final = (
    Register("voltage_mv_l1", "1-0:32.7.0.255", Unit.VOLT, -3),
    Register("voltage_mv_l2", "1-0:52.7.0.255", Unit.VOLT, -3),
    Register("voltage_mv_l3", "1-0:72.7.0.255", Unit.VOLT, -3),
    Register("frequency_mhz", "1-0:14.7.0.255", Unit.HERTZ, -3),
)

LOAD: Final = CaptureProfile(1, "load", _ENERGY)
LOAD_AND_POWER_QUALITY: Final = CaptureProfile(
    2, "load and power quality", _ENERGY + _POWER_QUALITY
)
CAPTURE_PROFILES: Final = {profile.number: profile for profile in (LOAD, LOAD_AND_POWER_QUALITY)}


def capture_profile(grid: GridParameters) -> CaptureProfile:
    """Return the capture profile all meters of a grid use."""
    return LOAD_AND_POWER_QUALITY if grid.power_quality else LOAD
