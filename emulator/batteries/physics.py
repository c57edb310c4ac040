"""The physics of a battery as a closed form: nothing ticks, everything follows from one moment.

Between two commands a constant current flows until the battery is full or empty, so its state at
any time follows from the last moment at which something changed (`Course`). Charge is counted in
mA ms, current in mA, positive when it discharges, time in POSIX milliseconds of the scenario clock.

All that is lost is lost while charging: of the charge that flows in, ``efficiency_ppm`` is kept.
What is kept is rounded down once a course, so less than 1 mA ms goes astray with each change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulator.batteries.voltage import (
    HIGHEST_CELL_MV,
    NOMINAL_CELL_MV,
    WHOLE_PPM,
    loaded_cell_mv,
    resting_cell_mv,
)

MA_MS_PER_MAH: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Ratings:
    """What a battery is built for; all positive, `charge_ma_max` too."""

    capacity_ma_ms: int
    charge_ma_max: int
    discharge_ma_max: int
    efficiency_ppm: int = WHOLE_PPM
    """Share of the charge that flows in that can be taken out again."""
    cells: int = 16
    """In series."""
    resistance_uohm: int = 1_000
    """Of one cell."""
    constant_voltage: bool = False
    """Whether cells rest at their nominal voltage, whatever their charge."""

    @property
    def capacity_mah(self) -> int:
        """Capacity, mAh, rounded down."""
        return self.capacity_ma_ms // MA_MS_PER_MAH

    @property
    def nominal_mv(self) -> int:
        """Voltage that energy ratings are stated for."""
        return self.cells * NOMINAL_CELL_MV

    @property
    def highest_mv(self) -> int:
        """The most that the terminals ever show: full, and still being charged."""
        lift_mv = self.charge_ma_max * self.resistance_uohm // WHOLE_PPM + 1
        return self.cells * (HIGHEST_CELL_MV + lift_mv)

    @property
    def charge_mw_max(self) -> int:
        """Power that the highest charging current could need, mW."""
        return self.charge_ma_max * self.highest_mv // 1_000

    @property
    def discharge_mw_max(self) -> int:
        """Power that the highest discharging current could need, mW."""
        return self.discharge_ma_max * self.highest_mv // 1_000

    def allows(self, current_ma: int) -> bool:
        """Tell whether a current is within the limits."""
        return -self.charge_ma_max <= current_ma <= self.discharge_ma_max


@dataclass(frozen=True, slots=True)
class Course:
    """From ``since_ms`` on ``current_ma`` flows, until the battery is full or empty."""

    since_ms: int
    charge_ma_ms: int
    current_ma: int = 0

    def charge_at(self, ratings: Ratings, at_ms: int) -> int:
        """Return the charge at a time not before ``since_ms``, mA ms, 0..capacity.

        Raises:
            ValueError: the time is before this course began.
        """
        if at_ms < self.since_ms:
            raise ValueError(f"{at_ms} ms is before {self.since_ms} ms, when the course began")
        moved = self.current_ma * (at_ms - self.since_ms)
        if moved >= 0:
            return max(0, self.charge_ma_ms - moved)
        kept = -moved * ratings.efficiency_ppm // WHOLE_PPM
        return min(ratings.capacity_ma_ms, self.charge_ma_ms + kept)

    def current_at(self, ratings: Ratings, at_ms: int) -> int:
        """Return the current that flows at a time: 0 once there is nothing to take, or no room."""
        charge = self.charge_at(ratings, at_ms)
        spent = charge == 0 and self.current_ma > 0
        full = charge == ratings.capacity_ma_ms and self.current_ma < 0
        return 0 if spent or full else self.current_ma


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A battery at one moment."""

    at_ms: int
    voltage_mv: int
    current_ma: int
    charge_ma_ms: int
    capacity_ma_ms: int
    charge_ma_max: int
    """The most that could flow in now, positive; 0 where there is no room."""
    discharge_ma_max: int
    """The most that could flow out now; 0 where there is nothing to take."""
    cell_mv: int

    @property
    def power_mw(self) -> int:
        """Power, mW, positive when it discharges; rounded down."""
        return self.voltage_mv * self.current_ma // 1_000

    @property
    def charge_ppm(self) -> int:
        """State of charge, rounded down."""
        return self.charge_ma_ms * WHOLE_PPM // self.capacity_ma_ms


def snapshot(ratings: Ratings, course: Course, at_ms: int) -> Snapshot:
    """Return how a battery is at a time not before the course began; raises `ValueError`."""
    charge, current = course.charge_at(ratings, at_ms), course.current_at(ratings, at_ms)
    charge_ppm = charge * WHOLE_PPM // ratings.capacity_ma_ms
    resting_mv = NOMINAL_CELL_MV if ratings.constant_voltage else resting_cell_mv(charge_ppm)
    cell = loaded_cell_mv(resting_mv, current, ratings.resistance_uohm)
    return Snapshot(
        at_ms=at_ms,
        voltage_mv=cell * ratings.cells,
        current_ma=current,
        charge_ma_ms=charge,
        capacity_ma_ms=ratings.capacity_ma_ms,
        charge_ma_max=ratings.charge_ma_max if charge < ratings.capacity_ma_ms else 0,
        discharge_ma_max=ratings.discharge_ma_max if charge > 0 else 0,
        cell_mv=cell,
    )
