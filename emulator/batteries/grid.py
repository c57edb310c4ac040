"""The battery generator: which batteries there are, as arrays, from parameters and seed.

As in `emulator.grid`, shares are met exactly, a seeded shuffle decides who belongs where, and every
attribute has its own stream of draws. Integers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.batteries.parameters import WHOLE_PPM, BatteryParameters, Interface
from emulator.batteries.physics import MA_MS_PER_MAH, Ratings
from emulator.parameters import apportion
from netem.draws import generator

UInt8Array = NDArray[np.uint8]
Int64Array = NDArray[np.int64]
NAME_PREFIX: Final = "battery-"
NAME_DIGITS: Final = 7
UNLIKE_CELLS: Final = 200
"""Cells differ in resistance: from 900 to 1,100 microohms."""
MEAN_RESISTANCE_UOHM: Final = 1_000


def battery_name(number: int) -> str:
    """Return the name of a battery, which its device tells too: ``battery-0000001`` is number 0."""
    return f"{NAME_PREFIX}{number + 1:0{NAME_DIGITS}d}"


@dataclass(frozen=True, slots=True, eq=False)
class BatteryGrid:
    """All batteries of a run, numbered from 0. Arrays are read-only."""

    parameters: BatteryParameters
    category: UInt8Array
    """Index into ``parameters.categories``."""
    link_category: UInt8Array
    """Index into ``parameters.links``."""
    capacity_mah: Int64Array
    charge_ma_max: Int64Array
    discharge_ma_max: Int64Array
    first_charge_ma_ms: Int64Array
    resistance_uohm: Int64Array
    """Of one cell."""

    @property
    def batteries(self) -> int:
        """Number of batteries."""
        return len(self.category)

    def interface(self, number: int) -> Interface:
        """Return what a battery speaks."""
        return self.parameters.categories[int(self.category[number])].interface

    def ratings(self, number: int) -> Ratings:
        """Return what a battery is built for.

        One that is commanded by power shows no drop inside, so that a power and the current it was
        turned into go together, whatever flowed before (`emulator.batteries.sunspec`).
        """
        category = self.parameters.categories[int(self.category[number])]
        resistance_uohm = int(self.resistance_uohm[number])
        return Ratings(
            capacity_ma_ms=int(self.capacity_mah[number]) * MA_MS_PER_MAH,
            charge_ma_max=int(self.charge_ma_max[number]),
            discharge_ma_max=int(self.discharge_ma_max[number]),
            efficiency_ppm=category.efficiency,
            cells=category.cells,
            constant_voltage=category.voltage == "constant",
            resistance_uohm=0 if category.interface == "sunspec" else resistance_uohm,
        )


def generate_batteries(parameters: BatteryParameters, seed: int) -> BatteryGrid:
    """Return the batteries that ``seed`` gives; the same ones every time, on every machine."""
    categories = parameters.categories
    category = _members(parameters.count, [item.share for item in categories], seed, "category")
    capacity = _within([item.capacity for item in categories], category, seed, "capacity")
    charge_ppm = _within([item.first_charge for item in categories], category, seed, "charge")
    rates = np.array([(item.charge_rate, item.discharge_rate) for item in categories], np.int64)
    unlike = [_around(MEAN_RESISTANCE_UOHM, UNLIKE_CELLS)] * len(categories)
    grid = BatteryGrid(
        parameters=parameters,
        category=category,
        link_category=_members(
            parameters.count, [link.share for link in parameters.links], seed, "link"
        ),
        capacity_mah=capacity,
        charge_ma_max=np.maximum(1, capacity * rates[category, 0] // WHOLE_PPM),
        discharge_ma_max=np.maximum(1, capacity * rates[category, 1] // WHOLE_PPM),
        # 3,600,000 by 1,000,000, cancelled down: 10,000 Ah in mA ms times ppm is beyond 2**63.
        first_charge_ma_ms=capacity * charge_ppm * (MA_MS_PER_MAH // 100_000) // 10,
        resistance_uohm=_within(unlike, category, seed, "resistance"),
    )
    for name in BatteryGrid.__slots__:
        value = getattr(grid, name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return grid


def _around(middle: int, width: int) -> tuple[int, int]:
    return middle - width // 2, middle + width // 2


def _members(count: int, shares_ppm: Sequence[int], seed: int, name: str) -> UInt8Array:
    """Return the category of each, uint8 (count,): exact shares, seeded order."""
    counts = apportion(count, shares_ppm)
    members = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    generator(seed, "batteries", name).shuffle(members)
    return members


def _within(
    bounds: Sequence[tuple[int, int]], category: UInt8Array, seed: int, name: str
) -> Int64Array:
    """Return values, each uniform between the two bounds of its category, both included."""
    values = np.zeros(len(category), np.int64)
    for index, (low, high) in enumerate(bounds):
        members = category == index
        draws = generator(seed, "batteries", name, index)
        values[members] = draws.integers(
            low, high, int(np.count_nonzero(members)), np.int64, endpoint=True
        )
    return values
