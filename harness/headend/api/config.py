"""What the HTTP API is told when it starts: one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.api.config import ListeningConfig


class ApiConfig(ListeningConfig):
    """The HTTP API in front of all shards of one head-end."""

    control_sockets: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Control socket of every shard, in order of their numbers."""
    provisioning: Path
    """Folder with the exported devices."""
    exports: Path
    """Folder for files under way to a client; made if missing, emptied at the start."""
    shared_store: bool
    """Whether all shards write one database, rather than each a store of its own."""
    realtime_offset_s: float
    """POSIX seconds minus CLOCK_MONOTONIC, as the shards have it."""
