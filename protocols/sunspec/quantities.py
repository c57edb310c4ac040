"""Quantities as SunSpec writes them: an integer times ten to a scale factor, and back.

A quantity here is an integer too, of a unit that is ten to some ``exponent`` of SunSpec's: -3 for
milliamperes where the point is in amperes. What does not divide is cut towards zero, so that no
limit grows by being written down.
"""

from __future__ import annotations

from typing import Final

MIN_SCALE: Final = -10
MAX_SCALE: Final = 10


def to_points(quantity: int, exponent: int, scale: int) -> int:
    """Return the number that a point of scale factor ``scale`` holds for ``quantity``."""
    return _shift(quantity, exponent - scale)


def from_points(number: int, exponent: int, scale: int) -> int:
    """Return the quantity that a point with ``number`` and scale factor ``scale`` means."""
    return _shift(number, scale - exponent)


def finest_scale(limit: int, exponent: int, largest: int) -> int:
    """Return the smallest scale factor with which ``limit`` is a number of at most ``largest``.

    It is never finer than the quantity itself.
    """
    for scale in range(exponent, MAX_SCALE):
        if to_points(limit, exponent, scale) <= largest:
            return scale
    return MAX_SCALE


def _shift(value: int, places: int) -> int:
    if places >= 0:
        return int(value * 10**places)
    return abs(value) // int(10**-places) * (-1 if value < 0 else 1)
