"""The poller: what is missing is read and stored, and asked for no more often than due."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from harness.headend import fetching
from harness.headend.config import GapFillingRules
from harness.headend.dialer import Dialer
from harness.headend.fetching import Fetcher
from harness.headend.poller import Poller
from harness.headend.service import Shard
from harness.store.interface import Store
from harness.store.rows import Via
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import METERS, STEPS, Served, committing, provisioned, serving, shard_of

RATE = 90_000.0
"""A step in 10 ms."""


@asynccontextmanager
async def polling(
    store: Store, served: Served, *, at_step: float, rate: float = 1e-6, **changes: Any
) -> AsyncIterator[Shard]:
    """Let a poller work on one concentrator; scenario time is ``at_step`` and runs at ``rate``."""
    async with serving(served) as port:
        clock = (time.monotonic(), FIRST_S + at_step * STEP_S, rate)
        shard = shard_of(store, provisioned(1, ports=[port]), clock=clock, **changes)
        async with committing(shard), trio.open_nursery() as nursery:
            nursery.start_soon(Poller(shard, Fetcher(shard, Dialer(shard))).run)
            yield shard
            nursery.cancel_scope.cancel()


async def until(shard: Shard, what: str, times: int = 1) -> None:
    while shard.totals.counts[what] < times:
        await wait_all_tasks_blocked()


async def test_pull_mode_reads_everything_that_was_captured(store: Store) -> None:
    async with polling(store, Served(), at_step=STEPS - 0.5, mode="pull") as shard:
        await until(shard, "buffers read")
        assert shard.presence.missing_total(shard.clock.now_s()) == 0
    rows = store.readings(0, 0, 2**40).rows
    assert rows.captured_at_s.tolist() == [FIRST_S + n * STEP_S for n in range(STEPS)]
    assert set(rows.via.tolist()) == {Via.PULL}


async def test_a_long_gap_is_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ROWS_PER_READ", 2 * METERS + 1)
    served = Served()
    async with polling(store, served, at_step=STEPS - 0.5, mode="pull") as shard:
        await until(shard, "buffers read")
    assert [len(batch) for batch in served.model.handed] == [2 * METERS] * (STEPS // 2)
    assert len(store.readings(0, 0, 2**40)) == STEPS


async def test_push_mode_asks_for_what_is_overdue_only(store: Store) -> None:
    rules = {"after_s": 2.0 * STEP_S, "attempts": 2}
    async with polling(store, Served(), at_step=3.5, gap_filling=rules) as shard:
        await until(shard, "buffers read")
    rows = store.readings(0, 0, 2**40).rows
    assert rows.captured_at_s.tolist() == [FIRST_S, FIRST_S + STEP_S]
    assert set(rows.via.tolist()) == {Via.GAP_FILLING}


async def test_what_the_concentrator_has_not_is_given_up(store: Store) -> None:
    served = Served()
    served.model.unheard = {(1, interval) for interval in range(STEPS)}
    rules = GapFillingRules(enabled=True, after_s=0.0, attempts=3)
    changes = {"gap_filling": rules.model_dump()}
    async with polling(store, served, at_step=0, rate=RATE, **changes) as shard:
        while shard.clock.now_s() < FIRST_S + STEPS * STEP_S or shard.presence.gaps(
            shard.clock.now_s(), rules
        ):
            await wait_all_tasks_blocked()
        read = shard.totals.counts["buffers read"]
        await shard.clock.sleep_until(shard.clock.now_s() + 30 * STEP_S)
        # One read may have been under way when the last attempt was counted.
        assert 3 <= read <= shard.totals.counts["buffers read"] <= read + 1
        assert shard.presence.missing_total(shard.clock.now_s()) == STEPS


async def test_an_unreachable_concentrator_is_tried_until_it_is_back(store: Store) -> None:
    served = Served(lose_requests=5)
    rules = {"after_s": 0.0, "attempts": 1}
    async with polling(store, served, at_step=0, rate=RATE, gap_filling=rules) as shard:
        await until(shard, "buffers read")
    assert shard.totals.counts["reading failed: closed by the concentrator"] == 5


async def test_gap_filling_that_is_off_asks_for_nothing(store: Store) -> None:
    served = Served()
    async with polling(store, served, at_step=7, gap_filling={"enabled": False}):
        await wait_all_tasks_blocked(0.01)
    assert served.connections == 0
