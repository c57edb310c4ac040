"""The concentrators of one shard: made when first needed, reachable or not, begun or not."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from emulator.device import Concentrator, World
from emulator.fleet_config import FleetConfig, part_of
from emulator.keys import KeyRing
from emulator.schedule import Schedule
from netem.draws import generator
from protocols.plugin import (
    ProtocolPlugin,
    PushSession,
    ServedSession,
    SessionOptions,
)


class Concentrators:
    """What the shard knows of its concentrators ``numbers``."""

    def __init__(
        self,
        config: FleetConfig,
        numbers: range,
        world: World,
        schedule: Schedule,
        plugin: ProtocolPlugin,
        keys: KeyRing,
    ) -> None:
        self.numbers = numbers
        self._config = config
        self._world = world
        self._schedule = schedule
        self._plugin = plugin
        self._keys = keys
        self._options = SessionOptions(
            authentication=config.authentication,
            protection=config.protection,
            confirmed=config.confirmed,
        )
        self._made: dict[int, Concentrator] = {}
        self._begun: set[int] = set()

    def __getitem__(self, number: int) -> Concentrator:
        """Return the concentrator ``number``, making it on first use."""
        if number not in self._made:
            self._made[number] = Concentrator(number, self._world)
        return self._made[number]

    def slice(self, part: int) -> range:
        """Return the numbers of one slice: what one Locust user stands for."""
        within = part_of(len(self.numbers), self._config.slices, part)
        return self.numbers[within.start : within.stop]

    def begin(self, numbers: range) -> None:
        """Let these concentrators live."""
        self._begun.update(numbers)

    def end(self, numbers: range) -> None:
        """Silence these concentrators."""
        self._begun.difference_update(numbers)

    def planned(self, number: int, step: int) -> bool:
        """Tell whether the plan has the concentrator reachable at ``step``."""
        return bool(self._world.plan.concentrator_reachable(np.array([number]), step)[0])

    def reachable(self, number: int) -> bool:
        """Tell whether the concentrator lives and is reachable now: plan and outages."""
        if number not in self._begun:
            return False
        elapsed_s = self._world.clock.scenario_at(time.monotonic()) - self._world.plan.first_s
        if self._schedule.cut_off(number, elapsed_s):
            return False
        return self.planned(number, max(0, self._world.step()))

    def push_session(self, number: int) -> PushSession:
        """Return the pushing side of a new connection."""
        device = self[number]
        credentials = self._keys.of(device.name, device.system_title)
        return self._plugin.push_session(credentials, device.push_counters, self._options)

    def served_session(self, number: int, connection: int) -> ServedSession:
        """Return the served side of the ``connection``-th connection to a concentrator."""
        device = self[number]
        credentials = self._keys.of(device.name, device.system_title)
        return self._plugin.served_session(
            device,
            credentials,
            device.served_counters,
            self._options,
            _octets(self._config.seed, number, connection),
        )


def _octets(seed: int, number: int, connection: int) -> Callable[[int], bytes]:
    """Return the source of challenges for one connection: seeded, so that runs repeat."""
    draws = generator(seed, "challenge", number, connection)
    return draws.bytes
