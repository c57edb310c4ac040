"""Batteries behind a JBD battery management system.

The system switches directions; the current is set at the regulator beside it (see
`protocols.bms.jbd.registers`). It says what it measures in steps of 10 mA, 10 mV and 10 mAh.
"""

from __future__ import annotations

from typing import Any

import trio

from harness.bal.drivers.driver import Driver, DriverError, DriverRefusedError, Line
from harness.bal.model.values import MA_MS_PER_MAH, Reading, Values
from protocols.bms.jbd import (
    REGULATOR,
    STATUS,
    Answered,
    JbdClient,
    Mosfets,
    PackStatus,
    Refused,
    Written,
)


class JbdDriver(Driver):
    """A line to a battery that speaks JBD."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._client = JbdClient(timeout_s=line.timeout_s, silence_s=line.timeout_s)

    async def begin(self) -> None:
        """Do nothing: every register can be asked for at once."""

    async def read(self) -> Reading:
        """Return a reading: register 03, at some moment until its answer. Raises `DriverError`."""
        began_ms = self._now_ms()
        self._client.read(STATUS, now=trio.current_time())
        values = self._values(await self._answer())
        return Reading(values, began_ms, self._now_ms())

    async def in_force(self, current_ma: int) -> bool:
        """Return whether that is what the regulator was set to. Raises `DriverError`."""
        self._client.read(REGULATOR, now=trio.current_time())
        try:
            return bool(await self._answer() == current_ma)
        except DriverRefusedError:
            return False

    async def number(self, current_ma: int) -> int:
        """Return mA."""
        return current_ma

    async def send(self, current_ma: int, number: int) -> None:
        """Set the regulator. Raises `DriverRefusedError`, `DriverError`."""
        self._client.write(REGULATOR, number, now=trio.current_time())
        await self._answer()

    async def _answer(self) -> Any:  # noqa: ANN401 - of the register's type
        match await self._event(self._client):
            case Answered(_, value):
                return value
            case Written():
                return None
            case Refused(register):
                raise DriverRefusedError(self.battery, "refused", str(register))
            case failed:
                raise DriverError(
                    self.battery, failed.fault.name.lower(), self._detail(failed.detail)
                )

    def _detail(self, told: str) -> str:
        device = self._line.endpoint.device
        if device is None:
            return told
        return f"{device}: {told}; see that its wires sit, and that nothing else uses it"

    def _values(self, pack: PackStatus) -> Values:
        plate = self._nameplate
        return Values(
            voltage_mv=pack.voltage_mv,
            current_ma=pack.current_ma,
            max_charge_ma=plate.max_charge_ma if pack.mosfets & Mosfets.CHARGE else 0,
            max_discharge_ma=plate.max_discharge_ma if pack.mosfets & Mosfets.DISCHARGE else 0,
            charge_ma_ms=pack.remaining_mah * MA_MS_PER_MAH,
            capacity_ma_ms=pack.full_mah * MA_MS_PER_MAH,
        )
