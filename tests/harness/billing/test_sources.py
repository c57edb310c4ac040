"""Usage out of shards that are only sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.billing.sources import ShardSource, StoreSource
from harness.headend.api.client import RefusedError, ShardAwayError, ShardClient
from harness.store.errors import StoreError
from harness.store.usage import Energy, Standing, Usage, UsageQuestion, Window
from harness.store.usage_file import write_usage
from tests.support.shard_socket import FakeShard, Hangup, served

QUESTION = UsageQuestion((Window(0, 900, 0), Window(900, 1800, 1)), 900, meters=(0, 9))


def usage_of(*meters: int) -> Usage:
    """Return an answer about some meters."""
    count = len(meters)
    meter = np.array(meters, np.uint32)
    numbers = np.arange(count, dtype=np.int64)
    return Usage(
        Energy(meter, numbers, numbers * 10, numbers * 100),
        Standing(meter, numbers + 3, numbers * 0, numbers * 0 + 1800, numbers * 0 - 1, numbers * 0),
    )


def answering(usage: Usage) -> Any:
    """Return how a shard answers that knows ``usage``."""

    def told(question: Mapping[str, Any]) -> dict[str, Any]:
        assert question["windows"] == [[0, 900, 0], [900, 1800, 1]]
        assert (question["step_s"], question["meters"]) == (900, [0, 9])
        write_usage(Path(question["folder"]), question["stem"], usage)
        return {}

    return told


def hang_up(question: Mapping[str, Any]) -> None:
    """Close the connection without an answer."""
    raise Hangup


def meters_told(folder: Path, *answers: Any, shared_store: bool = False) -> list[list[int]]:
    """Return the meters that each answer of the shards is about."""
    with ExitStack() as stack:
        clients = []
        for number, answer in enumerate(answers):
            path = folder / f"{number}.sock"
            path.unlink(missing_ok=True)
            stack.enter_context(served(FakeShard(path, {"usage": answer})))
            clients.append(ShardClient(number, path))
        source = ShardSource(clients, folder, shared_store=shared_store)

        async def ask() -> list[list[int]]:
            return [usage.standing.meter.tolist() async for usage in source.answers(QUESTION)]

        told = asyncio.run(ask())
    assert not list(folder.glob("*.parquet"))
    return told


def test_every_shard_is_asked(tmp_path: Path) -> None:
    answers = answering(usage_of(0, 1)), answering(usage_of()), answering(usage_of(7))
    assert meters_told(tmp_path, *answers) == [[0, 1], [], [7]]


def test_of_a_shared_store_one_shard_that_is_there_is_asked(tmp_path: Path) -> None:
    answers = hang_up, answering(usage_of(0, 1)), answering(usage_of(7))
    assert meters_told(tmp_path, *answers, shared_store=True) == [[0, 1]]


def test_a_shard_that_is_away_or_refuses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ShardAwayError, match="shard 1"):
        meters_told(tmp_path, answering(usage_of(0)), hang_up)
    with pytest.raises(ShardAwayError, match="shard 0"):
        meters_told(tmp_path, hang_up, shared_store=True)
    refusal = {"error": "no register", "kind": "invalid"}
    with pytest.raises(RefusedError, match="no register"):
        meters_told(tmp_path, refusal)


def test_a_store_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    async def ask() -> list[Usage]:
        source = StoreSource([tmp_path / "none.duckdb"])
        return [usage async for usage in source.answers(QUESTION)]

    with pytest.raises(StoreError, match=r"none\.duckdb"):
        asyncio.run(ask())
