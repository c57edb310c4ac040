"""Register 03 of a JBD battery management system: the pack, in one answer.

Values are those of batteries everywhere here: a current is positive when the battery *discharges*.
On the wire it is the other way round. ``PACK`` is the specification and the judge in the tests; its
head runs lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from struct import Struct as FixedStruct
from struct import error as StructError
from typing import Final

from construct import Array, GreedyBytes, Int8ub, Int16sb, Int16ub, Struct, this

from protocols.errors import CodecError
from protocols.lowering import lower

STEP: Final = 10
"""Voltage, current and charge come in steps of 10 mV, 10 mA, 10 mAh."""

HEAD: Final = Struct(
    "voltage" / Int16ub * "10 mV",
    "current" / Int16sb * "10 mA, negative: discharge",
    "remaining" / Int16ub * "10 mAh",
    "full" / Int16ub * "10 mAh",
    "cycles" / Int16ub,
    "date" / Int16ub * "(year - 2000) << 9 | month << 5 | day",
    "balance_low" / Int16ub * "cells 1 to 16 that are being balanced",
    "balance_high" / Int16ub * "cells 17 to 32",
    "errors" / Int16ub,
    "version" / Int8ub,
    "charge_percent" / Int8ub,
    "mosfets" / Int8ub,
    "cells" / Int8ub,
    "temperature_count" / Int8ub,
)
PACK: Final = HEAD + Struct(
    "temperatures" / Array(this.temperature_count, Int16ub) * "0.1 K",
    "extra" / GreedyBytes * "of newer firmware",
)
_HEAD: Final = lower(HEAD, "JBD register 03")
_HEAD_SIZE: Final = HEAD.sizeof()
_TEMPERATURE: Final = FixedStruct(">H")


class Mosfets(IntFlag):
    """Which way current may flow now; a set bit: that transistor conducts."""

    NONE = 0
    CHARGE = 1
    DISCHARGE = 2
    BOTH = 3


class Protection(IntFlag):
    """What the battery management system protects its cells from at the moment."""

    NONE = 0
    CELL_OVERVOLTAGE = 1 << 0
    CELL_UNDERVOLTAGE = 1 << 1
    PACK_OVERVOLTAGE = 1 << 2
    PACK_UNDERVOLTAGE = 1 << 3
    CHARGE_OVERTEMPERATURE = 1 << 4
    CHARGE_UNDERTEMPERATURE = 1 << 5
    DISCHARGE_OVERTEMPERATURE = 1 << 6
    DISCHARGE_UNDERTEMPERATURE = 1 << 7
    CHARGE_OVERCURRENT = 1 << 8
    DISCHARGE_OVERCURRENT = 1 << 9
    SHORT_CIRCUIT = 1 << 10
    FRONT_END_FAULT = 1 << 11
    LOCKED = 1 << 12
    """A transistor is off because register E1 says so."""


@dataclass(frozen=True, slots=True)
class PackStatus:
    """The pack: voltage, current (positive: discharge), charge left and when full, and the rest.

    The wire holds voltage up to 655,350 mV, current within 327,670 mA, charge up to 655,350 mAh,
    each in steps of ten, cut towards zero. ``manufactured`` is year (2000 to 2127), month, day.
    ``balancing`` has a bit for each of 32 cells. ``temperatures_dk`` are tenths of a kelvin.
    """

    voltage_mv: int
    current_ma: int
    remaining_mah: int
    full_mah: int
    charge_percent: int
    mosfets: Mosfets
    cells: int
    cycles: int = 0
    manufactured: tuple[int, int, int] = (2000, 0, 0)
    balancing: int = 0
    protection: Protection = Protection.NONE
    version: int = 0x10
    temperatures_dk: tuple[int, ...] = ()
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the data of the register; raises `CodecError` when a value does not fit."""
        head = _HEAD.build(
            {
                "voltage": self.voltage_mv // STEP,
                "current": _towards_zero(-self.current_ma),
                "remaining": self.remaining_mah // STEP,
                "full": self.full_mah // STEP,
                "cycles": self.cycles,
                "date": _encode_date(*self.manufactured),
                "balance_low": self.balancing & 0xFFFF,
                "balance_high": self.balancing >> 16,
                "errors": int(self.protection),
                "version": self.version,
                "charge_percent": self.charge_percent,
                "mosfets": int(self.mosfets),
                "cells": self.cells,
                "temperature_count": len(self.temperatures_dk),
            }
        )
        return head + _encode_temperatures(self.temperatures_dk) + self.extra

    @classmethod
    def decode(cls, data: bytes) -> PackStatus:
        """Return what the register's ``data`` say; raises `CodecError`."""
        pack = _HEAD.parse(data)
        extra_at = _HEAD_SIZE + 2 * pack["temperature_count"]
        temperatures = data[_HEAD_SIZE:extra_at]
        if len(data) < extra_at:
            what = f"{len(temperatures)} octets of {pack['temperature_count']} temperatures"
            raise CodecError(what, codec=_HEAD.name, path="temperatures")
        date = pack["date"]
        return cls(
            voltage_mv=pack["voltage"] * STEP,
            current_ma=-pack["current"] * STEP,
            remaining_mah=pack["remaining"] * STEP,
            full_mah=pack["full"] * STEP,
            charge_percent=pack["charge_percent"],
            mosfets=Mosfets(pack["mosfets"]),
            cells=pack["cells"],
            cycles=pack["cycles"],
            manufactured=(2000 + (date >> 9), date >> 5 & 0xF, date & 0x1F),
            balancing=pack["balance_high"] << 16 | pack["balance_low"],
            protection=Protection(pack["errors"]),
            version=pack["version"],
            temperatures_dk=tuple(value for (value,) in _TEMPERATURE.iter_unpack(temperatures)),
            extra=data[extra_at:],
        )


def _towards_zero(value: int) -> int:
    return abs(value) // STEP * (-1 if value < 0 else 1)


def _encode_temperatures(temperatures_dk: tuple[int, ...]) -> bytes:
    try:
        return b"".join(map(_TEMPERATURE.pack, temperatures_dk))
    except StructError as problem:
        raise CodecError(str(problem), codec=_HEAD.name, path="temperatures") from problem


def _encode_date(year: int, month: int, day: int) -> int:
    if not (2000 <= year <= 2127 and 0 <= month <= 15 and 0 <= day <= 31):
        raise CodecError(f"{year}-{month}-{day}", codec=_HEAD.name, path="date")
    return (year - 2000) << 9 | month << 5 | day
