"""The conditions of the network, applied to the links of one fleet shard.

The shard switches gates and changes modelled links. In a lab, where links are real, whoever owns
the lab changes them (`Conditions.changes` with ``cut_is_loss``); a shard only breaks connections.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import trio
from numpy.typing import NDArray

from emulator.clock import ScenarioClock
from emulator.linked import LinkedFleet, LinkedGrid
from emulator.schedule import Outage
from netem.conditions import Conditions, LinkChange
from netem.links import Links

AT_ONCE: Final = 512
"""Links that change before anybody else gets a turn."""


def fleet_conditions(config: LinkedFleet, grid: LinkedGrid) -> Conditions:
    """Return the conditions of a whole fleet, its outages among what cuts links off."""
    outages = [Outage(span, grid, config.seed) for span in config.outages]
    return Conditions(
        config.conditions,
        [config.profiles[link.profile].each_way(config.links) for link in grid.parameters.links],
        grid.link_category,
        config.seed,
        [((outage.starts_s, outage.ends_s), outage.hits) for outage in outages],
    )


def changing(conditions: Conditions) -> NDArray[np.bool_] | None:
    """Return whose links may become others, bool (concentrators,); None where nobody's do."""
    hits = [event.hits for event in conditions.worsening]
    return np.logical_or.reduce(hits) if hits else None


class ConditionsPlayer:
    """Applies the conditions to the links of this process, each at its time.

    Args:
        config: the fleet.
        grid: its grid.
        conditions: of the whole fleet.
        links: of this process; told of those whose links may change.
        numbers: the concentrators of this process.
        clock: the scenario clock.
    """

    def __init__(
        self,
        config: LinkedFleet,
        grid: LinkedGrid,
        conditions: Conditions,
        links: Links,
        numbers: range,
        clock: ScenarioClock,
    ) -> None:
        self._conditions = conditions
        self._links = links
        self._numbers = numbers
        self._clock = clock
        self._first_s = config.first_s
        self._category = grid.link_category
        self._modelled = config.link == "model"
        self._in_lab = config.link not in ("model", "none")
        self._may_change = changing(conditions)
        self._gates = [links.add_gate(event.hits) for event in conditions.cutting]

    async def play(self) -> None:
        """Apply everything; returns after the last. Cancellation: what holds goes on holding."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._switch)
            if self._modelled:
                nursery.start_soon(self._change)

    async def _switch(self) -> None:
        for switching in self._conditions.switchings():
            if self._in_lab and switching.kind == "hang":
                continue
            await self._clock.sleep_until(self._first_s + switching.at_s)
            gate = self._gates[switching.event]
            if switching.kind is None:
                gate.restore()
            else:
                gate.cut(switching.kind)

    async def _change(self) -> None:
        for change in self._conditions.changes():
            await self._clock.sleep_until(self._first_s + change.at_s)
            numbers = self._whose(change)
            for first in range(0, len(numbers), AT_ONCE):
                self._links.become(numbers[first : first + AT_ONCE].tolist(), change.profile)
                await trio.lowlevel.checkpoint()

    def _whose(self, change: LinkChange) -> NDArray[np.int64]:
        """Return the concentrators of this shard whose links change.

        Where a whole class is well again, that is those of it that were not.
        """
        numbers = change.numbers
        if numbers is None:
            assert self._may_change is not None, "something changes"
            numbers = np.flatnonzero((self._category == change.category) & self._may_change)
        return numbers[(numbers >= self._numbers.start) & (numbers < self._numbers.stop)]
