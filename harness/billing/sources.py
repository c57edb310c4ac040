"""Where usage comes from: the running shards of a head-end, or stores that nobody writes to."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

from harness.headend.api.client import ShardAwayError, ShardClient
from harness.store.errors import StoreSchemaError
from harness.store.interface import UsageReader
from harness.store.opening import open_reader
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_file import take_usage

ANSWER_S: Final = 3600.0


class UsageSource(Protocol):
    """Answers for all meters, a store at a time, no meter in two of the answers."""

    def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """Yield the answer of each store.

        Raises:
            StoreError: a store failed.
            ShardAwayError: a shard does not answer.
            RefusedError: a shard cannot answer.
        """


class StoreSource:
    """Stores read directly: DuckDB files that no process has open, or a PostgreSQL database."""

    def __init__(self, addresses: Sequence[str | Path]) -> None:
        self._addresses = addresses

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `UsageSource.answers`."""
        for address in self._addresses:
            yield await asyncio.to_thread(_read, address, question)


def _read(address: str | Path, question: UsageQuestion) -> Usage:
    reader = open_reader(address)
    try:
        if not isinstance(reader, UsageReader):
            raise StoreSchemaError(
                "it cannot sum up energy", where=str(address), mend="name a store of ours"
            )
        return reader.usage(question)
    finally:
        reader.close()


class ShardSource:
    """The shards of a running head-end, each asked over its control socket.

    Answers come as files in ``folder``, which only this process and the shards should be able to
    read. One shard is asked at a time: their first work is readings.
    """

    def __init__(self, clients: Sequence[ShardClient], folder: Path, *, shared_store: bool) -> None:
        self._clients = clients
        self._folder = folder
        self._shared_store = shared_store

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `UsageSource.answers`."""
        if not self._shared_store:
            for client in self._clients:
                yield await self._ask(client, question)
            return
        for client in self._clients[:-1]:
            try:
                answer = await self._ask(client, question)
            except ShardAwayError:
                continue  # any other shard knows the same
            yield answer
            return
        yield await self._ask(self._clients[-1], question)

    async def _ask(self, client: ShardClient, question: UsageQuestion) -> Usage:
        stem = f"usage-{secrets.token_hex(8)}"
        details = asdict(question)
        details["windows"] = [
            [window.from_s, window.to_s, window.band] for window in question.windows
        ]
        await client.ask(
            "usage", timeout_s=ANSWER_S, folder=str(self._folder), stem=stem, **details
        )
        return await asyncio.to_thread(take_usage, self._folder, stem)
