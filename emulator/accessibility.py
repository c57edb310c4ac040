"""Accessibility windows: when a concentrator or a meter can be reached.

Theory. A class is reachable a share f of the day in w windows a day. The steps of a day are cut in
w slices as equal as whole steps allow: slice n covers the steps from ceil(n*k/w) to the next such
bound, k being the steps of a day, days counted from step 0. How many of the first b steps are open
is ``floor((f*b + phase) / 10**6)``, f in parts per million and the phase seeded per entity: a
Bresenham line, so a slice opens for the line's rise over it, never for longer than it is, and the
long-run share is exactly f. Within its slice the window begins at a seeded offset.

Everything is a closed form of (seed, entity, slice), in integers; nothing is stored per window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.behaviour_parameters import AccessibilityClass
from emulator.parameters import WHOLE_PPM
from netem.draws import mix, stream_key

BoolArray = NDArray[np.bool]
Int64Array = NDArray[np.int64]

_COUNTER_BITS: Final = np.uint64(32)


class Accessibility:
    """The windows of one population: all concentrators, or all meters.

    Args:
        classes: the population's accessibility classes.
        category: (population,) index of each member's class.
        steps_per_day: steps in a day; every class has at most that many windows.
        steps: steps of the plan; nothing opens from step ``steps`` on.
        seed: the run's seed.
        population: "concentrators" or "meters": the name of the draws.
    """

    def __init__(
        self,
        classes: Sequence[AccessibilityClass],
        category: NDArray[np.uint8],
        *,
        steps_per_day: int,
        steps: int,
        seed: int,
        population: str,
    ) -> None:
        self._classes = tuple(classes)
        self._category = category
        self._steps_per_day = steps_per_day
        self._steps = steps
        self._phase_key = stream_key(seed, "plan", population, "phase")
        self._offset_key = stream_key(seed, "plan", population, "offset")
        self._limited = np.array([item.reachable < WHOLE_PPM for item in self._classes])

    @property
    def limited_classes(self) -> list[int]:
        """The classes that are not reachable all day."""
        return [int(index) for index in np.flatnonzero(self._limited)]

    def is_limited(self, first: int, last: int) -> BoolArray:
        """Return which of the members ``first`` .. ``last - 1`` are not reachable all day."""
        limited: BoolArray = self._limited[self._category[first:last]]
        return limited

    def members(self, index: int, first: int, last: int) -> Int64Array:
        """Return the members of class ``index`` among ``first`` .. ``last - 1``."""
        return np.flatnonzero(self._category[first:last] == index) + first

    def slices(self, index: int) -> int:
        """Return how many slices of class ``index`` begin before the end of the plan."""
        return int(self._slice_at(index, np.int64(self._steps - 1))) + 1

    def windows(
        self, index: int, members: Int64Array, slices: Int64Array | int
    ) -> tuple[Int64Array, Int64Array]:
        """Return first step and end (exclusive) of the members' windows in the given slices.

        An empty window has its end at its begin. Windows may reach beyond the end of the plan.

        Args:
            index: the class all the members belong to.
            members: (n,) numbers of members.
            slices: (n,) numbers of slices, or one for all.
        """
        number = np.asarray(slices, np.int64)
        begin, end = self._bound(index, number), self._bound(index, number + 1)
        share_ppm = self._classes[index].reachable
        phase = (mix(self._phase_key, members) % np.uint64(WHOLE_PPM)).astype(np.int64)
        length = (share_ppm * end + phase) // WHOLE_PPM - (share_ppm * begin + phase) // WHOLE_PPM
        counter = (members.astype(np.uint64) << _COUNTER_BITS) | number.astype(np.uint64)
        places = (end - begin - length + 1).astype(np.uint64)
        offset = ((mix(self._offset_key, counter) >> _COUNTER_BITS) * places) >> _COUNTER_BITS
        start = begin + offset.astype(np.int64)
        return start, start + length

    def reachable(self, members: NDArray[np.integer], step: int) -> BoolArray:
        """Return (n,) whether each member is reachable at ``step``, 0..steps-1."""
        numbers = np.asarray(members, np.int64)
        result = np.ones(numbers.shape, np.bool)
        for index in self.limited_classes:
            chosen = self._category[numbers] == index
            number = int(self._slice_at(index, np.int64(step)))
            start, end = self.windows(index, numbers[chosen], number)
            result[chosen] = (start <= step) & (step < end)
        return result

    def next_open(
        self, members: NDArray[np.integer], steps: NDArray[np.integer] | int
    ) -> NDArray[np.int32]:
        """Return (n,) the first step, from the given one on, at which each member is reachable.

        Args:
            members: (n,) numbers of members.
            steps: (n,) steps to begin at, or one for all, 0..steps.

        Returns:
            Steps 0..steps-1, or ``steps`` where no window opens before the end of the plan.
        """
        numbers = np.asarray(members, np.int64)
        result = np.broadcast_to(np.asarray(steps, np.int32), numbers.shape).copy()
        category = self._category[numbers]
        for index in self.limited_classes:
            chosen = np.flatnonzero(category == index)
            if chosen.size:
                result[chosen] = self._search(index, numbers[chosen], result[chosen])
        return result

    def _search(
        self, index: int, members: Int64Array, steps: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Walk the slices, all members at once, until each has found an open step."""
        result = np.full(members.shape, self._steps, np.int32)
        pending = np.flatnonzero(steps < self._steps)
        number = self._slice_at(index, steps[pending].astype(np.int64))
        while pending.size:
            start, end = self.windows(index, members[pending], number)
            step = np.maximum(start, steps[pending])
            found = step < end
            result[pending[found]] = np.minimum(step[found], self._steps)
            number = number[~found] + 1
            pending = pending[~found]
            inside = self._bound(index, number) < self._steps
            pending, number = pending[inside], number[inside]
        return result

    def open_table(self, first: int, last: int) -> BoolArray:
        """Return (last - first, steps) whether each member is reachable at each step."""
        table = np.ones((last - first, self._steps), np.bool)
        for index in self.limited_classes:
            members = self.members(index, first, last)
            for number in range(self.slices(index)):
                begin = int(self._bound(index, np.int64(number)))
                bound = min(int(self._bound(index, np.int64(number + 1))), self._steps)
                start, end = self.windows(index, members, number)
                steps = np.arange(begin, bound)
                table[members - first, begin:bound] = (start[:, None] <= steps) & (
                    steps < end[:, None]
                )
        return table

    def _slice_at(self, index: int, steps: Int64Array | np.int64) -> Int64Array:
        windows = self._classes[index].windows_per_day
        return np.asarray(steps * windows // self._steps_per_day, np.int64)

    def _bound(self, index: int, number: Int64Array | np.int64) -> Int64Array:
        """Return the first step of slice ``number``: ceil(number * steps_per_day / windows)."""
        windows = self._classes[index].windows_per_day
        return np.asarray(-(-number * self._steps_per_day // windows), np.int64)
