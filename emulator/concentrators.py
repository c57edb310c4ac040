"""The concentrators of one shard: made when first needed, reachable or not, begun or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emulator.device import Concentrator, ExecutionLog
from emulator.dialects import Dialects
from emulator.fleet_config import FleetConfig, part_of
from emulator.keys import KeyRing, with_members
from emulator.schedule import Schedule
from emulator.world import NEVER, World
from netem.draws import generator
from protocols.plugin import Credentials, PushSession, ServedSession

BoolArray = NDArray[np.bool_]


class Concentrators:
    """What the shard knows of its concentrators ``numbers``."""

    def __init__(
        self,
        config: FleetConfig,
        numbers: range,
        world: World,
        schedule: Schedule,
        dialects: Dialects,
        keys: KeyRing,
        executions: ExecutionLog,
    ) -> None:
        self.numbers = numbers
        self._config = config
        self._world = world
        self._schedule = schedule
        self.dialects = dialects
        self._keys = keys
        self._executions = executions
        self._made: dict[int, Concentrator] = {}
        self._push_sessions: dict[int, PushSession] = {}
        self._begun: BoolArray = np.zeros(len(numbers), np.bool_)
        self._step = NEVER
        self._open: BoolArray = self._begun

    def __getitem__(self, number: int) -> Concentrator:
        """Return the concentrator ``number``, making it on first use."""
        if number not in self._made:
            self._made[number] = Concentrator(number, self._world, self._executions)
        return self._made[number]

    def slice(self, part: int) -> range:
        """Return the numbers of one slice: what one Locust user stands for."""
        within = part_of(len(self.numbers), self._config.slices, part)
        return self.numbers[within.start : within.stop]

    def begin(self, numbers: range) -> None:
        """Let these concentrators live."""
        self._begun[numbers.start - self.numbers.start : numbers.stop - self.numbers.start] = True

    def end(self, numbers: range) -> None:
        """Silence these concentrators."""
        self._begun[numbers.start - self.numbers.start : numbers.stop - self.numbers.start] = False

    def planned(self, step: int) -> BoolArray:
        """Return for each of ``numbers`` whether the plan has it reachable at ``step``.

        Before the first step and after the last one holds what the plan says of these. Worked out
        once a step for all of them: the array is not to be changed.
        """
        step = min(max(0, step), self._world.plan.steps - 1)
        if step != self._step:
            self._open = self._world.plan.concentrator_reachable(np.array(self.numbers), step)
            self._step = step
        return self._open

    def alive(self, step: int) -> BoolArray:
        """Return for each of ``numbers`` whether it lives and is planned to be reachable."""
        alive: BoolArray = self.planned(step) & self._begun
        return alive

    def reachable(self, number: int) -> bool:
        """Tell whether the concentrator lives and is reachable now: plan and outages."""
        index = number - self.numbers.start
        if not self._begun[index] or not self.planned(self._world.step())[index]:
            return False
        elapsed_s = self._world.clock.scenario_at(time.monotonic()) - self._world.plan.first_s
        return not self._schedule.cut_off(number, elapsed_s)

    def push_session(self, number: int) -> PushSession:
        """Return the pushing side of a concentrator, making it on first use.

        Raises `KeyFileError`.
        """
        if number not in self._push_sessions:
            plugin = self.dialects.plugin(number)
            self._push_sessions[number] = plugin.push_session(
                self._credentials(number), self[number].push_counters, self.dialects.options(number)
            )
        return self._push_sessions[number]

    def push_sessions(self) -> Mapping[int, PushSession]:
        """Return the pushing sides that have been made, by number of the concentrator."""
        return self._push_sessions

    def served_session(self, number: int, connection: int) -> ServedSession:
        """Return the served side of the ``connection``-th connection to a concentrator.

        Raises `KeyFileError`.
        """
        return self.dialects.plugin(number).served_session(
            self[number],
            self._credentials(number),
            self[number].served_counters,
            self.dialects.options(number),
            _octets(self._config.seed, number, connection),
        )

    def _credentials(self, number: int) -> Credentials:
        device = self[number]
        plugin = self.dialects.plugin(number)
        return with_members(self._keys, plugin, device.name, device.meter_names)


def _octets(seed: int, number: int, connection: int) -> Callable[[int], bytes]:
    """Return the source of challenges for one connection: seeded, so that runs repeat."""
    draws = generator(seed, "challenge", number, connection)
    return draws.bytes
