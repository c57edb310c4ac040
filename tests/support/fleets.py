"""Small fleets on real loopback sockets, their clock standing still, and a head-end to script."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import trio

from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.fleet import FleetShard, open_shard
from emulator.fleet_config import Endpoint, FleetConfig, PushTimers
from emulator.grid import Grid, generate_grid
from emulator.identity import concentrator_name, concentrator_system_title, head_end_system_title
from emulator.keys import SeededKeys
from emulator.plan import Plan
from emulator.run_folder import RunFolder
from netem.profiles import LinkProfile, load_profiles
from protocols.plugin import (
    Credentials,
    PollSession,
    Received,
    ReceiveSession,
    SessionOptions,
    load_protocol,
)
from tests.support.concentrator_model import NO_NODES, MemoryCounters
from tests.support.grids import FIRST_S, behaviour, small_grid

ALWAYS: Final[dict[str, Any]] = {
    "concentrators": [{"name": "good", "share": "100 %"}],
    "meters": [{"name": "good", "share": "100 %"}],
}
"""Everything is reachable all day."""
QUICK: Final = PushTimers(confirmation_s=5.0, back_off_min_s=0.002, back_off_max_s=0.004)
OWN_TITLE: Final = head_end_system_title(0)


def fleet_config(**changes: Any) -> FleetConfig:
    """Return a fleet of three concentrators and a few meters over perfect links."""
    steps = changes.pop("steps", 4)
    rhythm = ALWAYS | changes.pop("behaviour", {})
    return FleetConfig(
        **{
            "seed": 7,
            "first_s": FIRST_S,
            "grid": small_grid(changes.pop("stations", 3)),
            "behaviour": behaviour(steps, **rhythm),
            "link": "none",
            "profiles": dict(load_profiles()),
            "listen_ports": (0,),
            "timers": QUICK,
            **changes,
        }
    )


def grid_of(config: FleetConfig) -> Grid:
    return generate_grid(config.grid, config.behaviour, config.seed)


def plan_of(config: FleetConfig) -> Plan:
    return Plan(grid_of(config), config.behaviour, config.first_s, config.seed)


def clock_at(config: FleetConfig, step: float) -> ScenarioClock:
    """Return a clock that stands (as good as) still, ``step`` steps after the first."""
    scenario_s = config.first_s + step * config.behaviour.step_s
    return ScenarioClock(time.monotonic(), scenario_s, 1e-6)


def credentials_of(config: FleetConfig, concentrator: int) -> Credentials:
    name, title = concentrator_name(concentrator), concentrator_system_title(concentrator)
    return SeededKeys(config.seed).of(name, title)


def options_of(config: FleetConfig) -> SessionOptions:
    return SessionOptions(config.authentication, config.protection, config.confirmed)


def slow_profiles() -> dict[str, LinkProfile]:
    """Return the built-in profiles by name, each with one to nine milliseconds each way."""
    way = {"latency": "5 ms", "jitter": "4 ms", "distribution": "uniform"}
    return {
        name: LinkProfile.model_validate(
            {"name": name, "description": "for tests", "sources": (), "up": way, "down": way}
        )
        for name in load_profiles()
    }


@dataclass
class Site:
    """An open shard with all its concentrators begun, and the record it keeps."""

    config: FleetConfig
    folder: RunFolder
    shard: FleetShard

    @property
    def record(self) -> DeliveryRecord:
        return DeliveryRecord.open(self.folder.shard(0), grid_of(self.config))

    def marked(self, mark: Mark, interval: int = 0) -> list[bool]:
        return [bool(bit) for bit in self.record.of_interval(mark, interval)]

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.shard.tally.counts)


@asynccontextmanager
async def open_site(
    folder: Path, config: FleetConfig, clock: ScenarioClock | None = None
) -> AsyncIterator[Site]:
    run = RunFolder(folder)
    async with open_shard(run, config, 0, clock or clock_at(config, 0.5)) as shard:
        shard.concentrators.begin(shard.concentrators.numbers)
        yield Site(config, run, shard)


@dataclass
class Caller:
    """One connection to the head-end."""

    stream: trio.SocketStream
    session: ReceiveSession
    arrived: list[Received]

    async def next_push(self) -> Received | None:
        """Return the next push, ``None`` at the end of the stream."""
        while True:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            for item in self.session.receive_data(bytes(data)):
                assert isinstance(item, Received), item
                self.arrived.append(item)
                return item

    async def confirm(self, push: Received) -> None:
        await self.stream.send_all(self.session.confirm(push))


Behaviour: TypeAlias = Callable[[Caller], Awaitable[None]]


async def confirms(caller: Caller) -> None:
    while (push := await caller.next_push()) is not None:
        if push.wants_confirmation:
            await caller.confirm(push)


@dataclass
class FakeHeadEnd:
    """Takes connections; the n-th is treated as the n-th of ``behaviours`` says, or confirmed."""

    config: FleetConfig
    behaviours: Sequence[Behaviour] = ()
    arrived: list[Received] = field(default_factory=list)
    connections: int = 0
    callers: list[str] = field(default_factory=list)
    counters: MemoryCounters = field(default_factory=MemoryCounters)

    @property
    def readings(self) -> list[tuple[bytes, int, tuple[int, ...]]]:
        """Everything that arrived: meter, capture time, values."""
        return [
            (meter, at, tuple(values))
            for push in self.arrived
            for meter, at, values in zip(
                push.readings.meter_ids.tolist(),
                push.readings.captured_at_s.tolist(),
                push.readings.values.tolist(),
                strict=True,
            )
        ]

    async def serve(
        self,
        listener: trio.SocketListener | None = None,
        task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        if listener is None:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        task_status.started(Endpoint(host="127.0.0.1", port=port))
        await trio.serve_listeners(self._attend, [listener])

    async def _attend(self, stream: trio.SocketStream) -> None:
        number = self.connections
        self.connections += 1
        with suppress(OSError):  # the caller may be gone already
            self.callers.append(stream.socket.getpeername()[0])
        session = load_protocol(self.config.protocol).receive_session(
            self._peer, OWN_TITLE, self.counters, options_of(self.config), NO_NODES
        )
        behave = self.behaviours[number] if number < len(self.behaviours) else confirms
        with suppress(trio.BrokenResourceError):
            async with stream:
                await behave(Caller(stream, session, self.arrived))

    def _peer(self, title: bytes) -> Credentials | None:
        for number in range(grid_of(self.config).concentrators):
            if concentrator_system_title(number) == title:
                return credentials_of(self.config, number)
        return None


@asynccontextmanager
async def facing(
    folder: Path,
    head_end: FakeHeadEnd,
    clock: ScenarioClock | None = None,
) -> AsyncIterator[Site]:
    """Open a site whose concentrators push to ``head_end``."""
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(head_end.serve)
        config = head_end.config.model_copy(update={"head_ends": (endpoint,)})
        async with open_site(folder, config, clock) as site:
            yield site
        nursery.cancel_scope.cancel()


def poll_session(config: FleetConfig, concentrator: int, counters: MemoryCounters) -> PollSession:
    return load_protocol(config.protocol).poll_session(
        credentials_of(config, concentrator),
        OWN_TITLE,
        counters,
        options_of(config),
        lambda size: b"C" * size,
    )


def meters_at(config: FleetConfig, concentrator: int) -> list[int]:
    return list(grid_of(config).meters_of(concentrator))


def bits(config: FleetConfig, meters: Sequence[int]) -> list[bool]:
    """Return one bool for every meter of the fleet: whether it is one of ``meters``."""
    chosen = np.isin(np.arange(grid_of(config).meters), meters)
    return [bool(one) for one in chosen]
