"""Batteries with a SunSpec face over Modbus TCP, commanded by power.

SunSpec sets no current (`protocols.sunspec.storage`): the power is that of the current at the
voltage last read, so a voltage is read before the first command.
"""

from __future__ import annotations

from typing import TypeVar

import trio
from trio.abc import Stream

from harness.bal.config import Endpoint
from harness.bal.drivers.driver import Driver, DriverError, DriverRefusedError, NowMs
from harness.bal.model.values import MA_MS_PER_MAH, PPM, Nameplate, Reading, Values
from protocols.sunspec import (
    Found,
    JobRefused,
    PowerSet,
    StatusRead,
    StorageStatus,
    SunSpecHost,
    power_of_current,
)

T = TypeVar("T", Found, StatusRead, PowerSet)


class SunSpecDriver(Driver):
    """A line to a battery that speaks SunSpec."""

    def __init__(
        self,
        battery: str,
        nameplate: Nameplate,
        stream: Stream,
        now_ms: NowMs,
        endpoint: Endpoint,
        timeout_s: float,
    ) -> None:
        super().__init__(battery, nameplate, stream, now_ms)
        self._host = SunSpecHost(unit=endpoint.unit, timeout_s=timeout_s)
        self._voltage_mv: int | None = None

    async def begin(self) -> None:
        """Find the register map. Raises `DriverError`."""
        self._host.find(now=trio.current_time())
        await self._outcome(Found)

    async def read(self) -> Reading:
        """Return a reading; as many moments as requests. Raises `DriverError`."""
        began_ms = self._now_ms()
        self._host.read_status(now=trio.current_time())
        values = self._values((await self._outcome(StatusRead)).status)
        self._voltage_mv = values.voltage_mv
        return Reading(values, began_ms, self._now_ms())

    async def ordered_ma(self) -> int | None:
        """Return nothing: a power says no current once the voltage is another."""
        return None

    async def set_current(self, current_ma: int) -> int:
        """Set the power of a current; return mW. Raises `DriverRefusedError`, `DriverError`."""
        if self._voltage_mv is None:
            await self.read()
        power_mw = power_of_current(current_ma, self._voltage_mv or 0)
        self._host.set_power(power_mw, now=trio.current_time())
        return (await self._outcome(PowerSet)).power_mw

    async def _outcome(self, wanted: type[T]) -> T:
        event = await self._event(self._host)
        if isinstance(event, wanted):
            return event
        if isinstance(event, JobRefused):
            raise DriverRefusedError(self.battery, "refused", f"exception {event.code}")
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
