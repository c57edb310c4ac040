"""Group commit: durable before told, bounded, patient with a store that is away."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from harness.headend.committer import Committer, Submission, merge
from harness.headend.hooks import KillSwitch, Point
from harness.store.errors import StoreError, StoreFullError, StoreUnavailableError
from harness.store.interface import PutResult, PutStage, Reached, Store
from harness.store.rows import Alarms, Registrations, Rows
from tests.support.stores import alarms_of, push, registered, registrations_of

TITLE = b"MSC\0\0\0\0\1"
AWAY = StoreUnavailableError("is away", where="here", mend="wait")
FULL = StoreFullError("is full", where="here", mend="tidy up")


@dataclass
class Puts:
    """The `put` of a store: fails as told, waits while ``gate`` is closed, keeps what came."""

    failures: list[Exception] = field(default_factory=list)
    batches: list[tuple[int, dict[bytes, int]]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def put(
        self,
        rows: Rows,
        counters: Mapping[bytes, int],
        stored_at_us: int,
        reached: Reached,
        alarms: Alarms,
        registrations: Registrations,
    ) -> PutResult:
        self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        for stage in PutStage:
            reached(stage)
        self.batches.append((len(rows), dict(counters)))
        return PutResult(len(rows), 0, 0, len(alarms), 2, 3, len(registrations))


@dataclass
class Switch(KillSwitch):
    """Notes the points instead of killing."""

    reached: list[Point] = field(default_factory=list)

    def reach(self, point: Point) -> None:
        self.reached.append(point)


def committer_of(puts: Puts, switch: KillSwitch | None = None, **changes: Any) -> Committer:
    told: dict[str, Any] = {"interval_s": 0.1, "rows_max": 1_000} | changes
    return Committer(
        cast("Store", puts),
        committed=lambda duration_s, rows: None,
        kill_switch=switch or KillSwitch(),
        stored_at_us=lambda: 0,
        **told,
    )


@asynccontextmanager
async def running(committer: Committer) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        yield nursery
        nursery.cancel_scope.cancel()


def some(rows: int, counter: int = 1) -> Submission:
    return Submission(push(range(rows), 900), {TITLE: counter})


async def test_submissions_that_come_together_are_one_transaction(
    autojump_clock: trio.testing.MockClock,
) -> None:
    puts = Puts()
    async with running(committer := committer_of(puts)):
        async with trio.open_nursery() as submitters:
            for counter in (3, 5, 4):
                submitters.start_soon(committer.submit, some(2, counter))
        assert puts.batches == [(6, {TITLE: 5})]
        assert trio.current_time() == pytest.approx(0.1)
        await committer.submit(some(1, 6))
    assert puts.batches[1:] == [(1, {TITLE: 6})]
    assert committer.totals.commits == 2
    assert committer.totals.rows_stored == 7


async def test_nobody_is_told_before_it_is_durable() -> None:
    puts = Puts()
    puts.gate.clear()
    async with running(committer := committer_of(puts, interval_s=0.0)) as nursery:
        told = trio.Event()

        async def submit() -> None:
            await committer.submit(some(1))
            told.set()

        nursery.start_soon(submit)
        await wait_all_tasks_blocked(0.01)
        assert not told.is_set()
        puts.gate.set()
        await told.wait()
    assert puts.batches


@pytest.mark.parametrize("failure", [AWAY, FULL])
async def test_a_store_that_is_away_or_full_is_waited_for(
    failure: Exception, autojump_clock: trio.testing.MockClock
) -> None:
    puts = Puts(failures=[failure, failure])
    async with running(committer := committer_of(puts)):
        await committer.submit(some(4, 9))
    assert puts.batches == [(4, {TITLE: 9})]
    assert committer.totals.store_failures == 2
    assert trio.current_time() == pytest.approx(0.1 + 2 * 0.5)


async def test_any_other_failure_ends_the_committer_and_nobody_is_told() -> None:
    puts = Puts(failures=[StoreError("is broken", where="here", mend="call somebody")])
    committer = committer_of(puts, interval_s=0.0)
    told = False

    async def submit() -> None:
        nonlocal told
        await committer.submit(some(1))
        told = True

    with pytest.RaisesGroup(pytest.RaisesExc(StoreError, match="is broken")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            nursery.start_soon(committer.run)
    assert not told


async def test_beyond_the_bound_submitters_wait_also_for_the_commit_under_way() -> None:
    puts = Puts()
    puts.gate.clear()
    async with running(committer := committer_of(puts, interval_s=0.0, rows_max=10)) as nursery:
        nursery.start_soon(committer.submit, some(10))
        await wait_all_tasks_blocked(0.01)
        for _ in range(3):
            nursery.start_soon(committer.submit, some(6))
        await wait_all_tasks_blocked(0.01)
        assert committer.waiting == 10
        puts.gate.set()
        while sum(rows for rows, _ in puts.batches) < 28:
            await trio.testing.wait_all_tasks_blocked(0.001)
            await trio.lowlevel.checkpoint()
    assert max(rows for rows, _ in puts.batches) <= 12


async def test_submissions_without_rows_are_bounded_too() -> None:
    puts = Puts()
    puts.gate.clear()
    async with running(committer := committer_of(puts, interval_s=0.0, rows_max=2)) as nursery:
        for _ in range(5):
            nursery.start_soon(committer.submit, some(0))
        await wait_all_tasks_blocked(0.01)
        assert committer.waiting == 2
        puts.gate.set()


async def test_a_submitter_that_is_cancelled_takes_nothing_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    puts = Puts()
    async with running(committer := committer_of(puts)):
        async with trio.open_nursery() as submitters:
            submitters.start_soon(committer.submit, some(2))
            with trio.move_on_after(0.05):
                await committer.submit(some(3))
        assert puts.batches == [(5, {TITLE: 1})]


async def test_cancellation_finishes_the_transaction_under_way() -> None:
    puts = Puts()
    puts.gate.clear()
    committer = committer_of(puts, interval_s=0.0)
    durable = committer.add(some(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
        puts.gate.set()
    assert durable.is_set()
    assert puts.batches


async def test_cancellation_ends_the_wait_for_a_store_that_is_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    committer = committer_of(Puts(failures=[AWAY] * 10_000))
    durable = committer.add(some(1))
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(committer.run)
            await committer.flush()
    assert not durable.is_set()
    assert trio.current_time() == pytest.approx(5)


async def test_flush_waits_for_what_is_open_and_for_what_is_under_way() -> None:
    puts = Puts()
    puts.gate.clear()
    async with running(committer := committer_of(puts, interval_s=0.0)) as nursery:
        committer.add(some(1))
        await wait_all_tasks_blocked(0.01)
        committer.add(some(2))
        flushed = trio.Event()

        async def flush() -> None:
            await committer.flush()
            flushed.set()

        nursery.start_soon(flush)
        await wait_all_tasks_blocked(0.01)
        assert not flushed.is_set()
        puts.gate.set()
        await flushed.wait()
    assert [rows for rows, _ in puts.batches] == [1, 2]


async def test_the_hooks_stand_around_the_transaction_and_inside_it() -> None:
    switch = Switch()
    async with running(committer := committer_of(Puts(), switch, interval_s=0.0)):
        await committer.submit(some(1))
    assert switch.reached == [
        Point.BEFORE_COMMIT,
        Point.ROWS_WRITTEN,
        Point.COUNTERS_WRITTEN,
        Point.COMMITTED,
    ]


async def test_alarms_and_registrations_go_along_and_are_counted() -> None:
    submission = replace(
        some(0),
        alarms=alarms_of([(1, 0, 5, 1, 900, 0), (2, 0, 5, 1, 900, 0)]),
        registrations=registrations_of([registered(1, 10)]),
    )
    assert submission.weight == 3
    async with running(committer := committer_of(Puts(), interval_s=0.0)):
        await committer.submit(submission)
    totals = committer.totals
    assert (totals.alarms_stored, totals.alarms_repeated, totals.alarms_conflicting) == (2, 2, 3)
    assert totals.registrations == 1


def test_merging_keeps_the_order_of_rows_and_the_highest_counters() -> None:
    other = b"MSC\0\0\0\0\2"
    alarms, changes = alarms_of([(1, 0, 5, 1, 900, 0)]), registrations_of([registered(1, 10)])
    merged = merge(
        [
            Submission(push([5, 3], 900), {TITLE: 7}, alarms),
            Submission(push([1], 900), {TITLE: 6, other: 1}, alarms, changes),
        ]
    )
    assert merged.rows.meter.tolist() == [5, 3, 1]
    assert merged.counters == {TITLE: 7, other: 1}
    assert merged.alarms.meter.tolist() == [1, 1]
    assert merged.registrations.at_us.tolist() == [10]
