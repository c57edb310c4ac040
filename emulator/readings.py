"""The truth: what every meter registers at every interval, a pure function of seed and scenario.

Theory. The energy of meter m up to interval i in one rate is ``floor(annual * P(i) / 2**31)``, P
being the pattern's prefix sum over the quarter-hours of that rate. To this comes a seeded part
u in [0, 1) of the energy of the interval after it, so no reading can be told without the seed; as u
never reaches one, the register never falls. The total is the sum of its rates, exactly.

The first interval of the plan is 0. Intervals before it, down to minus the preloaded ones, are
history: their readings are in the store before the run begins, and registers count from the first
of them.

Bounds. annual <= 10**9 < 2**30 and P <= 2**33 (four years), so the product stays below 2**63. A
register counts at most 4 * 10**9 Wh on top of starts below 10**8 Wh in each of two rates, which is
4.2 * 10**9 < 2**32: no register overflows. The energy of one interval is below 2**31, so its
product with a 32-bit fraction stays below 2**63 too.

The status is 0, "no event", throughout: meters of a later version may set bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.behaviour_parameters import BehaviourParameters
from emulator.capture import capture_profile
from emulator.grid import Grid
from emulator.parameters import QUARTERS
from emulator.patterns import (
    YEAR_BITS,
    Span,
    consumption_pattern,
    export_pattern,
    prefix_sums,
)
from netem.draws import mix, stream_key

Int64Array = NDArray[np.int64]
UInt8Array = NDArray[np.uint8]
UInt32Array = NDArray[np.uint32]
UInt64Array = NDArray[np.uint64]

_FRACTION_BITS: Final = 32
_LOW_HALF: Final = np.uint64(0xFFFF_FFFF)
_INTERVAL_BITS: Final = np.int64(0xFFFF_FFFF)
"""Of an interval that keys a draw; those before the plan end as two's complement."""
_BLOCK_ROWS: Final = 32_768
"""Rows computed in one go: their columns stay in the processor's cache."""

_POWER_QUALITY: Final = (
    # (lowest value, number of values): 230 V +- 5 V in millivolts, 50 Hz +- 50 mHz.
    (225_000, 10_001),
    (225_000, 10_001),
    (225_000, 10_001),
    (49_950, 101),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Energy:
    """One register that counts: who counts how much, along which prefix sums."""

    start_wh: UInt32Array
    annual_wh: UInt32Array
    sums: Int64Array
    """(categories, steps + 1)."""


class Truth:
    """The readings of one run.

    Args:
        grid: the generated grid.
        behaviour: the parameters the grid was generated with.
        first_s: POSIX seconds of interval 0, the first that the fleet lives through.
        seed: the run's seed.
        folder: what pattern files of the scenario are relative to.

    Raises:
        ValueError: a pattern file cannot be used (`emulator.patterns.PatternError`), or a pattern
            has no energy.
    """

    def __init__(
        self,
        grid: Grid,
        behaviour: BehaviourParameters,
        first_s: int,
        seed: int,
        *,
        folder: Path = Path(),
    ) -> None:
        self.grid = grid
        self.profile = capture_profile(grid.parameters)
        self._key = stream_key(seed, "reading")
        self._quality_key = stream_key(seed, "power quality")
        self._tariffs = len(grid.parameters.tariffs)
        self.intervals = range(-behaviour.preloaded, behaviour.steps)
        first_local_s = first_s + self.intervals.start * behaviour.step_s + behaviour.utc_offset_s
        span = Span(first_local_s, behaviour.step_s, len(self.intervals))
        whole = frozenset(range(QUARTERS))
        rates_1 = [tariff.rate_1_quarters for tariff in grid.parameters.tariffs]
        rates_2 = [whole - quarters for quarters in rates_1]
        patterns = [consumption_pattern(item, folder) for item in grid.parameters.patterns]
        sums = np.array([prefix_sums(item, span, rates_1 + rates_2) for item in patterns])
        rate_1, rate_2 = (half.reshape(-1, span.steps + 1) for half in np.split(sums, 2, axis=1))
        self._rate_1 = _Energy(grid.start_rate1_wh, grid.annual_wh, rate_1)
        self._rate_2 = _Energy(grid.start_rate2_wh, grid.annual_wh, rate_2)
        exports = [export_pattern(pattern, folder) for pattern in grid.parameters.patterns]
        nothing = np.zeros(span.steps + 1, np.int64)
        export = [
            nothing if shape is None else prefix_sums(shape, span, [whole])[0] for shape in exports
        ]
        self._export = _Energy(grid.start_export_wh, grid.annual_export_wh, np.array(export))

    def registers(
        self, meters: NDArray[np.integer], intervals: NDArray[np.integer] | int
    ) -> tuple[UInt32Array, UInt8Array]:
        """Return registers (n, k) in the order of the capture profile, and status (n,).

        Elementwise: a reading is the same in any selection and any order.

        Args:
            meters: (n,) numbers of meters, 0..meters-1.
            intervals: (n,) intervals, -preloaded..steps-1, or one for all.
        """
        numbers = np.asarray(meters, np.int64)
        at = np.broadcast_to(np.asarray(intervals, np.int64), numbers.shape)
        column = at - self.intervals.start

        def sums(energy: _Energy, category: Int64Array) -> tuple[Int64Array, Int64Array]:
            return energy.sums[category, column], energy.sums[category, column + 1]

        values = np.empty((len(numbers), len(self.profile.registers)), np.uint32)
        self._fill(values, numbers, numbers, at, sums)
        return values, np.zeros(len(numbers), np.uint8)

    def block(
        self, first_meter: int, last_meter: int, interval: int
    ) -> tuple[UInt32Array, UInt8Array]:
        """Return `registers` of ``first_meter`` .. ``last_meter - 1`` at one interval, faster."""
        column = interval - self.intervals.start

        def sums(energy: _Energy, category: Int64Array) -> tuple[Int64Array, Int64Array]:
            return energy.sums[:, column][category], energy.sums[:, column + 1][category]

        count = last_meter - first_meter
        values = np.empty((count, len(self.profile.registers)), np.uint32)
        for begin in range(0, count, _BLOCK_ROWS):
            rows = slice(begin, min(begin + _BLOCK_ROWS, count))
            chosen = slice(first_meter + rows.start, first_meter + rows.stop)
            numbers = np.arange(chosen.start, chosen.stop, dtype=np.int64)
            self._fill(values[rows], chosen, numbers, np.int64(interval), sums)
        return values, np.zeros(count, np.uint8)

    def _fill(
        self,
        values: UInt32Array,
        chosen: Int64Array | slice,
        numbers: Int64Array,
        intervals: Int64Array | np.int64,
        sums: Callable[[_Energy, Int64Array], tuple[Int64Array, Int64Array]],
    ) -> None:
        """Compute the rows of ``chosen`` meters; their numbers and intervals key the draws."""
        counters = (numbers << 32) | (intervals & _INTERVAL_BITS)
        draws = mix(self._key, counters)
        own = (draws >> np.uint64(_FRACTION_BITS)).astype(np.int64)
        pattern = self.grid.pattern[chosen].astype(np.int64)
        category = pattern * self._tariffs + self.grid.tariff[chosen]
        rate_1 = _count(self._rate_1, chosen, sums(self._rate_1, category), own)
        rate_2 = _count(self._rate_2, chosen, sums(self._rate_2, category), own)
        other = (draws & _LOW_HALF).astype(np.int64)
        values[:, 0] = rate_1 + rate_2
        values[:, 1] = rate_1
        values[:, 2] = rate_2
        values[:, 3] = _count(self._export, chosen, sums(self._export, pattern), other)
        if values.shape[1] > 4:
            _measure(values[:, 4:], mix(self._quality_key, counters))


def _count(
    energy: _Energy,
    chosen: Int64Array | slice,
    sums: tuple[Int64Array, Int64Array],
    fraction: Int64Array,
) -> Int64Array:
    """Return the register: its start, what flowed by now and a fraction of what flows next."""
    annual = energy.annual_wh[chosen].astype(np.int64)
    flowed, after = (annual * sums[0]) >> YEAR_BITS, (annual * sums[1]) >> YEAR_BITS
    rise = ((after - flowed) * fraction) >> _FRACTION_BITS
    register: Int64Array = energy.start_wh[chosen] + flowed + rise
    return register


def _measure(values: UInt32Array, draws: UInt64Array) -> None:
    """Fill the power quality columns, sixteen bits of the draw each."""
    for column, (lowest, count) in enumerate(_POWER_QUALITY):
        part = (draws >> np.uint64(16 * column)) & np.uint64(0xFFFF)
        values[:, column] = lowest + ((part * np.uint64(count)) >> np.uint64(16)).astype(np.uint32)
