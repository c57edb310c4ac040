"""Batteries of a layer as SunSpec units, asked by a host over real sockets."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.bal.faces.config import SunSpecFace
from harness.bal.happenings import MAKE_AGGREGATOR, REMOVE
from harness.bal.journal import read_journal
from harness.bal.service import BatteryLayer
from protocols.sunspec import (
    Found,
    HostEvent,
    JobRefused,
    PowerRead,
    PowerSet,
    StatusRead,
    SunSpecHost,
)
from protocols.sunspec.device import DEVICE_FAILURE, ILLEGAL_VALUE, NO_TARGET
from tests.harness.bal.test_service import HOME, executed, set_current
from tests.support import sunspec_judge
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import Park, battery_config, open_park
from tests.support.faces import open_face

UNITS = {1: "home", 2: "battery-0000001", 3: "later"}


class Host:
    """A host of one unit, over one connection."""

    def __init__(self, stream: trio.SocketStream, unit: int) -> None:
        self._stream = stream
        self._host = SunSpecHost(unit=unit, timeout_s=60.0)

    async def ask(self, job: str, *details: int, piecemeal: bool = False) -> HostEvent:
        getattr(self._host, job)(*details, now=trio.current_time())
        while (event := self._host.next_event()) is None:
            octets = self._host.data_to_send()
            size = 1 if piecemeal else max(1, len(octets))
            for at in range(0, len(octets), size):
                await self._stream.send_all(octets[at : at + size])
            data = await self._stream.receive_some(4_096)
            assert data, "the face has hung up"
            self._host.receive_data(bytes(data), now=trio.current_time())
        return event


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Park, BatteryLayer, trio.SocketStream]]:
    async with (
        open_park(folder, battery_config(2)) as park,
        open_layer(bal_config(folder, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="sunspec", units=UNITS) as face,
        await trio.open_tcp_stream("127.0.0.1", face.port) as stream,
    ):
        yield park, layer, stream


@pytest.mark.parametrize("piecemeal", [False, True])
async def test_a_unit_is_found_read_and_commanded(tmp_path: Path, piecemeal: bool) -> None:
    async with served(tmp_path) as (park, layer, stream):
        host = Host(stream, 1)
        assert isinstance(await host.ask("find", piecemeal=piecemeal), Found)
        read = await host.ask("read_status", piecemeal=piecemeal)
        assert isinstance(read, StatusRead)
        expected = layer.batteries.status("home").current
        assert read.requests == 1
        assert read.status.capacity_mah == 220_000
        assert read.status.charge_ppm == 500_000
        assert read.status.max_discharge_current_ma == expected.max_discharge_ma
        power_mw = -10 * expected.voltage_mv
        assert await host.ask("set_power", power_mw, piecemeal=piecemeal) == PowerSet(power_mw)
        await settled(layer)
        assert sum(executed(park, 0) + executed(park, 1)) == -10_000
        assert await host.ask("read_power") == PowerRead(power_mw)
    events, _ = read_journal(tmp_path / "journal.sqlite")
    assert [str(one.command)[:8] for one in events if one.command] == ["sunspec-"]


async def test_what_cannot_be_has_an_exception_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as (park, _, stream):
        home, part, later = Host(stream, 1), Host(stream, 2), Host(stream, 3)
        for host in (home, part):
            assert isinstance(await host.ask("find"), Found)
            assert isinstance(await host.ask("read_status"), StatusRead)
        assert refused(await home.ask("set_power", 2_000_000_000)) == ILLEGAL_VALUE
        assert refused(await part.ask("set_power", 1_000_000)) == DEVICE_FAILURE
        # What was refused is in force nowhere.
        assert await home.ask("read_power") == PowerRead(None)
        assert "SunS" in str(await later.ask("find"))
        assert isinstance(await home.ask("read_status"), StatusRead)
        assert executed(park, 0) == executed(park, 1) == []


def refused(event: HostEvent) -> int:
    assert isinstance(event, JobRefused), event
    return event.code


async def test_units_come_and_go_with_their_batteries(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, layer, stream):
        host = Host(stream, 3)
        await layer.command(REMOVE, {"name": "home"})
        made = MAKE_AGGREGATOR, {"name": "later", "sources": ["battery-0000001"]}
        await layer.command(*made)
        assert isinstance(await host.ask("find"), Found)
        assert isinstance(await host.ask("read_status"), StatusRead)
        assert await host.ask("set_power", 100_000) == PowerSet(100_000)
        await layer.command(REMOVE, {"name": "later"})
        assert refused(await host.ask("read_status")) == NO_TARGET
        assert refused(await host.ask("set_power", 1)) == NO_TARGET
        # What the one before was told, one of the same name was not.
        await layer.command(*made)
        assert await host.ask("read_power") == PowerRead(None)


async def test_a_power_that_was_possible_as_the_registers_told_is_cut_not_refused(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (park, layer, stream):
        host = Host(stream, 1)
        await host.ask("find")
        read = await host.ask("read_status")
        assert isinstance(read, StatusRead)
        most_mw = read.status.max_discharge_power_mw or 0
        # A voltage that has fallen in the meantime makes more current of the same power.
        await layer.command(*set_current("home", 40_000))
        await settled(layer)
        park.clock.stand_at(1_800)
        assert await host.ask("set_power", most_mw) == PowerSet(most_mw)
        status = layer.batteries.status("home")
        assert status.current.voltage_mv < (read.status.voltage_mv or 0)
        assert status.expected.current_ma == status.current.max_discharge_ma


async def test_stopping_what_was_commanded_stops_the_battery(tmp_path: Path) -> None:
    async with served(tmp_path) as (park, layer, stream):
        host = Host(stream, 1)
        await host.ask("find")
        await host.ask("read_status")
        for power_mw in (500_000, 0):
            assert await host.ask("set_power", power_mw) == PowerSet(power_mw)
            await settled(layer)
        assert [executed(park, 0)[-1], executed(park, 1)[-1]] == [0, 0]


def test_units_are_modbus_units() -> None:
    unfit: dict[str, Any] = {"speaks": "sunspec", "port": 0, "units": {300: "home"}}
    with pytest.raises(ValueError, match="247"):
        SunSpecFace.model_validate(unfit)


async def test_the_sunspec_alliances_own_client_reads_and_commands_a_virtual_battery(
    tmp_path: Path,
) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="sunspec", units=UNITS) as face,
    ):
        before = await layer.status("home")
        ended = await trio.run_process(
            [sys.executable, sunspec_judge.__file__, "127.0.0.1", str(face.port)],
            stdin=b"512\n-256\n9000000\n",
            capture_stdout=True,
        )
        first, discharging, charging, over = map(json.loads, ended.stdout.splitlines())
        assert first["name"] == "home"
        assert first["models"][:4] == [1, 802, 713, 704]
        assert first["802.V"] == pytest.approx(before.current.voltage_mv / 1_000)
        assert first["802.AHRtg"] == 220
        assert first["802.SoC"] == 50
        assert (discharging["refused"], charging["refused"]) == ("", "")
        assert over["refused"]
        await settled(layer)
        told = layer.batteries.status("home").expected.current_ma
        assert told == pytest.approx(-256_000_000 / before.current.voltage_mv, rel=0.01)
        assert executed(park, 0)[-1] + executed(park, 1)[-1] == told
