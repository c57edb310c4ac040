"""Relays that speak UDP: each message a datagram, answered where it came from."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trio

from emulator.dialects import particular
from emulator.identity import concentrator_name, head_end_name, meter_names
from emulator.keys import key_ring, with_members
from harness.headend.service import Shard
from harness.provisioning import Provisioning
from harness.store.interface import Store
from harness.store.opening import open_store
from protocols.c12.plugin import C12Plugin
from protocols.plugin import PushSession, SessionOptions
from protocols.readings import ReadingBatch
from tests.support.ansi_faults import flipped
from tests.support.concentrator_model import MemoryCounters
from tests.support.headend import listening, shard_of
from tests.support.push_fleet import small_run

PLUGIN = C12Plugin()
ANSWER_S = 10.0


@dataclass
class Site:
    """A head-end that listens, and a relay with a socket of its own."""

    shard: Shard
    store: Store
    port: int
    pusher: PushSession
    readings: ReadingBatch
    udp: trio.socket.SocketType

    async def converse(self) -> None:
        """Send what the relay has to say, a datagram a message, until it waits for nothing."""
        with trio.fail_after(ANSWER_S):
            while not self.pusher.idle:
                for packet in PLUGIN.packet_reader().feed(self.pusher.data_to_send()):
                    await self.udp.sendto(packet, ("127.0.0.1", self.port))
                if not self.pusher.idle:
                    answer = await self.udp.recv(65_535)
                    self.pusher.receive_data(answer, now=0.0)

    async def counted(self, what: str, times: int = 1) -> None:
        """Return once something was counted so often."""
        with trio.fail_after(ANSWER_S):
            while self.shard.totals.counts[what] < times:
                await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    prepared = small_run(folder, stations=1, steps=4, protocol="c12")
    fleet, grid = prepared.fleet, prepared.grid
    told = {"protocol": "c12", "particular": particular(fleet)}
    store = open_store(folder / "store.duckdb", prepared.truth.profile.names, create=True)
    known = Provisioning.load(prepared.provisioning)
    shard = shard_of(store, known, realtime_offset_s=time.time() - time.monotonic(), **told)
    meters = np.array(grid.meters_of(0))
    names = meter_names(int(meters[0]), int(meters[-1]) + 1)
    keys = key_ring(fleet.seed, fleet.key_file)
    credentials = with_members(keys, PLUGIN, concentrator_name(0), names)
    options = SessionOptions(particular=particular(fleet) | {"head_end": head_end_name(0).decode()})
    intervals = np.zeros(len(meters), np.int64)
    values, status = prepared.truth.registers(meters, intervals)
    times = prepared.schedule.plan.captured_at(intervals)
    readings = ReadingBatch(concentrator_name(0), names, times, status, values)
    counters = MemoryCounters()
    counters.stamp = lambda peer: int(time.time()) + next_stamp(counters)  # type: ignore[method-assign]
    pusher = PLUGIN.push_session(credentials, counters, options)
    async with listening(shard) as listener:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            await udp.bind(("127.0.0.1", 0))
            yield Site(shard, store, listener.port, pusher, readings, udp)
    store.close()


def next_stamp(counters: MemoryCounters) -> int:
    """Return ever greater seconds, so that no vector repeats within one of real time."""
    return counters.next()


async def test_a_relay_registers_and_pushes_in_datagrams(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        place.pusher.push(place.readings, 5, now=0.0)
        await place.converse()
        assert place.pusher.confirmed() == [5]
        stored = place.store.slots().tolist()
        assert stored == [int(place.readings.captured_at_s[0])]
        assert len(place.store.last_registrations()) == len(place.readings) + 1
        assert place.shard.nodes.registered == len(place.readings) + 1


async def test_a_bad_datagram_is_counted_and_the_next_good_one_served(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        await place.udp.sendto(b"GET / HTTP/1.1\r\n", ("127.0.0.1", place.port))
        await place.udp.sendto(b"\x60\x05\xa2", ("127.0.0.1", place.port))
        await place.counted("refused: no whole message", 2)
        place.pusher.attend(now=0.0)
        first, *_ = PLUGIN.packet_reader().feed(place.pusher.data_to_send())
        await place.udp.sendto(flipped(first, -1), ("127.0.0.1", place.port))
        await place.counted("refused: wrong MAC")
        await place.udp.recv(65_535)  # the answer to that: a security mechanism error
        place.pusher.connected(now=0.0)
        place.pusher.push(place.readings, 1, now=0.0)
        await place.converse()
        assert place.pusher.confirmed() == [1]
