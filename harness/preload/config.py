"""What one process that fills a store is told; one JSON file in the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from emulator.fleet_config import part_of
from emulator.grid import Grid


class PreloadConfig(BaseModel):
    """Fill the store of one shard of the head-end.

    A file of its own because the address of a store may hold a password, and command lines are for
    everybody to read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Path
    """The run directory, which holds the fleet's configuration."""
    store_url: str
    shard: Annotated[int, Field(ge=0)]
    shards: Annotated[int, Field(ge=1)]
    """Of the head-end: its concentrators are divided among them."""
    progress: Path
    """File in which it says how many readings it has written, now and then."""

    def meters(self, grid: Grid) -> range:
        """Return the meters whose readings this shard stores."""
        mine = part_of(grid.concentrators, self.shards, self.shard)
        return range(int(grid.first_meter[mine.start]), int(grid.first_meter[mine.stop]))
