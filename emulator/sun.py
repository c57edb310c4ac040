"""The photovoltaic curve: relative feed-in of a horizontal panel under a clear sky, in integers.

The curve is the sine of the sun's elevation, zero below the horizon, taken at the middle of each
quarter-hour; weather, the panel's tilt and the atmosphere are left out, and noon is 12:00 local
time. Declination after P. I. Cooper, "The absorption of radiation in solar stills", Solar Energy
12 (1969): 23.45 degrees times sin(360 * (284 + n) / 365) on day n of the year. Sines by Bhaskara
I's rational approximation (7th century), off by at most 0.0017, because a library's sine need not
give the same bits on every machine.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.parameters import QUARTERS

ONE: Final = 1_000_000
"""The sines are integers in millionths."""
_HALF_TURN_MDEG: Final = 180_000
_OBLIQUITY_MDEG: Final = 23_450
_HOUR_ANGLES_MDEG: Final = 3_750 * np.arange(QUARTERS, dtype=np.int64) + 1_875 - _HALF_TURN_MDEG

Int64Array = NDArray[np.int64]


def sine_millionths(angle_mdeg: Int64Array | int) -> Int64Array:
    """Return the sine of angles in thousandths of a degree, in millionths; any shape."""
    angle = np.asarray(angle_mdeg, np.int64) % (2 * _HALF_TURN_MDEG)
    product = angle % _HALF_TURN_MDEG * (_HALF_TURN_MDEG - angle % _HALF_TURN_MDEG)
    # 4x(180 - x) / (40500 - x(180 - x)), x in degrees: at most 3.24e16 in thousandths squared.
    positive = 4 * ONE * product // (40_500 * 1_000_000 - product)
    sine: Int64Array = np.where(angle < _HALF_TURN_MDEG, positive, -positive)
    return sine


def sun_weights(latitude_mdeg: int, day: date) -> Int64Array:
    """Return (96,) relative feed-in in millionths per quarter-hour of ``day``."""
    day_of_year = day.timetuple().tm_yday
    season = sine_millionths(360_000 * (284 + day_of_year) // 365)
    declination_mdeg = _OBLIQUITY_MDEG * season // ONE
    rise = sine_millionths(latitude_mdeg) * sine_millionths(declination_mdeg)
    level = _cosine(latitude_mdeg) * _cosine(declination_mdeg) // ONE
    elevation = (rise + level * _cosine(_HOUR_ANGLES_MDEG)) // ONE
    weights: Int64Array = np.maximum(elevation, 0)
    return weights


def _cosine(angle_mdeg: Int64Array | int) -> Int64Array:
    return sine_millionths(angle_mdeg + _HALF_TURN_MDEG // 2)
