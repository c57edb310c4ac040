"""The SunSpec driver over a line in memory: what a battery does not take is refused, not fatal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from harness.bal.config import Endpoint
from harness.bal.drivers import DriverError, DriverRefusedError, Line, Memory
from harness.bal.drivers.sunspec import SunSpecDriver
from harness.bal.model.values import Nameplate
from protocols.sunspec import (
    STORAGE_MODELS,
    ReadRequested,
    RegisterMap,
    StorageStatus,
    SunSpecDevice,
    storage_image,
)

STATUS = StorageStatus(
    voltage_mv=50_000,
    current_ma=0,
    max_charge_current_ma=20_000,
    max_discharge_current_ma=30_000,
    capacity_mah=100_000,
    charge_ppm=500_000,
)
PLATE = Nameplate.of(
    voltage_mv=50_000, max_charge_ma=20_000, max_discharge_ma=30_000, capacity_mah=100_000
)
ENDPOINT = Endpoint(driver="sunspec", host="h", port=502)


@asynccontextmanager
async def opened(
    *models: int, memory: Memory | None = None, status: StorageStatus = STATUS
) -> AsyncIterator[SunSpecDriver]:
    """Give a driver whose battery has some models."""
    ours, theirs = trio.testing.memory_stream_pair()
    device = SunSpecDevice(storage_image(RegisterMap.of(models), status, {}))

    async def answer() -> None:
        while data := await theirs.receive_some(4_096):
            device.receive_data(bytes(data))
            while (event := device.next_event()) is not None:
                device.answer() if isinstance(event, ReadRequested) else device.accept()
            await theirs.send_all(device.data_to_send())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        line = Line("b", PLATE, ours, lambda: 7, ENDPOINT, 5.0, memory or Memory())
        driver = SunSpecDriver(line)
        await driver.begin()
        yield driver
        nursery.cancel_scope.cancel()


async def test_what_was_sent_is_in_force_and_nothing_else_is() -> None:
    memory = Memory()
    async with opened(*STORAGE_MODELS, memory=memory) as driver:
        assert not await driver.in_force(0)
        number = await driver.number(2_000)
        assert number == 100_000
        await driver.send(2_000, number)
        assert memory.sent == (2_000, 100_000)
        assert await driver.in_force(2_000)
        assert not await driver.in_force(2_001)
        # Somebody else has told it the same power for another reason, or nobody knows which.
        memory.sent = None
        assert not await driver.in_force(2_000)
        # No current is no power at any voltage.
        await driver.send(0, 0)
        memory.sent = None
        assert await driver.in_force(0)


async def test_a_battery_that_takes_no_power_refuses() -> None:
    async with opened(1, 802) as driver:
        assert (await driver.read()).values.voltage_mv == 50_000
        assert not await driver.in_force(1_000)
        with pytest.raises(DriverRefusedError, match="takes no power"):
            await driver.send(1_000, await driver.number(1_000))


async def test_a_power_beyond_the_registers_is_refused_and_not_sent() -> None:
    async with opened(*STORAGE_MODELS) as driver:
        with pytest.raises(DriverRefusedError, match="does not fit"):
            await driver.send(1, 2**40)
        assert not await driver.in_force(1)


async def test_a_battery_that_tells_too_little_cannot_be_read() -> None:
    async with opened(*STORAGE_MODELS, status=StorageStatus(current_ma=5)) as driver:
        with pytest.raises(DriverError, match="tells too little"):
            await driver.read()
