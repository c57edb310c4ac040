"""Batteries of other nodes, over the dialects v1, v2 and v3.

A dialect says how a battery is, not what it was told; so after a lost answer it is told again,
which changes nothing at a node that has heard it already. v2 and v3 set a current for a time only:
here that is from now on for as long as nobody needs to know better (`AGES_MS`).
"""

from __future__ import annotations

from typing import Final

import trio

from harness.bal.drivers.driver import Driver, DriverError, DriverRefusedError, Line
from harness.bal.model.values import MA_MS_PER_MAH, Reading, Values
from protocols.batteries import (
    DIALECTS,
    V1,
    V3,
    Answered,
    BatteryClient,
    Connect,
    Done,
    GetStatus,
    Refused,
    Request,
    SetCurrent,
    Status,
)
from protocols.errors import CodecError

AGES_MS: Final = 10 * 365 * 86_400_000
"""Ten years."""


class _Client(BatteryClient):
    """The client as a `ClientSession`; its deadlines need no time of arrival."""

    def receive_data(self, data: bytes, *, now: float = 0.0) -> None:
        super().receive_data(data)


class NetworkedDriver(Driver):
    """A line to a battery of another node; the driver's word is the dialect's name."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._dialect = DIALECTS[line.endpoint.driver]
        self._client = _Client(self._dialect, timeout_s=line.timeout_s)
        self._name = line.endpoint.battery or line.battery

    async def begin(self) -> None:
        """Name the battery, where the dialect wants that first. Raises `DriverError`."""
        if self._dialect is V3:
            await self._ask(Connect(self._name))

    async def read(self) -> Reading:
        """Return a reading, as of when the other node says it was; raises `DriverError`.

        Where it does not say, or its clock is ahead of ours, it is of the time we asked.
        """
        began_ms = self._now_ms()
        status = await self._ask(GetStatus(self._name))
        if not isinstance(status, Status):
            raise DriverError(self.battery, "malformed", "no status")
        newest_ms = self._now_ms()
        at_ms = began_ms if status.at_ms is None else min(status.at_ms, began_ms)
        return Reading(_values(status), at_ms, newest_ms)

    async def in_force(self, current_ma: int) -> bool:
        """Return no: what flows is not what was told."""
        return False

    async def number(self, current_ma: int) -> int:
        """Return mA."""
        return current_ma

    async def send(self, current_ma: int, number: int) -> None:
        """Set the current. Raises `DriverRefusedError`, `DriverError`."""
        now_ms = self._now_ms()
        window = (None, None) if self._dialect is V1 else (now_ms, now_ms + AGES_MS)
        await self._ask(SetCurrent(self._name, number, *window))

    async def _ask(self, request: Request) -> Status | Done:
        try:
            self._client.ask(request, now=trio.current_time())
        except CodecError as problem:
            raise DriverRefusedError(self.battery, "does not fit", str(problem)) from problem
        match await self._event(self._client):
            case Answered(_, reply):
                return reply
            case Refused(_, reason):
                raise DriverRefusedError(self.battery, "refused", reason)
            case failed:
                raise DriverError(self.battery, failed.fault.name.lower(), failed.detail)


def _values(status: Status) -> Values:
    return Values(
        voltage_mv=status.voltage_mv,
        current_ma=status.current_ma,
        max_charge_ma=status.max_charge_current_ma,
        max_discharge_ma=status.max_discharge_current_ma,
        charge_ma_ms=status.charge_mah * MA_MS_PER_MAH,
        capacity_ma_ms=status.capacity_mah * MA_MS_PER_MAH,
    )
