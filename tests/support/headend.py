"""A head-end shard in this process, over real sockets, and concentrators that talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trio

from emulator.fleet_config import part_of
from emulator.identity import (
    concentrator_name,
    concentrator_system_title,
    head_end_system_title,
    meter_names,
)
from emulator.keys import SeededKeys
from harness.headend.config import HeadEndConfig
from harness.headend.listener import PushListener, listen
from harness.headend.registry import Registry
from harness.headend.service import Shard
from harness.provisioning import ConcentratorRecord, Provisioning, SharedFacts
from harness.store.interface import Store
from protocols.dlms.plugin import DlmsPlugin
from protocols.plugin import Credentials, PushSession, SessionOptions
from protocols.readings import ReadingBatch
from tests.support.concentrator_model import FIRST_S, STEP_S, MemoryConcentrator, MemoryCounters
from tests.support.pushing import confirmed, pushed

REGISTERS = ("import_wh", "import_rate1_wh", "import_rate2_wh", "voltage_mv_l1")
METERS = 3
STEPS = 8
KEYS = SeededKeys(1)
PLUGIN = DlmsPlugin()
OPTIONS = SessionOptions()


def credentials_of(concentrator: int) -> Credentials:
    return KEYS.of(concentrator_name(concentrator), concentrator_system_title(concentrator))


def provisioned(
    concentrators: int = 2, *, shards: int = 1, ports: Sequence[int] = (), steps: int = STEPS
) -> Provisioning:
    """Return devices with `METERS` meters each; ``ports`` is where they can be asked."""
    records = tuple(
        ConcentratorRecord(
            number=number,
            name=concentrator_name(number).decode(),
            system_title=concentrator_system_title(number),
            address="127.0.0.1",
            port=ports[number] if ports else 1,
            link="lte",
            protocol="dlms",
            first_meter=number * METERS,
            meters=METERS,
            credentials=credentials_of(number),
        )
        for number in range(concentrators)
    )
    shared = SharedFacts(
        first_s=FIRST_S,
        step_s=STEP_S,
        steps=steps,
        profile=1,
        registers=REGISTERS,
        logical_names=("1-0:1.8.0.255",) * len(REGISTERS),
        protocol="dlms",
        authentication="gmac",
        protection="ciphered",
        confirmed=True,
        mode="push",
        head_end_system_titles=tuple(head_end_system_title(n).hex() for n in range(shards)),
        keys="TEST KEYS",
    )
    return Provisioning(records, meter_names(0, concentrators * METERS), shared)


def readings(
    concentrator: int, interval: int, *, value: int = 0, registers: int = len(REGISTERS)
) -> ReadingBatch:
    """Return one reading of each meter, all registers ``value`` above the meter's number."""
    first = concentrator * METERS
    values = np.arange(first, first + METERS, dtype=np.uint32)[:, None] + np.uint32(value)
    return ReadingBatch(
        concentrator=concentrator_name(concentrator),
        meter_ids=meter_names(first, first + METERS),
        captured_at_s=np.full(METERS, FIRST_S + interval * STEP_S, np.int64),
        status=np.zeros(METERS, np.uint8),
        values=np.repeat(values, registers, axis=1),
    )


@dataclass
class Pusher:
    """A concentrator that pushes; its counters outlive its connections."""

    concentrator: int = 0
    credentials: Credentials | None = None
    options: SessionOptions = OPTIONS
    counters: MemoryCounters = field(default_factory=MemoryCounters)

    def session(self) -> PushSession:
        """Return its side of a new connection."""
        known = self.credentials or credentials_of(self.concentrator)
        return PLUGIN.push_session(known, self.counters, self.options)

    def octets(self, interval: int = 0, number: int = 0, *, value: int = 0) -> bytes:
        """Return one push on a connection of its own."""
        batch = readings(self.concentrator, interval, value=value)
        return pushed(self.session(), batch, number)

    async def push(self, port: int, *intervals: int) -> None:
        """Push intervals over one connection, each confirmed before the next."""
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            session = self.session()
            for number, interval in enumerate(intervals):
                batch = readings(self.concentrator, interval)
                await stream.send_all(pushed(session, batch, number))
                while number not in confirmed(session, bytes(await stream.receive_some())):
                    pass


def config(**changes: Any) -> HeadEndConfig:
    """Return the configuration of a shard that commits at once."""
    told: dict[str, Any] = {
        "shard": 0,
        "listen_port": 0,
        "control_socket": Path("unused"),
        "provisioning": Path("unused"),
        "store_url": "unused",
        "realtime_offset_s": 0.0,
        "group_commit_s": 0.0,
        "timeout_s": 5.0,
    }
    return HeadEndConfig.model_validate(told | changes)


def shard_of(store: Store, provisioning: Provisioning | None = None, **changes: Any) -> Shard:
    """Return a shard over an open store; nothing of it runs yet."""
    known = provisioning or provisioned()
    told = config(**changes)
    shards = len(known.shared.head_end_system_titles)
    mine = part_of(len(known.concentrators), shards, told.shard)
    return Shard(told, Registry(known, mine), store, mine)


@asynccontextmanager
async def committing(shard: Shard) -> AsyncIterator[None]:
    """Let a shard commit for the length of an ``async with``."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shard.committer.run)
        nursery.start_soon(shard.sending.keep_reserve, shard.committer)
        nursery.start_soon(shard.stamps.keep_reserve, shard.committer)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def listening(shard: Shard) -> AsyncIterator[PushListener]:
    """Let a shard take pushes for the length of an ``async with``."""
    async with committing(shard), trio.open_nursery() as nursery:
        yield await nursery.start(listen, shard)
        nursery.cancel_scope.cancel()


@dataclass
class Served:
    """A concentrator that can be asked, with faults.

    ``lose_requests``: so many requests that come are dropped with their connection.
    ``lose_answers``: so many executed commands are not answered, their connection dropped.
    ``hold_after``: after so many requests one is kept in `held` and never answered.
    """

    number: int = 0
    credentials: Credentials | None = None
    options: SessionOptions = OPTIONS
    counters: MemoryCounters = field(default_factory=MemoryCounters)
    lose_requests: int = 0
    lose_answers: int = 0
    hold_after: int = -1
    held: list[tuple[Any, bytes]] = field(default_factory=list)
    connections: int = 0
    requests: int = 0
    model: MemoryConcentrator = field(init=False)

    def __post_init__(self) -> None:
        name, title = concentrator_name(self.number), concentrator_system_title(self.number)
        self.model = MemoryConcentrator(meters=METERS, name=name, system_title=title)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
        self.connections += 1
        session = PLUGIN.served_session(
            self.model,
            self.credentials or credentials_of(self.number),
            self.counters,
            self.options,
            lambda size: bytes(range(size)),
        )
        while data := await stream.receive_some():
            self.requests += 1
            if self.lose_requests:
                self.lose_requests -= 1
                return
            if self.hold_after >= 0 and self.requests > self.hold_after:
                self.hold_after = -1
                self.held.append((session, bytes(data)))
                await trio.sleep_forever()
            executed = len(self.model.executed)
            session.receive_data(bytes(data), now=trio.current_time())
            if len(self.model.executed) > executed and self.lose_answers:
                self.lose_answers -= 1
                return
            await stream.send_all(session.data_to_send())


@asynccontextmanager
async def serving(served: Served) -> AsyncIterator[int]:
    """Serve for the length of an ``async with``; gives the port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, served.serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
