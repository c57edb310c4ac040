"""What every battery held and did at any time, by its own record; and how it tells it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, TypeAlias

from emulator.batteries.record import Begun, Changed, Entry, Executed, Refused
from emulator.batteries.voltage import NOMINAL_CELL_MV, resting_cell_mv
from harness.bal.happenings import READ
from harness.bal.journal import Event

PPM: Final = 1_000_000
JBD_MA_MS: Final = 10 * 3_600_000
"""JBD tells charge in steps of 10 mAh, cut."""
SUNSPEC_PPM: Final = 100
"""SunSpec tells a state of charge in steps of so much of the capacity, cut, and that cut, too."""
CAPACITY: Final = 5
"""Place of the capacity in the values of a reading."""
ROUNDING_MA: Final = 1
"""A part of a current is whole milliamperes."""
POWER_ROUNDING_MA: Final = 2
"""A power is whole milliwatts, and the current that it becomes whole milliamperes."""

Bounds: TypeAlias = tuple[int, int]
"""The least and the most."""


class Held:
    """One battery from its begin to its end.

    Attributes:
        late_ms: the longest time between a reading's stamp and its place in the journal.
        capacity_ma_ms: the least that it said its capacity to be.
        changed_ms: when it was told something, in order; the first is its begin.
        end_ms: up to when its record goes.
    """

    def __init__(self, begun: Begun) -> None:
        self.begun = begun
        self.late_ms = 0
        self.capacity_ma_ms = begun.capacity_ma_ms
        self.changed_ms = [begun.at_ms]
        self.end_ms = begun.at_ms
        self._charges = [begun.charge_ma_ms]
        self._currents_ma = [0]
        self._powered = [False]

    def add(self, entry: Entry) -> None:
        """Take the next entry."""
        if isinstance(entry, Begun | Refused):
            return
        powered = self._powered[-1]
        if isinstance(entry, Executed) and entry.kind != "disabled":
            powered = entry.kind == "power"
        self._add(entry.changed, powered=powered)

    def _add(self, changed: Changed, *, powered: bool) -> None:
        self.changed_ms.append(changed.at_ms)
        self.end_ms = changed.at_ms
        self._charges.append(changed.charge_ma_ms)
        self._currents_ma.append(changed.current_ma)
        self._powered.append(powered)

    # What it holds

    def charge_at(self, at_ms: int) -> int:
        """Return what it held at a moment, mA ms."""
        index = max(0, bisect_right(self.changed_ms, at_ms) - 1)
        moved = self._currents_ma[index] * max(0, at_ms - self.changed_ms[index])
        if moved < 0:
            moved = -(-moved * self.begun.efficiency_ppm // PPM)
        return min(self.begun.capacity_ma_ms, max(0, self._charges[index] - moved))

    def within(self, from_ms: int, to_ms: int) -> Bounds:
        """Return what it held in an interval: charge only turns where the current changes."""
        first, last = bisect_right(self.changed_ms, from_ms), bisect_left(self.changed_ms, to_ms)
        charges = [self.charge_at(from_ms), self.charge_at(to_ms), *self._charges[first:last]]
        return min(charges), max(charges)

    def read(self, reading: Event) -> None:
        """Learn from a reading in the journal how the battery tells its charge."""
        self.late_ms = max(self.late_ms, reading.at_ms - reading.details["newest_ms"])
        self.capacity_ma_ms = min(self.capacity_ma_ms, reading.details["values"][CAPACITY])

    def told(self, from_ms: int, to_ms: int) -> Bounds:
        """Return what it can have told of itself by readings of an interval."""
        least, most = self.within(from_ms, to_ms + self.late_ms)
        step = JBD_MA_MS
        if self.begun.interface != "jbd":
            capacity = self.begun.capacity_ma_ms
            step = capacity * SUNSPEC_PPM // PPM + capacity - self.capacity_ma_ms + 1
        return max(0, least - step), most + 1

    # What it does

    def index_at(self, at_ms: int) -> int:
        """Return the place in `changed_ms` of what it was told last by a moment."""
        return max(0, bisect_right(self.changed_ms, at_ms) - 1)

    def changes(self, after_ms: int, until_ms: int) -> range:
        """Return the places of what it was told after a moment and before another."""
        return range(self.index_at(after_ms) + 1, bisect_left(self.changed_ms, until_ms))

    def meant(self, index: int) -> Bounds:
        """Return which current it can have been meant to do, from the ``index``-th change on.

        That is what it does, but for rounding. One that is told a power makes a current of it at
        the voltage of that moment; who told it went by another: one that it showed in this run, or
        the one that it is made for.
        """
        current_ma = self._currents_ma[index]
        if not current_ma or not self._powered[index]:
            return current_ma - ROUNDING_MA, current_ma + ROUNDING_MA
        at_mv = self._cell_mv(self._charges[index])
        shown = [*map(self._cell_mv, (min(self._charges), max(self._charges))), NOMINAL_CELL_MV]
        ends = [current_ma * at_mv // mv for mv in (min(shown), max(shown))]
        return min(ends) - POWER_ROUNDING_MA, max(ends) + 1 + POWER_ROUNDING_MA

    def _cell_mv(self, charge_ma_ms: int) -> int:
        return resting_cell_mv(charge_ma_ms * PPM // self.begun.capacity_ma_ms)


def held_by_name(entries: Iterable[Entry], events: Iterable[Event]) -> dict[str, Held]:
    """Return what every battery held, by name; readings in the journal say how it tells it."""
    own: dict[int, Held] = {}
    for entry in entries:
        if isinstance(entry, Begun):
            own[entry.battery] = Held(entry)
        elif entry.battery in own:
            own[entry.battery].add(entry)
    held = {one.begun.name: one for one in own.values()}
    for event in events:
        if event.kind == READ and event.details["name"] in held:
            held[event.details["name"]].read(event)
    return held
