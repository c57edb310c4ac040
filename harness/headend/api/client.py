"""Asking a head-end shard something over its control socket, from asyncio.

The trio side of the same conversation is `harness.run.questions`.
"""

from __future__ import annotations

from pathlib import Path

from harness.api.asking import AwayError as ShardAwayError
from harness.api.asking import ControlClient, RefusedError

__all__ = ["RefusedError", "ShardAwayError", "ShardClient"]


class ShardClient(ControlClient):
    """One head-end shard, as somebody who asks it sees it."""

    def __init__(self, shard: int, control_socket: Path) -> None:
        super().__init__(f"head-end shard {shard}", control_socket)
        self.shard = shard
