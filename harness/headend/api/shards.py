"""All shards of a head-end as one: who is asked what, and how their answers become one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from harness.headend.api.client import RefusedError, ShardAwayError, ShardClient
from harness.headend.api.config import ApiConfig
from harness.headend.api.directory import Directory


class HeadEnd:
    """The shards behind the API, and the devices they serve."""

    def __init__(self, config: ApiConfig, directory: Directory) -> None:
        self.config = config
        self.directory = directory
        self.clients = tuple(
            ShardClient(shard, path) for shard, path in enumerate(config.control_sockets)
        )
        self.exporting = asyncio.Semaphore(1)

    def now_us(self) -> int:
        """Return the time as the shards note it: POSIX microseconds that never jump."""
        return int((time.monotonic() + self.config.realtime_offset_s) * 1_000_000)

    async def ask(self, shard: int, question: str, **details: Any) -> Any:  # noqa: ANN401
        """Return one shard's answer. Raises `ShardAwayError`, `RefusedError`."""
        return await self.clients[shard].ask(question, **details)

    async def ask_all(self, question: str, **details: Any) -> list[Any]:  # noqa: ANN401
        """Return every shard's answer; fails when one does. Raises as `ask` does."""
        answers = await asyncio.gather(
            *(client.ask(question, **details) for client in self.clients), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def ask_stores(self, question: str, **details: Any) -> list[Any]:  # noqa: ANN401
        """Return one answer for each store there is. Raises as `ask` does."""
        if not self.config.shared_store:
            return await self.ask_all(question, **details)
        for client in self.clients[:-1]:
            try:
                return [await client.ask(question, **details)]
            except ShardAwayError:
                continue  # any other shard knows the same
        return [await self.clients[-1].ask(question, **details)]

    async def statuses(self) -> Sequence[dict[str, Any] | ShardAwayError | RefusedError]:
        """Return every shard's status, or why there is none."""

        async def status_of(client: ShardClient) -> dict[str, Any] | ShardAwayError | RefusedError:
            try:
                status: dict[str, Any] = await client.ask("status", timeout_s=5.0)
            except (ShardAwayError, RefusedError) as error:
                return error
            return status

        return await asyncio.gather(*map(status_of, self.clients))
