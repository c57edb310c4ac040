"""Load profiles that the tests of blocks and tables share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.defaults import CONFIGURATION
from protocols.c12.tables.dimensions import (
    ChannelSource,
    Dimensions,
    IntervalFormat,
    LoadProfileSet,
)
from protocols.c12.tables.interval_blocks import Intervals
from protocols.c12.tables.load_profile import load_profile_dimensions

FIRST_S = 1_700_000_100
STEP_S = 900


def dimensions_of(
    channels: int = 4,
    *,
    blocks: int = 5,
    intervals: int = 4,
    interval_format: IntervalFormat = IntervalFormat.UINT32,
    **flags: Any,
) -> Dimensions:
    one = LoadProfileSet(blocks, intervals, channels, STEP_S // 60)
    sources = tuple(ChannelSource(index) for index in range(channels))
    return load_profile_dimensions(one, sources, interval_format, **flags)


def configuration_of(**changes: Any) -> Configuration:
    return replace(CONFIGURATION, **changes)


def recorded(
    meters: int = 3, count: int = 26, channels: int = 4, *, largest: int = 100_000, seed: int = 1
) -> tuple[Intervals, NDArray[np.int64]]:
    """Random registers with random statuses, and the registers before the first interval."""
    generator = np.random.default_rng(seed)
    before = generator.integers(0, largest, (meters, channels))
    steps = generator.integers(0, largest, (meters, count, channels))
    values = before[:, None] + np.cumsum(steps, axis=1)
    times = FIRST_S + STEP_S * np.arange(count, dtype=np.int64)
    status = generator.integers(0, 8, values.shape).astype(np.uint8)
    common = generator.integers(0, 16, values.shape[:2]).astype(np.uint8)
    return Intervals(times, values, status, common), before
