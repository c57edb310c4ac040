"""One fleet shard: its concentrators pushing, answering, and cut off now and then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from emulator.capturing import FOLDER, Captures
from emulator.clock import ScenarioClock
from emulator.concentrators import Concentrators
from emulator.conditions import ConditionsPlayer, changing, fleet_conditions
from emulator.delivery_record import DeliveryRecord
from emulator.device import ExecutionLog
from emulator.dialects import Dialects
from emulator.fleet_config import FleetConfig
from emulator.grid import Grid, generate_grid
from emulator.keys import key_ring
from emulator.links import FleetLinks
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from emulator.pushing import Pushers
from emulator.readings import Truth
from emulator.run_folder import RunFolder
from emulator.schedule import Outage, Schedule
from emulator.serving import Servers
from emulator.tally import Tally
from emulator.world import World
from netem.conditions import Conditions
from netem.links import Links, open_links

DRAIN_S: Final = 10.0
"""Real seconds that octets under way get to arrive once the shard has been told to end."""


class FleetShard:
    """Everything of one shard; use `open_shard`.

    Args:
        folder: the run directory.
        config: the fleet.
        grid: its grid.
        shard: number of the shard.
        clock: the scenario clock of the run.
        links: the open links of this process.
        conditions: of the network.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: FleetConfig,
        grid: Grid,
        shard: int,
        clock: ScenarioClock,
        links: Links,
        conditions: Conditions,
    ) -> None:
        numbers = config.numbers_of(shard, grid.concentrators)
        plan = Plan(grid, config.behaviour, config.first_s, config.seed)
        truth = Truth(
            grid, config.behaviour, config.first_s, config.seed, folder=config.pattern_folder
        )
        record_folder = folder.shard(shard)
        record = DeliveryRecord.create(record_folder, grid, numbers.start, numbers.stop, plan.steps)
        self.executions = ExecutionLog(record_folder / "executions.ndjson")
        events = MeterEvents(config.events, plan)
        self._world = World(plan, truth, clock, record, events)
        self._schedule = Schedule.of(plan, config.outages)
        self._config = config
        self.tally = Tally()
        dialects = Dialects(config, grid)
        file = folder.path / FOLDER / f"fleet-{shard}.pcapng"
        self.captures = Captures(file, config.capture, dialects, self.tally)
        self.links = FleetLinks(links, config, grid, self.captures)
        self._conditions = ConditionsPlayer(config, grid, conditions, links, numbers, clock)
        self.concentrators = Concentrators(
            config,
            numbers,
            self._world,
            self._schedule,
            dialects,
            key_ring(config.seed, config.key_file),
            self.executions,
        )
        self.pushers = Pushers(
            config, self._world, self._schedule, self.concentrators, self.links, self.tally
        )
        self.servers = Servers(self.concentrators, self.links, self.tally)
        self.drained = trio.Event()

    async def run(self, listener: trio.SocketListener) -> None:
        """Live until cancelled; sets ``drained`` once everything due has been delivered.

        Cancellation: deliveries under way end at once; what was marked is kept.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.servers.run, listener)
            nursery.start_soon(self._close_windows, nursery)
            for outage in self._schedule.outages:
                nursery.start_soon(self._outage, outage)
            nursery.start_soon(self._conditions.play)
            nursery.start_soon(self.pushers.attend)
            if self._dials:
                await self.pushers.run()
            else:
                plan = self._world.plan
                await self._world.clock.sleep_until(plan.first_s + plan.steps * plan.step_s)
            self.drained.set()
            await trio.sleep_forever()

    def begin(self, part: int) -> None:
        """Let the concentrators of a slice live."""
        numbers = self.concentrators.slice(part)
        self.concentrators.begin(numbers)
        self.pushers.begin(numbers)

    def end(self, part: int) -> None:
        """Silence the concentrators of a slice: nothing further is begun."""
        self.concentrators.end(self.concentrators.slice(part))

    @property
    def _dials(self) -> bool:
        """Whether any concentrator calls the head-end: to push, or to register its nodes."""
        plugins = self.concentrators.dialects.plugins.values()
        registers = any(plugin.has_nodes for plugin in plugins) and bool(self._config.head_ends)
        return self._config.behaviour.mode == "push" or registers

    async def _close_windows(self, nursery: trio.Nursery) -> None:
        plan = self._world.plan
        for step in range(1, plan.steps):
            await self._world.clock.sleep_until(plan.first_s + step * plan.step_s)
            nursery.start_soon(self.servers.close_silent)

    async def _outage(self, outage: Outage) -> None:
        """Cut everybody off when it begins; let them recover, spread a little, when it ends."""
        first_s = self._world.plan.first_s
        hit = [number for number in self.concentrators.numbers if outage.hits[number]]
        await self._world.clock.sleep_until(first_s + outage.starts_s)
        for number in hit:
            self.pushers.cut(number)
            self.servers.cut(number)
            # Whoever goes dark has lost power, for all that its nodes can tell.
            self.pushers.restarted(number)
        await self._world.clock.sleep_until(first_s + outage.ends_s)
        await self.pushers.recover(hit)


@asynccontextmanager
async def open_shard(
    folder: RunFolder, config: FleetConfig, shard: int, clock: ScenarioClock
) -> AsyncIterator[FleetShard]:
    """Build a shard and own its links.

    At the end its connections close, and what is under way over the links still arrives, within
    `DRAIN_S`.

    Raises:
        OSError: the run directory cannot be written.
        LookupError: there is no such protocol.
        KeyFileError: the key file cannot be used.
        ValueError: a pattern file cannot be used.
    """
    grid = generate_grid(config.grid, config.behaviour, config.seed)
    conditions = fleet_conditions(config, grid)
    links_of_shard = open_links(
        config.profiles,
        config.links,
        config.seed,
        drain_s=DRAIN_S,
        changing=changing(conditions) if config.link == "model" else None,
    )
    async with links_of_shard as links:
        fleet = FleetShard(folder, config, grid, shard, clock, links, conditions)
        try:
            yield fleet
        finally:
            with trio.CancelScope(shield=True):
                await fleet.pushers.close()
            fleet.executions.close()
            fleet.captures.close()
