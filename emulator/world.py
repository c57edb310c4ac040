"""What all concentrators of a shard share: plan, truth, clock, delivery record, and what is heard.

A reading has reached its concentrator once its meter has been reachable at its interval or after
it. So all that a shard has heard by a step is one number a meter: the last step at which the meter
was reachable. It is brought up to date once a step, for all meters together.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord
from emulator.identity import meter_names
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from emulator.readings import Truth
from protocols.plugin import RegisterDescription
from protocols.readings import ReadingBatch

CLOCK_GRAIN_S: Final = 1e-6
"""POSIX seconds as a float are no finer: a step that begins within this time has begun."""
NEVER: Final = -1


class Heard:
    """Up to which interval the readings of each meter have reached their concentrator.

    Args:
        plan: tells when a meter is reachable.
        meters: the meters of the shard.
    """

    def __init__(self, plan: Plan, meters: range) -> None:
        self._plan = plan
        self._first = meters.start
        self._meters = np.arange(meters.start, meters.stop)
        self._step = NEVER
        self._until = np.full(len(meters), NEVER, np.int32)

    def until(self, step: int, meters: range) -> NDArray[np.int32]:
        """Return the last interval heard by ``step`` of each of ``meters``; -1: none yet.

        The array is a view that the next step changes. A step before the one last asked about
        costs as much as all the steps up to it.
        """
        if step < self._step:
            self._step = NEVER
            self._until[:] = NEVER
        while self._step < step:
            self._step += 1
            self._until[self._plan.meter_reachable(self._meters, self._step)] = self._step
        return self._until[meters.start - self._first : meters.stop - self._first]


class World:
    """What the concentrators of a shard share.

    Args:
        plan: when what can be delivered.
        truth: what every meter registers.
        clock: the scenario clock.
        record: what was delivered; its layout says which concentrators the shard has.
        events: what befalls meters; nothing when left out.
    """

    def __init__(
        self,
        plan: Plan,
        truth: Truth,
        clock: ScenarioClock,
        record: DeliveryRecord,
        events: MeterEvents | None = None,
    ) -> None:
        self.events = MeterEvents((), plan) if events is None else events
        self.plan = plan
        self.truth = truth
        self.clock = clock
        self.record = record
        first, end = (int(record.layout.first_meter[at]) for at in (0, -1))
        self.heard = Heard(plan, range(first, end))
        self.registers = tuple(
            RegisterDescription(item.name, item.logical_name_octets, item.unit, item.scaler)
            for item in truth.profile.registers
        )
        self._first_meter = first
        self._names = meter_names(first, end)
        self._names.flags.writeable = False

    def step(self) -> int:
        """Return the step under way; before the first it is -1, after the last it stays."""
        elapsed_s = self.clock.now_s() - self.plan.first_s + CLOCK_GRAIN_S
        return max(NEVER, min(int(elapsed_s // self.plan.step_s), self.plan.steps - 1))

    def names(self, meters: range) -> NDArray[np.bytes_]:
        """Return the logical device names of meters of the shard, dtype S16, not to be changed."""
        return self._names[meters.start - self._first_meter : meters.stop - self._first_meter]

    def read(
        self, meters: NDArray[np.int64], intervals: NDArray[np.int64], name: bytes
    ) -> ReadingBatch:
        """Return what ``meters`` registered at ``intervals``, element by element, and their events.

        ``name`` is that of the concentrator they belong to.
        """
        values, status = self.truth.registers(meters, intervals)
        raised = self.events.of(meters, intervals)
        return ReadingBatch(
            concentrator=name,
            meter_ids=self._names[meters - self._first_meter],
            captured_at_s=self.plan.captured_at(intervals),
            status=status,
            values=values,
            events=raised.batch(self._names[raised.meters - self._first_meter]),
        )
