"""The grid behaviour generator: when every reading can reach the head-end.

Interval i is captured at step i. The reading reaches its concentrator at the first step from i on
at which the meter is reachable, and the head-end at the first step from there on at which the
concentrator is: its delivery step. Both are closed forms (see `emulator.accessibility`), so a plan
of a billion readings holds nothing but the grid. Counts over a whole plan go by windows, not by
readings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.accessibility import Accessibility, BoolArray, Int64Array
from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid import Grid
from emulator.parameters import WHOLE_PPM
from netem.draws import mix, stream_key

Int32Array = NDArray[np.int32]

NANOSECONDS: Final = 1_000_000_000
_CHUNK_CELLS: Final = 1_000_000
"""Concentrators times steps counted in one go: bounds the memory of the counts."""


@dataclass(frozen=True, slots=True, eq=False)
class StepCounts:
    """What happens at each step, per concentrator of a range."""

    due: Int32Array
    """(concentrators, steps): readings whose delivery step it is."""
    communicating: Int32Array
    """(concentrators, steps): meters with at least one reading due."""


class Plan:
    """The plan of one run.

    Args:
        grid: the generated grid.
        behaviour: the parameters the grid was generated with.
        first_s: POSIX seconds of step 0 (see `emulator.behaviour_parameters.first_step_s`).
        seed: the run's seed.
    """

    def __init__(self, grid: Grid, behaviour: BehaviourParameters, first_s: int, seed: int) -> None:
        self.grid = grid
        self.behaviour = behaviour
        self.first_s = first_s
        self.seed = seed
        self.steps = behaviour.steps
        self.step_s = behaviour.step_s
        self._phase_key = stream_key(seed, "plan", "push phase")
        self._concentrators = Accessibility(
            behaviour.concentrators,
            grid.concentrator_reachability,
            steps_per_day=behaviour.steps_per_day,
            steps=behaviour.steps,
            seed=seed,
            population="concentrators",
        )
        self._meters = Accessibility(
            behaviour.meters,
            grid.meter_reachability,
            steps_per_day=behaviour.steps_per_day,
            steps=behaviour.steps,
            seed=seed,
            population="meters",
        )

    def captured_at(self, intervals: NDArray[np.integer]) -> Int64Array:
        """Return the POSIX seconds at which intervals are captured; any shape."""
        return self.first_s + np.asarray(intervals, np.int64) * self.step_s

    def meter_reachable(self, meters: NDArray[np.integer], step: int) -> BoolArray:
        """Return (n,) whether each meter's concentrator can reach it at ``step``."""
        return self._meters.reachable(meters, step)

    def is_meter_limited(self, first_meter: int, last_meter: int) -> BoolArray:
        """Return which of ``first_meter`` .. ``last_meter - 1`` are not reachable all day."""
        return self._meters.is_limited(first_meter, last_meter)

    def concentrator_reachable(self, concentrators: NDArray[np.integer], step: int) -> BoolArray:
        """Return (n,) whether the head-end and each concentrator reach each other at ``step``."""
        return self._concentrators.reachable(concentrators, step)

    def next_concentrator_step(
        self, concentrators: NDArray[np.integer], steps: NDArray[np.integer] | int
    ) -> Int32Array:
        """Return (n,) the first step from the given one on at which each concentrator is reachable.

        ``steps`` of the plan where there is none.
        """
        return self._concentrators.next_open(concentrators, steps)

    def available_step(
        self, meters: NDArray[np.integer], intervals: NDArray[np.integer] | int
    ) -> Int32Array:
        """Return (n,) the step at which each reading reaches its concentrator.

        ``steps`` where it does not before the end of the plan.
        """
        return self._meters.next_open(meters, intervals)

    def delivery_step(
        self, meters: NDArray[np.integer], intervals: NDArray[np.integer] | int
    ) -> Int32Array:
        """Return (n,) the step at which each reading's delivery window opens.

        ``steps`` where none opens before the end of the plan: the reading is deferred, not owed.
        """
        available = self.available_step(meters, intervals)
        return self._concentrators.next_open(self.grid.concentrator_of(meters), available)

    def delivery_step_block(self, interval: int, first_meter: int, last_meter: int) -> Int32Array:
        """Return `delivery_step` of one interval for ``first_meter`` .. ``last_meter - 1``."""
        if first_meter >= last_meter:
            return np.zeros(0, np.int32)
        ends = self.grid.concentrator_of(np.array([first_meter, last_meter - 1]))
        concentrators = np.arange(ends[0], ends[1] + 1)
        bounds = np.clip(self.grid.first_meter[ends[0] : ends[1] + 2], first_meter, last_meter)
        opening = self._concentrators.next_open(concentrators, interval)
        result = np.repeat(opening, np.diff(bounds))
        limited = np.flatnonzero(self._meters.is_limited(first_meter, last_meter))
        if limited.size:
            result[limited] = self.delivery_step(limited + first_meter, interval)
        return result

    def owed(self, interval: int, first_meter: int, last_meter: int) -> BoolArray:
        """Return which readings of one interval ``first_meter`` .. ``last_meter - 1`` owe.

        Owed: the delivery window opens before the end of the plan. The others are deferred.
        """
        return self.delivery_step_block(interval, first_meter, last_meter) < self.steps

    def phase_ns(self, concentrators: NDArray[np.integer]) -> Int64Array:
        """Return (n,) how long after a step's begin each concentrator pushes, in nanoseconds.

        Scenario time, 0 <= phase < the behaviour's spread of the step; 0 without any spread.
        """
        spread_ns = self.step_s * NANOSECONDS * self.behaviour.spread // WHOLE_PPM
        draws = mix(self._phase_key, np.asarray(concentrators))
        return (draws % np.uint64(max(spread_ns, 1))).astype(np.int64)

    def due_counts(self) -> Int64Array:
        """Return (steps,) the readings due at each step; their sum is what the plan owes."""
        return self._totals[0]

    def communicating_meters(self) -> Int64Array:
        """Return (steps,) the meters with at least one reading due at each step."""
        return self._totals[1]

    def concentrator_due_counts(self) -> Int32Array:
        """Return (concentrators, steps) the readings due; 4 octets a cell, in one piece."""
        return np.concatenate([counts.due for counts in self._chunks()])

    @cached_property
    def _totals(self) -> tuple[Int64Array, Int64Array]:
        due, communicating = np.zeros(self.steps, np.int64), np.zeros(self.steps, np.int64)
        for counts in self._chunks():
            due += counts.due.sum(axis=0, dtype=np.int64)
            communicating += counts.communicating.sum(axis=0, dtype=np.int64)
        due.flags.writeable = communicating.flags.writeable = False
        return due, communicating

    def _chunks(self) -> Iterator[StepCounts]:
        size = max(1, _CHUNK_CELLS // self.steps)
        for first in range(0, self.grid.concentrators, size):
            yield self.step_counts(first, min(first + size, self.grid.concentrators))

    def step_counts(self, first: int, last: int) -> StepCounts:
        """Return the counts per step of concentrators ``first`` .. ``last - 1``."""
        is_open = self._concentrators.open_table(first, last)
        bounds = self.grid.first_meter[first : last + 1]
        owner = np.repeat(np.arange(last - first), np.diff(bounds))
        always = ~self._meters.is_limited(int(bounds[0]), int(bounds[-1]))
        steady = np.bincount(owner[always], minlength=last - first).astype(np.int32)[:, None]
        changes = _Changes.empty(last - first, self.steps)
        opening = _next_open_table(is_open)
        for index in self._meters.limited_classes:
            members = self._meters.members(index, int(bounds[0]), int(bounds[-1]))
            self._add_windows(index, members, owner[members - bounds[0]], opening, changes)
        available = np.cumsum(changes.available, axis=1, dtype=np.int32)[:, :-1] + steady
        communicating = np.cumsum(changes.communicating, axis=1, dtype=np.int32)[:, :-1] + steady
        return StepCounts(_deliver(available, is_open), np.where(is_open, communicating, 0))

    def _add_windows(
        self,
        index: int,
        members: Int64Array,
        owner: Int64Array,
        opening: Int32Array,
        changes: _Changes,
    ) -> None:
        """Add what the windows of one class of meters change, slice by slice."""
        collected = np.zeros(len(members), np.int64)  # intervals the concentrator already has
        delivered = np.full(len(members), -1, np.int64)  # last step at which any was due
        for number in range(self._meters.slices(index)):
            start, end = self._meters.windows(index, members, number)
            end = np.minimum(end, self.steps)
            chosen = np.flatnonzero(start < end)
            start, end, row = start[chosen], end[chosen], owner[chosen]
            changes.add_available(row, start, end, start - collected[chosen])
            collected[chosen] = end
            # Between the first and the last delivery, every open step has a reading of its own.
            first = np.maximum(opening[row, start], delivered[chosen] + 1)
            last = opening[row, end - 1].astype(np.int64)
            changes.add_communicating(row, first, last)
            delivered[chosen] = np.maximum(delivered[chosen], last)


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """Step-to-step changes, (concentrators, steps + 1); the last column takes what never comes."""

    available: Int32Array
    communicating: Int32Array

    @classmethod
    def empty(cls, concentrators: int, steps: int) -> _Changes:
        shape = (concentrators, steps + 1)
        return cls(np.zeros(shape, np.int32), np.zeros(shape, np.int32))

    def add_available(
        self, row: Int64Array, start: Int64Array, end: Int64Array, waiting: Int64Array
    ) -> None:
        """Add windows: at ``start`` what was waiting, and one reading at each of their steps."""
        flat, width = self.available.reshape(-1), self.available.shape[1]
        backlog = waiting.astype(np.int32)
        np.add.at(flat, row * width + start, backlog + np.int32(1))
        np.add.at(flat, row * width + start + 1, -backlog)
        np.add.at(flat, row * width + end, np.int32(-1))

    def add_communicating(self, row: Int64Array, first: Int64Array, last: Int64Array) -> None:
        """Add one meter at every step from ``first`` to ``last``, where there are any."""
        flat, width = self.communicating.reshape(-1), self.communicating.shape[1]
        some = first <= last
        base = row[some] * width
        np.add.at(flat, base + first[some], np.int32(1))
        np.add.at(flat, base + np.minimum(last[some] + 1, width - 1), np.int32(-1))


def _next_open_table(is_open: BoolArray) -> Int32Array:
    """Return (concentrators, steps + 1) the first open step from each step on, or ``steps``."""
    concentrators, steps = is_open.shape
    table = np.full((concentrators, steps + 1), steps, np.int32)
    np.copyto(table[:, :-1], np.arange(steps, dtype=np.int32), where=is_open)
    return np.minimum.accumulate(table[:, ::-1], axis=1)[:, ::-1]


def _deliver(available: Int32Array, is_open: BoolArray) -> Int32Array:
    """Return what is delivered at each step when all that waits goes at the next open one.

    Cumulative counts stay below 2**31: 10**4 meters a concentrator, 10**5 steps.
    """
    total = np.cumsum(available, axis=1, dtype=np.int32)
    gone = np.where(is_open, total, 0)
    np.maximum.accumulate(gone, axis=1, out=gone)
    return np.diff(gone, axis=1, prepend=np.int32(0))
