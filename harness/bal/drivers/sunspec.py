"""Batteries with a SunSpec face over Modbus TCP, commanded by power.

SunSpec sets no current (`protocols.sunspec.storage`): the power is that of the current at the
voltage last read, so a voltage is read before the first command. What was told can be read back as
a power; which current that was is remembered.
"""

from __future__ import annotations

from typing import TypeVar

import trio

from harness.bal.drivers.driver import Driver, DriverError, DriverRefusedError, Line
from harness.bal.model.values import MA_MS_PER_MAH, PPM, Reading, Values
from protocols.errors import LocalProtocolError
from protocols.sunspec import (
    Fault,
    Found,
    JobRefused,
    PowerRead,
    PowerSet,
    StatusRead,
    StorageStatus,
    SunSpecHost,
    power_of_current,
)

T = TypeVar("T", Found, StatusRead, PowerSet, PowerRead)


class _NoMapError(DriverError):
    """The register map is not where it was, or is none."""


class SunSpecDriver(Driver):
    """A line to a battery that speaks SunSpec."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._remembered = line.memory.layout is not None
        self._host = SunSpecHost(
            unit=line.endpoint.unit, timeout_s=line.timeout_s, layout=line.memory.layout
        )
        self._voltage_mv: int | None = None

    async def begin(self) -> None:
        """Find the register map, unless an earlier line has found it. Raises `DriverError`.

        That saves a round trip for each of its models. Readings say when it holds no more.
        """
        if not self._remembered:
            await self._find()

    async def read(self) -> Reading:
        """Return a reading; as many moments as requests. Raises `DriverError`."""
        try:
            return await self._read()
        except (_NoMapError, DriverRefusedError):
            if not self._remembered:
                raise
        self._remembered = False
        await self._find()
        return await self._read()

    async def in_force(self, current_ma: int) -> bool:
        """Return whether it holds the power that was sent for this current last.

        Raises `DriverError`.
        """
        await self._voltage()  # the map is known to hold after that
        try:
            self._host.read_power(now=trio.current_time())
            power_mw = (await self._outcome(PowerRead)).power_mw
        except (LocalProtocolError, DriverRefusedError):
            return False
        return (current_ma, power_mw) in ((0, 0), self._memory.sent)

    async def number(self, current_ma: int) -> int:
        """Return the power of a current, mW. Raises `DriverError`."""
        return power_of_current(current_ma, await self._voltage())

    async def send(self, current_ma: int, number: int) -> None:
        """Set the power of a current. Raises `DriverRefusedError`, `DriverError`."""
        try:
            self._host.set_power(number, now=trio.current_time())
        except LocalProtocolError as error:
            raise DriverRefusedError(self.battery, "takes no power", str(error)) from error
        self._memory.sent = current_ma, number
        await self._outcome(PowerSet)

    async def _find(self) -> None:
        self._memory.layout = None
        self._host.find(now=trio.current_time())
        self._memory.layout = (await self._outcome(Found)).map

    async def _voltage(self) -> int:
        if self._voltage_mv is None:
            await self.read()
        return self._voltage_mv or 0

    async def _read(self) -> Reading:
        began_ms = self._now_ms()
        self._host.read_status(now=trio.current_time())
        values = self._values((await self._outcome(StatusRead)).status)
        self._voltage_mv = values.voltage_mv
        return Reading(values, began_ms, self._now_ms())

    async def _outcome(self, wanted: type[T]) -> T:
        event = await self._event(self._host)
        if isinstance(event, wanted):
            return event
        if isinstance(event, JobRefused):
            raise DriverRefusedError(self.battery, "refused", f"exception {event.code}")
        match event.fault:
            case Fault.DOES_NOT_FIT:  # so nothing was sent
                raise DriverRefusedError(self.battery, "does not fit", event.detail)
            case Fault.NO_MAP:
                raise _NoMapError(self.battery, "no map", event.detail)
        raise DriverError(self.battery, event.fault.name.lower(), event.detail)

    def _values(self, status: StorageStatus) -> Values:
        plate = self._nameplate
        if status.voltage_mv is None or status.charge_ppm is None:
            raise DriverError(
                self.battery,
                "tells too little",
                "no voltage, or no state of charge",
            )
        capacity_ma_ms = plate.capacity_ma_ms
        if status.capacity_mah is not None:
            capacity_ma_ms = status.capacity_mah * MA_MS_PER_MAH
        return Values(
            voltage_mv=status.voltage_mv,
            current_ma=status.current_ma or 0,
            max_charge_ma=_known(status.max_charge_current_ma, plate.max_charge_ma),
            max_discharge_ma=_known(status.max_discharge_current_ma, plate.max_discharge_ma),
            charge_ma_ms=capacity_ma_ms * status.charge_ppm // PPM,
            capacity_ma_ms=capacity_ma_ms,
        )


def _known(said: int | None, otherwise: int) -> int:
    return otherwise if said is None else said
