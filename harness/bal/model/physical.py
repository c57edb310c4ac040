"""A battery that is read and commanded by a driver: its nameplate and its last reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from harness.bal.errors import ValueRangeError
from harness.bal.model.battery import Battery
from harness.bal.model.values import (
    MA_MS_PER_MAH,
    NOTHING,
    Kind,
    Nameplate,
    Reading,
    Status,
    Values,
)

VOLTAGE_MAX_MV: Final = 10**9
CURRENT_MAX_MA: Final = 10**12
CHARGE_MAX_MA_MS: Final = 10**12 * MA_MS_PER_MAH
"""Beyond all batteries, also of ten thousand in one; what these bound, 64 bits hold, a power in
milliwatts too."""


class Physical(Battery):
    """A source of readings.

    Attributes:
        interface: where its driver finds it, in the driver's words.
        nameplate: bounds of its currents, and what is expected of it.
        point: its connection point in the grid, if known.
        reading: the last one.
        online: whether it can be reached; false before the first reading.
        unsure: its last order may not be in force, so the next one is given whatever it says.
    """

    __slots__ = ("interface", "nameplate", "online", "point", "reading", "unsure")

    kind = Kind.PHYSICAL

    def __init__(
        self, name: str, interface: str, nameplate: Nameplate, point: str | None = None
    ) -> None:
        super().__init__(name, level=0)
        self.interface = interface
        self.nameplate = nameplate
        self.point = point
        self.reading: Reading | None = None
        self.online = False
        self.unsure = False
        _check_nameplate(name, nameplate)

    def read(self, reading: Reading) -> None:
        """Take a reading; an older one than the last is not taken, but shows that it is there.

        Raises:
            ValueRangeError: the reading says what no battery can be.
        """
        _check_values(self.name, reading.values)
        if reading.expected is not None:
            _check_values(self.name, reading.expected)
        if reading.newest_ms < reading.oldest_ms:
            raise ValueRangeError(
                self.name,
                f"a reading from {reading.oldest_ms} to {reading.newest_ms} ms",
                mend="let the interval start before it ends",
            )
        if self.reading is None or reading.newest_ms >= self.reading.newest_ms:
            self.reading = reading
        self.online = True
        self.forget()

    def lost(self) -> None:
        """Note that it cannot be reached."""
        self.online = False
        self.unsure = True
        self.ordered_ma = 0
        self.forget()

    def below(self) -> Iterable[Battery]:
        """Return nothing: it is made of no other."""
        return ()

    def note_leaf(self, found: dict[str, Physical]) -> None:
        """Add itself to ``found``."""
        found[self.name] = self

    def ready(self) -> bool:
        """Return whether it was read once."""
        return self.reading is not None

    def expected(self) -> Values:
        """Return what it is were it well: the nameplate, with the charge last read."""
        plate = self.nameplate
        read = NOTHING if self.reading is None else self.reading.values
        return Values(
            voltage_mv=read.voltage_mv or plate.voltage_mv,
            current_ma=0,
            max_charge_ma=plate.max_charge_ma,
            max_discharge_ma=plate.max_discharge_ma,
            charge_ma_ms=read.charge_ma_ms,
            capacity_ma_ms=plate.capacity_ma_ms,
        )

    def current(self) -> Values:
        """Return what can be reached of it now.

        That is no more current than it was made for, none out of an empty battery and none into
        a full one.
        """
        if self.reading is None or not self.online:
            return NOTHING
        values, plate = self.reading.values, self.nameplate
        charge_ma = min(values.max_charge_ma, plate.max_charge_ma)
        discharge_ma = min(values.max_discharge_ma, plate.max_discharge_ma)
        return replace(
            values,
            max_charge_ma=charge_ma if values.room_ma_ms else 0,
            max_discharge_ma=discharge_ma if values.charge_ma_ms else 0,
        )

    def _look(self) -> Status:
        reading = self.reading
        return Status(
            name=self.name,
            kind=self.kind,
            expected=self.expected(),
            current=self.current(),
            oldest_ms=None if reading is None else reading.oldest_ms,
            newest_ms=None if reading is None else reading.newest_ms,
            sources=1,
            sources_online=int(self.online),
        )


def _check_nameplate(name: str, plate: Nameplate) -> None:
    limits = (plate.voltage_mv, plate.max_charge_ma, plate.max_discharge_ma)
    if min(limits) < 0 or plate.capacity_ma_ms <= 0:
        raise ValueRangeError(
            name, f"no battery has this nameplate: {plate}", mend="give magnitudes above nothing"
        )
    if not _can_be(plate.voltage_mv, max(limits[1:]), plate.capacity_ma_ms):
        raise ValueRangeError(
            name, f"this nameplate is beyond all batteries: {plate}", mend="look at its units"
        )


def _check_values(name: str, values: Values) -> None:
    magnitudes = (
        values.voltage_mv,
        values.max_charge_ma,
        values.max_discharge_ma,
        values.charge_ma_ms,
        values.capacity_ma_ms,
    )
    if min(magnitudes) < 0:
        raise ValueRangeError(
            name,
            f"a reading with a negative magnitude: {values}",
            mend="only a current can be negative; look at the driver",
        )
    current_ma = max(abs(values.current_ma), values.max_charge_ma, values.max_discharge_ma)
    if not _can_be(values.voltage_mv, current_ma, max(values.charge_ma_ms, values.capacity_ma_ms)):
        raise ValueRangeError(
            name,
            f"a reading beyond all batteries: {values}",
            mend="look at its units, or its scale factors",
        )


def _can_be(voltage_mv: int, current_ma: int, charge_ma_ms: int) -> bool:
    return (
        voltage_mv <= VOLTAGE_MAX_MV
        and current_ma <= CURRENT_MAX_MA
        and charge_ma_ms <= CHARGE_MAX_MA_MS
    )
