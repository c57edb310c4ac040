from __future__ import annotations

from pathlib import Path

import pytest

from emulator.grid import generate_grid
from harness.preload.config import PreloadConfig
from tests.support.grids import behaviour, small_grid


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_the_shards_share_all_meters_at_the_borders_of_concentrators(shards: int) -> None:
    grid = generate_grid(small_grid(12), behaviour(4), 7)
    parts = [
        PreloadConfig(
            run=Path(), store_url="x", shard=number, shards=shards, progress=Path()
        ).meters(grid)
        for number in range(shards)
    ]
    assert [meter for part in parts for meter in part] == list(range(grid.meters))
    assert {part.start for part in parts} <= set(grid.first_meter.tolist())
