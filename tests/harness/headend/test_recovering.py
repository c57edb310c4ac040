"""Recovering: all that the store lacks is read again, what is not there given up, and told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from harness.headend import recovering as recovering_module
from harness.headend.dialer import Dialer
from harness.headend.fetching import Fetcher
from harness.headend.recoveries import Recovery
from harness.headend.recovering import PASSES, Recoverer
from harness.headend.service import Shard
from harness.store.errors import StoreUnavailableError
from harness.store.interface import Store
from harness.store.rows import Via
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import METERS, STEPS, Served, committing, provisioned, serving, shard_of

RATE = 90_000.0
"""A step in 10 ms."""


def at(capture: int) -> int:
    return FIRST_S + capture * STEP_S


@asynccontextmanager
async def recovering(
    store: Store, served: Served, *, rate: float = RATE, **changes: Any
) -> AsyncIterator[Shard]:
    """Let a shard recover from one concentrator; its own steps begin after what that one has."""
    async with serving(served) as port:
        devices = provisioned(1, ports=[port])
        clock = (time.monotonic(), float(at(STEPS)), rate)
        shard = shard_of(store, devices, clock=clock, gap_filling={"enabled": False}, **changes)
        async with committing(shard), trio.open_nursery() as nursery:
            nursery.start_soon(Recoverer(shard, Fetcher(shard, Dialer(shard))).run)
            yield shard
            nursery.cancel_scope.cancel()


def ask(shard: Shard, first: int = 0, end: int = STEPS) -> Recovery:
    return shard.recoveries.ask(at(first), at(end), shard.clock.now_s(), shard.now_us())


async def until_over(recovery: Recovery) -> None:
    with trio.fail_after(20):
        while not recovery.is_over:
            await wait_all_tasks_blocked()


async def test_what_the_store_lacks_is_read_again(store: Store) -> None:
    async with recovering(store, Served()) as shard:
        asked = ask(shard, 2, 5)
        await until_over(asked)
        counts = asked.missing, asked.read, asked.given_up
        again = ask(shard, 2, 5)
        await until_over(again)
    assert counts == (3 * METERS, 3 * METERS, 0)
    assert (again.id, again.missing, again.read) == (2, 0, 0)
    rows = store.readings(1, 0, 2**40).rows
    assert rows.captured_at_s.tolist() == [at(2), at(3), at(4)]
    assert set(rows.via.tolist()) == {Via.GAP_FILLING}
    assert shard.totals.counts["recoveries over"] == 2


async def test_a_long_span_is_settled_window_by_window(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served()
    monkeypatch.setattr(recovering_module, "WINDOW_OCTETS", 1)
    async with recovering(store, served) as shard:
        asked = ask(shard)
        await until_over(asked)
    assert (asked.missing, asked.read) == (STEPS * METERS, STEPS * METERS)
    assert [len(batch) for batch in served.model.handed] == [METERS] * STEPS
    assert [int(batch.captured_at_s[0]) for batch in served.model.handed] == list(
        range(at(0), at(STEPS), STEP_S)
    )


async def test_whenever_it_is_killed_no_reading_is_counted_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept says of each window that it was not looked at, or that it is counted."""
    monkeypatch.setattr(recovering_module, "WINDOW_OCTETS", 1)
    kept: list[tuple[int, int | None, int]] = []
    async with recovering(store, Served()) as shard:
        asked = ask(shard)

        def note() -> None:
            if not asked.passes:
                kept.append(((asked.next_s - at(0)) // STEP_S, asked.left, asked.missing))

        monkeypatch.setattr(shard.recoveries, "keep", note)
        await until_over(asked)
    assert len(kept) == 2 * STEPS
    for windows, left, missing in kept:
        assert missing == (windows + (left is not None)) * METERS


async def test_what_a_concentrator_has_not_is_given_up(store: Store) -> None:
    served = Served()
    served.model.unheard = {(1, interval) for interval in range(3)}
    async with recovering(store, served) as shard:
        asked = ask(shard)
        await until_over(asked)
        assert shard.totals.counts["buffers read"] == PASSES
    assert (asked.missing, asked.read, asked.given_up) == (STEPS * METERS, STEPS * METERS - 3, 3)


async def test_a_concentrator_that_is_away_is_asked_until_it_is_back(store: Store) -> None:
    async with recovering(store, Served(lose_requests=5)) as shard:
        asked = ask(shard)
        await until_over(asked)
    assert asked.read == STEPS * METERS
    assert shard.totals.counts["reading failed: closed by the concentrator"] == 5


async def test_a_concentrator_that_stays_away_is_given_up_after_a_day(store: Store) -> None:
    async with recovering(store, Served(lose_requests=10_000), rate=9e6) as shard:
        asked = ask(shard)
        await until_over(asked)
    assert (asked.read, asked.given_up) == (0, STEPS * METERS)
    # As many rounds as a day has: four in a quarter of an hour.
    assert shard.totals.counts["reading failed: closed by the concentrator"] == 4 * 96


async def test_a_concentrator_that_is_away_keeps_nobody_waiting(store: Store) -> None:
    """Of two, one is reachable; of several windows, all of its own are back in the first pass."""
    there, away = Served(), Served(number=1, lose_requests=10_000)
    async with serving(there) as port, serving(away) as other:
        devices = provisioned(2, ports=[port, other])
        clock = (time.monotonic(), float(at(STEPS)), 1e-6)
        shard = shard_of(store, devices, clock=clock, gap_filling={"enabled": False})
        async with committing(shard), trio.open_nursery() as nursery:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(recovering_module, "WINDOW_OCTETS", 1)
                nursery.start_soon(Recoverer(shard, Fetcher(shard, Dialer(shard))).run)
                asked = ask(shard)
                with trio.fail_after(20):
                    while not asked.passes:
                        await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert (asked.missing, asked.read) == (2 * STEPS * METERS, STEPS * METERS)
    assert away.requests == 1
    assert not asked.is_over


async def test_the_next_life_goes_on_where_the_last_one_was(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second window is half done when the first life ends."""
    monkeypatch.setattr(recovering_module, "WINDOW_OCTETS", 4 * 7)
    file = tmp_path / "recoveries.json"
    served = Served()
    served.model.unheard = {(meter, at) for meter in range(METERS) for at in (6, 7)}
    # Each window is read once, then the concentrator goes away.
    async with recovering(store, served, recoveries=file) as shard:
        asked = ask(shard)
        with trio.fail_after(20):
            while len(store.slots()) < 6:
                await wait_all_tasks_blocked()
        assert not asked.is_over
        served.lose_requests = 10_000
    served.lose_requests, served.model.unheard = 0, set()
    async with recovering(store, served, recoveries=file) as shard:
        (going,) = shard.recoveries.unfinished()
        assert going.id == asked.id
        assert going.next_s > going.from_s
        await until_over(going)
    assert (going.missing, going.read, going.given_up) == (STEPS * METERS, STEPS * METERS, 0)


async def test_the_shards_own_steps_are_told_of_what_is_back(store: Store) -> None:
    async with recovering(store, Served()) as shard:
        assert shard.presence.missing_total(at(3)) == 4 * METERS
        await until_over(ask(shard, 0, 4))
        assert shard.presence.missing_total(at(3)) == 0


async def test_what_is_forgotten_meanwhile_is_neither_fetched_nor_back(store: Store) -> None:
    served = Served(lose_requests=10_000)
    async with recovering(store, served) as shard:
        asked = ask(shard)
        with trio.fail_after(20):
            while not shard.totals.counts["reading failed: closed by the concentrator"]:
                await wait_all_tasks_blocked()
        assert asked.missing == STEPS * METERS
        shard.recoveries.forget(at(5))
        served.lose_requests = 0
        await until_over(asked)
    assert (asked.missing, asked.read) == (STEPS * METERS, 3 * METERS)
    assert asked.given_up == 5 * METERS
    assert store.slots().tolist() == [at(5), at(6), at(7)]


async def test_windows_that_were_forgotten_are_passed_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering_module, "WINDOW_OCTETS", 1)
    served = Served()
    async with recovering(store, served) as shard:
        asked = ask(shard)
        shard.recoveries.forget(at(6))
        await until_over(asked)
    assert (asked.missing, asked.read) == (2 * METERS, 2 * METERS)
    assert served.connections == 2


async def test_a_store_that_is_away_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, failures = store.slots, [1, 2]

    def away() -> Any:
        if failures.pop():
            raise StoreUnavailableError("hung up", where="here", mend="wait")
        return slots()

    failures.insert(0, 0)
    async with recovering(store, Served()) as shard:
        monkeypatch.setattr(recovering_module, "RETRY_S", 0.001)
        monkeypatch.setattr(store, "slots", away)
        asked = ask(shard)
        await until_over(asked)
    assert asked.read == STEPS * METERS
    assert failures == []


async def test_a_concentrator_whose_gaps_are_being_filled_has_its_turn_later(store: Store) -> None:
    async with serving(Served()) as port:
        clock = (time.monotonic(), float(at(STEPS)), RATE)
        shard = shard_of(store, provisioned(1, ports=[port]), clock=clock)
        fetcher = Fetcher(shard, Dialer(shard))
        fetcher.busy.add(0)
        async with committing(shard), trio.open_nursery() as nursery:
            nursery.start_soon(Recoverer(shard, fetcher).run)
            asked = ask(shard)
            while not asked.passes:
                await wait_all_tasks_blocked()
            assert asked.read == shard.totals.counts["conversations opened"] == 0
            fetcher.busy.clear()
            await until_over(asked)
            nursery.cancel_scope.cancel()
    assert asked.read == STEPS * METERS
