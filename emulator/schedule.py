"""The plan as it stands under the scenario's outages: when each reading can be delivered.

Without outages this is the plan itself. An outage closes every step it touches for the
concentrators it hits, so a reading whose window falls into it is due when the next window opens;
where none does before the end, it is deferred. Nothing else that befalls the network closes a step:
what a link that flaps, or is cut from the head-end, or is slow, holds up is owed all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.fleet_config import OutageSpan
from emulator.linked import LinkedGrid
from emulator.plan import Plan
from netem.draws import stream_key
from netem.whom import chosen

Int32Array = NDArray[np.int32]


class Outage:
    """One outage and whom it hits; ``hits`` is bool (concentrators,)."""

    def __init__(self, span: OutageSpan, grid: LinkedGrid, seed: int) -> None:
        self.starts_s = span.starts_s
        self.ends_s = span.starts_s + span.lasts_s
        self.hits = chosen(
            span.whom,
            [link.profile for link in grid.parameters.links],
            grid.link_category,
            stream_key(seed, "outage", span.number),
        )


class Schedule:
    """When readings can be delivered: plan and outages together."""

    def __init__(self, plan: Plan, outages: Sequence[Outage]) -> None:
        self.plan = plan
        self.outages = tuple(outages)
        self._next_open = _next_open_table(plan, self.outages) if self.outages else None

    @classmethod
    def of(cls, plan: Plan, spans: Sequence[OutageSpan]) -> Schedule:
        """Return the schedule of a plan under the outages of a fleet."""
        return cls(plan, [Outage(span, plan.grid, plan.seed) for span in spans])

    def delivery_step_block(self, interval: int, first_meter: int, last_meter: int) -> Int32Array:
        """Return the step at which each reading of one interval is due, int32.

        For ``first_meter`` .. ``last_meter - 1``; ``steps`` of the plan: deferred.
        """
        if self._next_open is None:
            return self.plan.delivery_step_block(interval, first_meter, last_meter)
        meters = np.arange(first_meter, last_meter)
        return self.delivery_step(meters, np.full(len(meters), interval))

    def delivery_step(self, meters: NDArray[np.int64], intervals: NDArray[np.int64]) -> Int32Array:
        """Return the step at which each reading is due, element by element."""
        available = self.plan.available_step(meters, intervals)
        return self._next_open_step(self.plan.grid.concentrator_of(meters), available)

    def _next_open_step(
        self, concentrators: NDArray[np.integer], steps: NDArray[np.integer]
    ) -> Int32Array:
        if self._next_open is None:
            return self.plan.next_concentrator_step(concentrators, steps)
        opening: Int32Array = self._next_open[concentrators, steps]
        return opening

    def first_due(
        self, concentrator: int, meters: NDArray[np.int64], intervals: NDArray[np.int64]
    ) -> int:
        """Return the smallest `delivery_step` of some readings of one concentrator.

        They must be in order of ``intervals``. Cheap where a meter that is reachable all day is
        among those of the first interval: nothing is available before it is captured.
        """
        members = self.plan.grid.meters_of(concentrator)
        limited = self.plan.is_meter_limited(members.start, members.stop)[meters - members.start]
        at = int(limited.argmin())
        bound = self.plan.steps if limited[at] else int(intervals[at])
        earlier = int(np.searchsorted(intervals, bound))
        if earlier:
            available = self.plan.available_step(meters[:earlier], intervals[:earlier])
            bound = int(available.min(initial=bound))
        return int(self._next_open_step(np.array([concentrator]), np.array([bound]))[0])

    def cut_off(self, concentrator: int, since_first_s: float) -> bool:
        """Tell whether an outage holds ``concentrator`` at that scenario time since step 0."""
        return any(
            outage.starts_s <= since_first_s < outage.ends_s and bool(outage.hits[concentrator])
            for outage in self.outages
        )

    def due_counts(self) -> NDArray[np.int64]:
        """Return int64 (steps,): the readings due at each step."""
        if self._next_open is None:
            return self.plan.due_counts()
        counts = np.zeros(self.plan.steps + 1, np.int64)
        for interval in range(self.plan.steps):
            due = self.delivery_step_block(interval, 0, self.plan.grid.meters)
            counts += np.bincount(due, minlength=len(counts))
        return counts[:-1]


def _next_open_table(plan: Plan, outages: Sequence[Outage]) -> NDArray[np.int32]:
    """Return (concentrators, steps + 1): the first step from each on that is open and not cut."""
    steps, everybody = plan.steps, np.arange(plan.grid.concentrators)
    table = np.full((len(everybody), steps + 1), steps, np.int32)
    for step in range(steps - 1, -1, -1):
        usable = plan.concentrator_reachable(everybody, step)
        for outage in outages:
            begins, ends = step * plan.step_s, (step + 1) * plan.step_s
            if outage.starts_s < ends and outage.ends_s > begins:
                usable = usable & ~outage.hits
        table[:, step] = np.where(usable, step, table[:, step + 1])
    return table
