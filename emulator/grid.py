"""The grid topology generator: transformer stations, their concentrators and meters, as arrays.

A category's share is met exactly (largest remainder) and a seeded shuffle decides who belongs to
it. Every attribute has its own stream of draws, so changing the tariffs leaves the sizes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid_parameters import GridParameters
from emulator.parameters import apportion
from netem.draws import generator

UInt8Array = NDArray[np.uint8]
UInt32Array = NDArray[np.uint32]
Int64Array = NDArray[np.int64]

PROTOCOLS: Final = ("dlms", "c12")
START_WH_LIMIT: Final = 100_000_000
"""A register starts below 100 MWh, so the sum of two leaves room under 2**32 Wh to count on."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A generated grid: 23 octets a meter, 12 a concentrator.

    Meters are numbered 0..meters-1, contiguous by concentrator. Categories are indices into the
    lists of the parameters. Arrays are read-only.
    """

    parameters: GridParameters
    first_meter: Int64Array
    """(concentrators + 1,): c carries meters ``first_meter[c]`` .. ``first_meter[c + 1] - 1``."""
    size_category: UInt8Array
    """(concentrators,): index into ``parameters.sizes``."""
    link_category: UInt8Array
    """(concentrators,): index into ``parameters.links``."""
    concentrator_reachability: UInt8Array
    """(concentrators,): index into the behaviour's ``concentrators``."""
    protocol: UInt8Array
    """(concentrators,): index into `PROTOCOLS`."""
    pattern: UInt8Array
    """(meters,): index into ``parameters.patterns``."""
    tariff: UInt8Array
    """(meters,): index into ``parameters.tariffs``."""
    meter_reachability: UInt8Array
    """(meters,): index into the behaviour's ``meters``."""
    annual_wh: UInt32Array
    """(meters,): consumption in a year, 0..10**9 Wh."""
    annual_export_wh: UInt32Array
    """(meters,): feed-in in a year, 0..10**9 Wh; 0 where the pattern has none."""
    start_rate1_wh: UInt32Array
    """(meters,): the rate 1 register at interval 0, below 100 MWh."""
    start_rate2_wh: UInt32Array
    """(meters,): the rate 2 register at interval 0; 0 where the tariff has a single rate."""
    start_export_wh: UInt32Array
    """(meters,): the export register at interval 0; 0 where nothing is fed in."""

    @property
    def concentrators(self) -> int:
        """Number of concentrators, one per transformer station."""
        return len(self.first_meter) - 1

    @property
    def meters(self) -> int:
        """Number of meters."""
        return int(self.first_meter[-1])

    def concentrator_of(self, meters: NDArray[np.integer]) -> Int64Array:
        """Return the concentrator of each meter; meters in 0..meters-1, any shape."""
        found: Int64Array = np.searchsorted(self.first_meter, meters, side="right") - 1
        return found

    def meters_of(self, concentrator: int) -> range:
        """Return the numbers of the meters behind one concentrator."""
        return range(int(self.first_meter[concentrator]), int(self.first_meter[concentrator + 1]))


def generate_grid(grid: GridParameters, behaviour: BehaviourParameters, seed: int) -> Grid:
    """Return the grid that ``seed`` gives; the same one every time, on every machine."""
    stations = grid.transformer_stations
    size_category = _categories(stations, [size.share for size in grid.sizes], seed, "size")
    first_meter = np.zeros(stations + 1, np.int64)
    np.cumsum(_station_sizes(grid, size_category, seed), out=first_meter[1:])
    meters = int(first_meter[-1])
    pattern = _categories(meters, [item.share for item in grid.patterns], seed, "pattern")
    tariff = _categories(meters, [item.share for item in grid.tariffs], seed, "tariff")
    exports = np.array([item.export is not None for item in grid.patterns])
    two_rates = np.array([item.two_rates for item in grid.tariffs])
    annual = [item.annual for item in grid.patterns]
    export = [item.export_annual if item.export else (0, 0) for item in grid.patterns]
    links = [link.share for link in grid.links]
    reachability = [item.share for item in behaviour.concentrators]
    protocols = [grid.protocols.dlms, grid.protocols.c12]
    meter_reachability = [item.share for item in behaviour.meters]
    generated = Grid(
        parameters=grid,
        first_meter=first_meter,
        size_category=size_category,
        link_category=_categories(stations, links, seed, "link"),
        concentrator_reachability=_categories(stations, reachability, seed, "reachability"),
        protocol=_categories(stations, protocols, seed, "protocol"),
        pattern=pattern,
        tariff=tariff,
        meter_reachability=_categories(meters, meter_reachability, seed, "meter reachability"),
        annual_wh=_within(annual, pattern, seed, "annual"),
        annual_export_wh=_within(export, pattern, seed, "annual export"),
        start_rate1_wh=_starts(np.ones(1, np.bool), np.zeros_like(tariff), seed, "start rate 1"),
        start_rate2_wh=_starts(two_rates, tariff, seed, "start rate 2"),
        start_export_wh=_starts(exports, pattern, seed, "start export"),
    )
    _freeze(generated)
    return generated


def _categories(count: int, shares_ppm: Sequence[int], seed: int, name: str) -> UInt8Array:
    """Return (count,) category indices: exact shares, seeded order."""
    counts = apportion(count, shares_ppm)
    categories = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    if np.count_nonzero(counts) > 1:
        generator(seed, "grid", name).shuffle(categories)
    return categories


def _station_sizes(grid: GridParameters, category: UInt8Array, seed: int) -> Int64Array:
    """Return (stations,) numbers of meters: uniform in each range, adjusted to the exact total."""
    low = np.array([size.meters[0] for size in grid.sizes], np.int64)[category]
    high = np.array([size.meters[1] for size in grid.sizes], np.int64)[category]
    counts: Int64Array = generator(seed, "grid", "meters").integers(low, high, endpoint=True)
    if grid.meters is None:
        return counts
    missing = grid.meters - int(counts.sum())
    room = high - counts if missing > 0 else counts - low
    return counts + (1 if missing > 0 else -1) * _spread(abs(missing), room)


def _spread(total: int, room: Int64Array) -> Int64Array:
    """Divide ``total`` in proportion to ``room``, never more than it (largest remainder).

    ``total`` is at most the sum of ``room``; both stay below 2**25 (`METERS_MAX`) and one entry
    below 10**4, so products fit int64 with ease.
    """
    capacity = int(room.sum())
    if total == 0:
        return np.zeros_like(room)
    quota, remainder = np.divmod(room * total, capacity)
    order = np.argsort(-remainder, kind="stable")
    quota[order[: total - int(quota.sum())]] += 1
    return quota


def _within(
    bounds: Sequence[tuple[int, int]], category: UInt8Array, seed: int, name: str
) -> UInt32Array:
    """Return (meters,) values, each uniform between the two bounds of its category."""
    values = np.zeros(len(category), np.uint32)
    for index, (low, high) in enumerate(bounds):
        if high > 0:
            members = category == index
            draws = generator(seed, "grid", name, index)
            count = int(np.count_nonzero(members))
            values[members] = draws.integers(low, high, count, np.uint32, endpoint=True)
    return values


def _starts(counted: NDArray[np.bool], category: UInt8Array, seed: int, name: str) -> UInt32Array:
    """Return (meters,) start registers below 100 MWh; 0 where the category counts nothing."""
    bounds = [(0, START_WH_LIMIT - 1 if used else 0) for used in counted.tolist()]
    return _within(bounds, category, seed, name)


def _freeze(grid: Grid) -> None:
    for name in Grid.__slots__:
        value = getattr(grid, name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
