"""Batteries behind real sockets: who answers, who is dropped, and that nobody ends the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from emulator.batteries.config import record_path
from emulator.batteries.record import Begun, Changed, Ended, Executed, read_record
from emulator.fleet_config import OutageSpan
from emulator.serving import CONNECTIONS_MAX
from netem.conditions import PartitionSpan
from netem.draws import stream_key
from netem.whom import Whom, chosen
from protocols.bms.jbd import REGULATOR, STATUS, Answered, JbdClient, Register, Written
from tests.support.batteries import AH, FIRST_S, HOUR_MS, Park, battery_config, open_park
from tests.support.fleets import slow_profiles

PATIENCE_S = 20.0


class Host:
    """A JBD host on a TCP connection to a battery."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.client = JbdClient(timeout_s=PATIENCE_S)

    async def read(self, register: Register[Any]) -> Any:
        self.client.read(register, now=0.0)
        event = await self._event()
        assert isinstance(event, Answered), event
        return event.value

    async def write(self, register: Register[Any], value: Any) -> object:
        self.client.write(register, value, now=0.0)
        return await self._event()

    async def _event(self) -> object:
        await self.stream.send_all(self.client.data_to_send())
        with trio.fail_after(PATIENCE_S):
            while (event := self.client.next_event()) is None:
                data = await self.stream.receive_some()
                if not data:
                    raise trio.BrokenResourceError("the battery closed")
                self.client.receive_data(bytes(data), now=0.0)
        return event


async def hung_up(stream: trio.SocketStream) -> bool:
    """Return once the battery has closed or reset the connection."""
    with trio.fail_after(PATIENCE_S):
        async with stream:
            try:
                return await stream.receive_some() == b""
            except trio.BrokenResourceError:
                return True


async def alive(park: Park, number: int = 0) -> bool:
    host = Host(await park.dial(number))
    await host.read(STATUS)
    await host.stream.aclose()
    return True


async def test_each_battery_is_reached_at_its_own_address(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config()) as park:
        for number in range(3):
            host = Host(await park.dial(number))
            assert await host.write(REGULATOR, 1_000 * (number + 1)) == Written(REGULATOR)
            await host.stream.aclose()
        batteries = park.fleet.batteries
        assert [batteries[number].set_ma for number in range(3)] == [1_000, 2_000, 3_000]
        assert batteries.commands == 3


async def test_charge_moves_on_the_scenario_clock_and_is_all_on_record(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(1)) as park:
        host = Host(await park.dial())
        await host.write(REGULATOR, 40_000)
        park.clock.stand_at(3_600)
        assert (await host.read(STATUS)).remaining_mah == 15_000
        await host.write(REGULATOR, -10_000)
        park.clock.stand_at(7_200)
        await host.stream.aclose()
    begun, first, second, ended = read_record(record_path(tmp_path, 0))
    assert isinstance(begun, Begun)
    assert (begun.at_ms, begun.charge_ma_ms) == (FIRST_S * 1_000, 55 * AH)
    assert isinstance(first, Executed)
    assert isinstance(second, Executed)
    begin_ms = FIRST_S * 1_000
    assert first.changed == Changed(begin_ms, begin_ms, 55 * AH, 55 * AH, 0, 40_000)
    middle_ms = begin_ms + HOUR_MS
    assert second.changed == Changed(begin_ms, middle_ms, 55 * AH, 15 * AH, 40_000, -10_000)
    assert isinstance(ended, Ended)
    end_ms = middle_ms + HOUR_MS
    assert ended.changed == Changed(middle_ms, end_ms, 15 * AH, 25 * AH, -10_000, -10_000)


async def test_a_process_holds_its_part_and_drops_callers_of_others(tmp_path: Path) -> None:
    config = battery_config(4, listen_ports=(0, 0))
    async with open_park(tmp_path, config, process=1) as park:
        assert await alive(park, 2)
        assert await alive(park, 3)
        assert await hung_up(await park.dial(1))
    begun = [e for e in read_record(record_path(tmp_path, 1)) if isinstance(e, Begun)]
    assert [entry.name for entry in begun] == ["battery-0000003", "battery-0000004"]


async def test_garbage_ends_nothing(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config()) as park:
        stream = await park.dial()
        await stream.send_all(b"\xdd\x5a\xe1\x02" + bytes(70_000) + b"\xdd" * 99)
        await stream.send_eof()
        assert await hung_up(stream)
        assert await alive(park)
        assert park.fleet.batteries.commands == 0
        assert park.fleet.tally.counts["served.refused: jbd garbage"] > 0


async def test_a_caller_that_vanishes_ends_nothing(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config()) as park:
        for _ in range(2 * CONNECTIONS_MAX):
            host = Host(await park.dial())
            await host.read(STATUS)
            await trio.aclose_forcefully(host.stream)
        while park.fleet.tally.counts["connections closed"] < 2 * CONNECTIONS_MAX:
            await trio.lowlevel.checkpoint()
        assert await alive(park)


async def test_a_bug_found_by_one_caller_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_park(tmp_path, battery_config()) as park:
        served = park.fleet.batteries.served_session

        def fails_for_0(number: int, connection: int) -> Any:
            return served(number, connection) if number else 1 // number

        monkeypatch.setattr(park.fleet.batteries, "served_session", fails_for_0)
        assert await hung_up(await park.dial(0))
        assert await alive(park, 1)
        assert park.fleet.tally.counts["served.failed: ZeroDivisionError"] == 1


async def test_an_outage_cuts_connections_and_drops_callers_until_it_is_over(
    tmp_path: Path,
) -> None:
    outage = OutageSpan(number=0, starts_s=600.0, lasts_s=60.0, share_ppm=1_000_000)
    config = battery_config(outages=(outage,))
    async with open_park(tmp_path, config) as park:
        host = Host(await park.dial())
        await host.write(REGULATOR, 10_000)
        park.clock.stand_at(610)
        assert await hung_up(host.stream)
        assert await hung_up(await park.dial())
        park.clock.stand_at(700)
        again = Host(await park.dial())
        # What it was told to do it did all the while: 10 A for 700 s are 1.94 Ah of 55.
        assert (await again.read(STATUS)).remaining_mah == 53_050
        assert park.fleet.tally.counts["connections cut"] == 1
        assert park.fleet.tally.counts["served.refused: unreachable"] == 1


async def test_an_outage_hits_a_share_that_is_not_that_of_the_meters(tmp_path: Path) -> None:
    half = OutageSpan(number=0, starts_s=0.0, lasts_s=60.0, share_ppm=500_000)
    config = battery_config(200, outages=(half,))
    async with open_park(tmp_path, config) as park:
        hits = park.fleet._outages[0].hits
        assert hits.sum() == 100
        dark = [number for number in range(200) if not park.fleet.batteries.reachable(number)]
        assert dark == hits.nonzero()[0].tolist()
    as_meters = Whom(share_ppm=500_000)
    meters = chosen(as_meters, ["lte"], np.zeros(200, int), stream_key(config.seed, "outage", 0))
    assert hits.tolist() != meters.tolist()


async def test_a_partition_holds_answers_up_and_loses_none(tmp_path: Path) -> None:
    cut = PartitionSpan(number=0, occurrences=((0.0, 1e6),))
    async with open_park(tmp_path, battery_config(conditions=(cut,))) as park:
        host = Host(await park.dial())
        while not park.fleet._conditions._gates[0].is_down:
            await trio.lowlevel.checkpoint()
        got: list[object] = []
        async with trio.open_nursery() as nursery:

            async def set_current() -> None:
                got.append(await host.write(REGULATOR, 5_000))

            nursery.start_soon(set_current)
            await trio.sleep(0.05)
            assert got == []
            park.fleet._conditions._gates[0].restore()
        assert got == [Written(REGULATOR)]
        assert park.fleet.batteries[0].commands == 1


async def test_links_delay_what_they_carry(tmp_path: Path) -> None:
    config = battery_config(link="model", profiles=slow_profiles())
    async with open_park(tmp_path, config) as park:
        host = Host(await park.dial())
        began_s = trio.current_time()
        await host.read(STATUS)
        assert trio.current_time() - began_s >= 0.002  # at least 1 ms each way
        assert park.fleet.links.statistics()["seed-1"]["up"]["packets"] > 0
