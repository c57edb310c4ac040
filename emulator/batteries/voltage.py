"""What a battery's terminals show: open-circuit voltage by state of charge, less the drop inside.

The curve has the shape of a lithium iron phosphate cell: a steep foot, a long plateau near 3.3 V, a
steep end. Its points are ours, not a manufacturer's: they serve to make voltages differ and move
the right way, not to judge a cell by. Integers throughout.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

WHOLE_PPM: Final = 1_000_000
NOMINAL_CELL_MV: Final = 3_200

CURVE: Final = (
    # state of charge in parts per million, millivolts of one cell at rest
    (0, 2_500),
    (50_000, 3_000),
    (100_000, 3_200),
    (200_000, 3_250),
    (400_000, 3_290),
    (600_000, 3_310),
    (800_000, 3_330),
    (950_000, 3_350),
    (1_000_000, 3_600),
)
HIGHEST_CELL_MV: Final = CURVE[-1][1]
_CHARGES: Final = tuple(charge_ppm for charge_ppm, _ in CURVE)


def resting_cell_mv(charge_ppm: int) -> int:
    """Return the open-circuit voltage of a cell, mV, at a state of charge of 0..1,000,000 ppm.

    Raises:
        ValueError: no such state of charge.
    """
    if not 0 <= charge_ppm <= WHOLE_PPM:
        raise ValueError(f"a state of charge of {charge_ppm} ppm: it is 0 to {WHOLE_PPM}")
    above = min(bisect_right(_CHARGES, charge_ppm), len(CURVE) - 1)
    (low_ppm, low_mv), (high_ppm, high_mv) = CURVE[above - 1], CURVE[above]
    return low_mv + (high_mv - low_mv) * (charge_ppm - low_ppm) // (high_ppm - low_ppm)


def loaded_cell_mv(resting_mv: int, current_ma: int, resistance_uohm: int) -> int:
    """Return what a cell shows, mV, while a current flows (positive: discharge); never below 0."""
    drop_mv = current_ma * resistance_uohm // WHOLE_PPM
    return max(0, resting_mv - drop_mv)
