"""Counters that survive the head-end: none is sent under twice, none is accepted twice."""

from __future__ import annotations

import pytest
import trio

from emulator.identity import head_end_system_title
from harness.headend.counters import (
    RESERVED_BLOCK,
    RESERVED_SECONDS,
    STAMPS_CONTEXT,
    ContextCounters,
    ConversationCounters,
    CountersUsedUpError,
    SendCounters,
    SendStamps,
)
from harness.store.interface import Store
from protocols.c12.initialization_vectors import WINDOW_S
from tests.support.headend import committing, shard_of

TITLE = b"MSH\0\0\0\0\1"


def counters(store: Store) -> SendCounters:
    return SendCounters(store, TITLE, lambda: 0)


def test_a_block_is_durable_before_any_of_it_is_used(store: Store) -> None:
    sending = counters(store)
    assert store.counters()[TITLE] == RESERVED_BLOCK
    assert [sending.next(), sending.next()] == [1, 2]


def test_every_life_begins_where_none_before_it_can_have_been(store: Store) -> None:
    used: list[int] = []
    for _ in range(3):
        sending = counters(store)
        used += [sending.next() for _ in range(5)]
    assert len(set(used)) == 15
    assert used == sorted(used)


def test_without_a_reserve_no_counter_is_given(store: Store) -> None:
    sending = counters(store)
    for _ in range(RESERVED_BLOCK):
        sending.next()
    with pytest.raises(CountersUsedUpError):
        sending.next()


async def test_the_next_block_is_reserved_before_the_first_is_used_up(store: Store) -> None:
    shard = shard_of(store)
    title = head_end_system_title(shard.config.shard)
    async with committing(shard):
        for _ in range(RESERVED_BLOCK // 2 + 1):
            shard.sending.next()
        while store.counters()[title] == RESERVED_BLOCK:
            await trio.testing.wait_all_tasks_blocked()
        assert store.counters()[title] == 2 * RESERVED_BLOCK
        await shard.committer.flush()
        await trio.testing.wait_all_tasks_blocked()
        given = [shard.sending.next() for _ in range(RESERVED_BLOCK)]
    assert given[-1] == RESERVED_BLOCK // 2 + 1 + RESERVED_BLOCK


def test_contexts_send_from_one_sequence_and_accept_apart(store: Store) -> None:
    sending, accepted = counters(store), {b"peer5678": 4}
    stamps = SendStamps(store, TITLE, lambda: 0)
    pushes = ContextCounters(sending, accepted, b"", stamps)
    polls = ContextCounters(sending, accepted, b"/poll", stamps)
    assert [pushes.next(), polls.next(), pushes.next()] == [1, 2, 3]
    assert (pushes.last_accepted(b"peer5678"), polls.last_accepted(b"peer5678")) == (4, None)
    polls.accept(b"peer5678", 9)
    pushes.accept(b"peer5678", 3)
    assert (pushes.last_accepted(b"peer5678"), polls.last_accepted(b"peer5678")) == (4, 9)


def test_a_conversation_keeps_what_everybody_in_it_was_heard_under(store: Store) -> None:
    accepted: dict[bytes, int] = {b"quiet/poll": 3, b"old/poll": 7}
    polls = ContextCounters(counters(store), accepted, b"/poll", SendStamps(store, TITLE, int))
    conversation = ConversationCounters(polls)
    assert conversation.to_keep() == {}
    for peer, counter in ((b"one", 5), (b"two", 6), (b"one", 8), (b"old", 2)):
        conversation.accept(peer, counter)
    assert conversation.to_keep() == {b"one/poll": 8, b"two/poll": 6, b"old/poll": 7}
    assert (polls.last_accepted(b"one"), conversation.last_accepted(b"quiet")) == (8, 3)


SECOND_US = 1_000_000


def stamps_at(store: Store, now_s: list[int]) -> SendStamps:
    return SendStamps(store, TITLE, lambda: now_s[0] * SECOND_US)


def test_a_stamp_is_the_second_or_the_one_after_the_last_of_the_peer(store: Store) -> None:
    now_s = [1000]
    stamps = stamps_at(store, now_s)
    assert [stamps.next(b"a"), stamps.next(b"a"), stamps.next(b"b")] == [1000, 1001, 1000]
    now_s[0] = 1010
    assert [stamps.next(b"a"), stamps.next(b"b"), stamps.next(b"b")] == [1010, 1010, 1011]


@pytest.mark.parametrize("pause_s", [0, 1, 30, 90])
def test_no_life_gives_out_a_stamp_of_an_earlier_one(store: Store, pause_s: int) -> None:
    now_s, given = [1000], list[int]()
    for count in (5, RESERVED_SECONDS, 0, 7):
        stamps = stamps_at(store, now_s)
        given += [stamps.next(b"meter") for _ in range(count)]
        now_s[0] += pause_s
    assert given == sorted(set(given))


def test_ten_short_lives_stay_where_peers_believe_them(store: Store) -> None:
    stamps = [stamps_at(store, [1000]) for _ in range(10)]
    assert stamps[-1].next(b"meter") - 1000 < WINDOW_S


def test_beyond_its_reserve_no_stamp_is_given(store: Store) -> None:
    stamps = stamps_at(store, [1000])
    for _ in range(RESERVED_SECONDS + 1):
        stamps.next(b"a")
    with pytest.raises(CountersUsedUpError):
        stamps.next(b"a")


async def test_the_reserve_of_stamps_is_renewed_before_it_is_used_up(store: Store) -> None:
    shard = shard_of(store)
    name = head_end_system_title(shard.config.shard) + STAMPS_CONTEXT
    first = store.counters()[name]
    async with committing(shard):
        for _ in range(RESERVED_SECONDS // 2 + 2):
            shard.stamps.next(b"a")
        while store.counters()[name] == first:
            await trio.testing.wait_all_tasks_blocked()
    assert store.counters()[name] >= first + RESERVED_SECONDS // 2
