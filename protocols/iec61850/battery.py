"""A battery in the words of IEC 61850-7-420: logical nodes ZBAT (DBAT in edition 2) and ZBTC.

There is no MMS here: `battery.toml` says which attribute holds what, `values` gives an MMS server
what it is to hold, by reference (``device/node.object.attribute``). Quantities are exact decimals
in the standard's units, volts, amperes and ampere-hours; a server makes them single precision.
ZBAT knows no state of charge.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from protocols.errors import LocalProtocolError

Value: TypeAlias = bool | int | Decimal
EDITIONS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class BatteryPicture:
    """What the attributes are derived from; a current is positive when the battery discharges."""

    voltage_mv: int
    current_ma: int
    capacity_mah: int
    max_discharge_current_ma: int
    nominal_voltage_mv: int
    voltage_high_mv: int
    voltage_low_mv: int
    on_line: bool = True

    @property
    def voltage_high(self) -> bool:
        """Whether the voltage is above its alarm."""
        return self.voltage_mv > self.voltage_high_mv

    @property
    def voltage_low(self) -> bool:
        """Whether the voltage is below its alarm."""
        return self.voltage_mv < self.voltage_low_mv

    @property
    def charging(self) -> bool:
        """Whether current flows into the battery."""
        return self.current_ma < 0

    @property
    def charge_current_ma(self) -> int:
        """The current into the battery, 0 when none flows there."""
        return max(-self.current_ma, 0)

    @property
    def charge_voltage_mv(self) -> int:
        """The voltage that the battery is charged with, 0 when it is not."""
        return self.voltage_mv if self.charging else 0


@dataclass(frozen=True, slots=True)
class Attribute:
    """One data attribute: where it is, of which classes, and what it says (see `battery.toml`)."""

    node: str
    object: str
    cdc: str
    attribute: str
    constraint: str
    source: str | None
    exponent: int
    numbers: Mapping[bool, int] | None
    constant: int | None

    @property
    def reference(self) -> str:
        """The reference within a logical device."""
        return f"{self.node}.{self.object}.{self.attribute}"

    def value(self, picture: BatteryPicture) -> Value:
        """Return what the attribute holds for ``picture``."""
        if self.source is None:
            return self.constant or 0
        said: Value = getattr(picture, self.source)
        if self.numbers is not None:
            return self.numbers[bool(said)]
        return said if isinstance(said, bool) else Decimal(said).scaleb(self.exponent)


@cache
def attributes(edition: int = 1) -> tuple[Attribute, ...]:
    """Return the attributes of a battery; raises `LocalProtocolError` for an unknown edition."""
    if edition not in EDITIONS:
        raise LocalProtocolError(f"IEC 61850-7-420 has no edition {edition} here: say 1 or 2")
    table = tomllib.loads((files(__package__) / "battery.toml").read_text("utf-8"))
    names = {name: name if edition == 1 else later for name, later in table["nodes"].items()}
    return tuple(_attribute(row, names[row["node"]]) for row in table["row"])


def values(picture: BatteryPicture, *, device: str, edition: int = 1) -> dict[str, Value]:
    """Return what the logical ``device`` of a battery holds, by reference."""
    return {
        f"{device}/{attribute.reference}": attribute.value(picture)
        for attribute in attributes(edition)
    }


def _attribute(row: Mapping[str, Any], node: str) -> Attribute:
    numbers = MappingProxyType({True: row["on"], False: row["off"]}) if "on" in row else None
    return Attribute(
        node=node,
        object=row["object"],
        cdc=row["cdc"],
        attribute=row["attribute"],
        constraint=row["constraint"],
        source=row.get("from"),
        exponent=row.get("exponent", 0),
        numbers=numbers,
        constant=row.get("constant"),
    )
