"""Bands that overlap, side by side in lanes, so that each can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from reports.charts.model import Band

__all__ = ["LANES_MAX", "in_lanes"]

LANES_MAX: Final = 8
"""Bands beyond these share the last lane, and have no name there."""
NAME_PLACE: Final = 0.05
"""The part of the axis that the shortest name takes."""


def in_lanes(bands: Iterable[Band]) -> tuple[Band, ...]:
    """Give each band a lane, the first that is free where it begins; in order of their begin.

    Bands of one name lie in one lane if they can.
    """
    free_from: list[float] = []
    home: dict[str, int] = {}
    placed = []
    for band in sorted(bands, key=lambda band: (band.low, -band.high)):
        lane = _lane(free_from, home.get(band.name), band.low)
        if lane == len(free_from):
            free_from.append(0.0)
        home.setdefault(band.name, lane)
        free_from[lane] = max(band.high, band.low + NAME_PLACE)
        if lane < LANES_MAX:
            placed.append(replace(band, lane=lane))
        else:
            placed.append(replace(band, lane=LANES_MAX - 1, is_named=False))
    return tuple(placed)


def _lane(free_from: Sequence[float], home: int | None, low: float) -> int:
    if home is not None and free_from[home] <= low:
        return home
    return next((lane for lane, free in enumerate(free_from) if free <= low), len(free_from))
