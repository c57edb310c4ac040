"""Readings that the head-end reads again from concentrators, as billing asks for and sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from harness.headend.api.client import ShardClient

Told = dict[str, Any]
"""A `harness.headend.recoveries.Recovery`, as a shard tells it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the last recovery of a span is, all shards together.

    Of the readings looked for so far, ``missing`` were not in the store, ``read`` of these are
    back, and ``given_up`` cannot be had. Times are POSIX microseconds; ``ended_at_us`` is None
    while a shard is not through.
    """

    missing: int
    read: int
    given_up: int
    asked_at_us: int
    ended_at_us: int | None

    @classmethod
    def of(cls, recoveries: Sequence[Told]) -> Self:
        """Return the sum of recoveries, one or more."""
        ends = [one["ended_at_us"] for one in recoveries]
        return cls(
            missing=sum(one["missing"] for one in recoveries),
            read=sum(one["read"] for one in recoveries),
            given_up=sum(one["given_up"] for one in recoveries),
            asked_at_us=min(one["asked_at_us"] for one in recoveries),
            ended_at_us=None if None in ends else max(ends),
        )


class Recovering:
    """Asks the shards of a head-end. All raise `ShardAwayError` and `RefusedError`."""

    def __init__(self, clients: Sequence[ShardClient]) -> None:
        self._clients = clients

    async def ask(self, from_s: int, to_s: int) -> None:
        """Have what the stores lack of [from_s, to_s), POSIX seconds, read again.

        Asked again while it goes on, nothing changes.
        """
        await asyncio.gather(
            *(client.ask("recover", from_s=from_s, to_s=to_s) for client in self._clients)
        )

    async def standing(self, from_s: int, to_s: int) -> Standing | None:
        """Return how far the last recovery of each shard is that touches the span; None: none."""
        last = [touching[-1] for touching in await self._touching(from_s, to_s) if touching]
        return Standing.of(last) if last else None

    async def goes_on(self, from_s: int, to_s: int) -> bool:
        """Tell whether anything of the span is being read again, or waits for it."""
        touching = await self._touching(from_s, to_s)
        return any(one["ended_at_us"] is None for shard in touching for one in shard)

    async def _touching(self, from_s: int, to_s: int) -> list[list[Told]]:
        answers = await asyncio.gather(*(client.ask("recoveries") for client in self._clients))
        return [
            [one for one in answer if one["to_s"] >= from_s and one["from_s"] < to_s]
            for answer in answers
        ]
