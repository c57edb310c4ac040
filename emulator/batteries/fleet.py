"""The batteries of one process: reached over their links, offline now and then, each on record.

How callers are served, links shaped and conditions applied is as with concentrators; here is who
answers, and what an outage does: connections break, and whoever dials is dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from emulator.batteries.battery import Battery
from emulator.batteries.config import BatteryFleetConfig, record_path
from emulator.batteries.device import BatterySession
from emulator.batteries.grid import BatteryGrid, battery_name, generate_batteries
from emulator.batteries.jbd import JbdSession
from emulator.batteries.parameters import Interface
from emulator.batteries.physics import Course
from emulator.batteries.record import BatteryRecord
from emulator.batteries.sunspec import SunSpecSession, battery_image
from emulator.clock import ScenarioClock
from emulator.conditions import ConditionsPlayer, changing, fleet_conditions
from emulator.links import FleetLinks
from emulator.schedule import Outage
from emulator.serving import Servers
from emulator.tally import Tally
from netem.conditions import Conditions
from netem.links import Links, open_links
from protocols.sunspec import Image

DRAIN_S: Final = 10.0
"""Real seconds that octets under way get to arrive once the process has been told to end."""


class Batteries:
    """The batteries ``numbers`` of a run; what `emulator.serving` asks of whom it serves."""

    def __init__(
        self,
        grid: BatteryGrid,
        numbers: range,
        first_s: int,
        clock: ScenarioClock,
        outages: tuple[Outage, ...],
        record: BatteryRecord,
    ) -> None:
        self.numbers = numbers
        self._grid = grid
        self._first_s = first_s
        self._clock = clock
        self._outages = outages
        self._record = record
        self._images: dict[int, Image] = {}
        self._batteries = [self._made(number) for number in numbers]

    def __getitem__(self, number: int) -> Battery:
        """Return a battery of this process."""
        return self._batteries[number - self.numbers.start]

    @property
    def commands(self) -> int:
        """How many commands have been carried out."""
        return sum(battery.commands for battery in self._batteries)

    def now_ms(self) -> int:
        """Return the scenario time, POSIX milliseconds, rounded down."""
        return int(self._clock.now_s() * 1_000)

    def interface(self, number: int) -> Interface:
        """Return what a battery speaks."""
        return self._grid.interface(number)

    def reachable(self, number: int) -> bool:
        """Tell whether no outage holds a battery now."""
        at_s = self._clock.now_s() - self._first_s
        return not any(
            outage.starts_s <= at_s < outage.ends_s and bool(outage.hits[number])
            for outage in self._outages
        )

    def served_session(self, number: int, connection: int) -> BatterySession[Any]:
        """Return a battery's end of a new connection."""
        battery, now = self[number], trio.current_time()
        match self.interface(number):
            case "jbd":
                return JbdSession(battery, self.now_ms, now)
            case "sunspec":
                if number not in self._images:
                    self._images[number] = battery_image(battery)
                return SunSpecSession(battery, self.now_ms, now, self._images[number])

    def write_begin(self) -> None:
        """Put every battery on record as it begins. Raises `OSError`."""
        self._record.write(
            *(battery.begun(self.interface(battery.number)) for battery in self._batteries)
        )

    def write_end(self) -> None:
        """Put every battery on record as it ends. Raises `OSError`."""
        at_ms = self.now_ms()
        self._record.write(*(battery.ended(at_ms) for battery in self._batteries))

    def _made(self, number: int) -> Battery:
        course = Course(self._first_s * 1_000, int(self._grid.first_charge_ma_ms[number]))
        ratings = self._grid.ratings(number)
        return Battery(number, battery_name(number), ratings, course, self._record)


class BatteryFleet:
    """Everything of one process; use `open_batteries`."""

    def __init__(
        self,
        config: BatteryFleetConfig,
        grid: BatteryGrid,
        numbers: range,
        clock: ScenarioClock,
        links: Links,
        conditions: Conditions,
        record: BatteryRecord,
    ) -> None:
        self._first_s = config.first_s
        self._clock = clock
        self._outages = tuple(Outage(span, grid, config.seed) for span in config.outages)
        self.tally = Tally()
        self.links = FleetLinks(links, config, grid, addresses=config.addresses(grid))
        self.batteries = Batteries(grid, numbers, config.first_s, clock, self._outages, record)
        self.servers = Servers(self.batteries, self.links, self.tally)
        self._conditions = ConditionsPlayer(config, grid, conditions, links, numbers, clock)

    async def run(self, listener: trio.SocketListener) -> None:
        """Live until cancelled. Cancellation: answers under way are lost, commands are not."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.servers.run, listener)
            nursery.start_soon(self._conditions.play)
            for outage in self._outages:
                nursery.start_soon(self._outage, outage)
            await trio.sleep_forever()

    async def _outage(self, outage: Outage) -> None:
        await self._clock.sleep_until(self._first_s + outage.starts_s)
        for number in self.batteries.numbers:
            if outage.hits[number]:
                self.servers.cut(number)


@asynccontextmanager
async def open_batteries(
    run: Path, config: BatteryFleetConfig, process: int, clock: ScenarioClock
) -> AsyncIterator[BatteryFleet]:
    """Build the batteries of a process, own their links, and put begin and end on record.

    At the end connections close, and what is under way still arrives, within `DRAIN_S`.

    Raises:
        OSError: the record cannot be written.
    """
    grid = generate_batteries(config.grid, config.seed)
    apart = config.apart
    conditions = fleet_conditions(apart, grid)
    links_of_process = open_links(
        config.profiles,
        config.links,
        apart.seed,
        drain_s=DRAIN_S,
        changing=changing(conditions) if config.link == "model" else None,
    )
    record = BatteryRecord(record_path(run, process))
    try:
        async with links_of_process as links:
            numbers = config.numbers_of(process)
            fleet = BatteryFleet(apart, grid, numbers, clock, links, conditions, record)
            fleet.batteries.write_begin()
            try:
                yield fleet
            finally:
                fleet.batteries.write_end()
    finally:
        record.close()
