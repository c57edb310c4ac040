"""The push listener over real sockets: what is acknowledged, what is refused, what goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from emulator.identity import concentrator_system_title
from harness.headend.listener import PushListener
from harness.store.errors import StoreUnavailableError
from harness.store.interface import Store
from protocols.dlms.wrapper import Wpdu
from protocols.plugin import SessionOptions
from protocols.readings import ReadingBatch
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import (
    METERS,
    Pusher,
    credentials_of,
    listening,
    provisioned,
    readings,
    shard_of,
)
from tests.support.pushing import confirmed, pushed


async def answered(listener: PushListener, *parts: bytes, half_close: bool = True) -> bytes:
    """Send parts, end the stream, and return everything that came back."""
    async with await trio.open_tcp_stream("127.0.0.1", listener.port) as stream:
        for part in parts:
            await stream.send_all(part)
        if half_close:
            await stream.send_eof()
        answer = b""
        while data := await stream.receive_some():
            answer += bytes(data)
        return answer


def stored(store: Store, meter: int = 0) -> list[int]:
    """Return the intervals stored of a meter."""
    rows = store.readings(meter, 0, 2**40).rows
    return [int(at - FIRST_S) // STEP_S for at in rows.captured_at_s]


async def test_pushes_are_stored_then_acknowledged(store: Store) -> None:
    shard, pusher = shard_of(store), Pusher()
    async with listening(shard) as listener:
        await pusher.push(listener.port, 0, 1)
        assert stored(store) == [0, 1]
    assert store.counters()[concentrator_system_title(0)] == pusher.counters.sent
    assert shard.totals.counts["pushes acknowledged"] == 2
    assert shard.presence.missing_total(FIRST_S + STEP_S) == 2 * METERS


async def test_two_pushes_in_one_segment_are_confirmed_both(store: Store) -> None:
    pusher = Pusher()
    session = pusher.session()
    octets = pushed(session, readings(0, 0), 0) + pushed(session, readings(0, 1), 1)
    async with listening(shard_of(store)) as listener:
        answer = await answered(listener, octets)
    assert confirmed(session, answer) == [0, 1]
    assert stored(store) == [0, 1]


async def test_one_push_in_many_segments_is_one_push(store: Store) -> None:
    pusher = Pusher()
    session = pusher.session()
    octets = pushed(session, readings(0, 0), 0)
    async with listening(shard := shard_of(store)) as listener:
        answer = await answered(listener, *(octets[at : at + 7] for at in range(0, len(octets), 7)))
    assert confirmed(session, answer) == [0]
    assert shard.totals.counts["pushes stored"] == 1


async def test_unconfirmed_pushes_are_stored_and_not_answered(store: Store) -> None:
    options = SessionOptions(confirmed=False)
    async with listening(shard_of(store, confirmed=False)) as listener:
        assert await answered(listener, Pusher(options=options).octets()) == b""
        while not stored(store):
            await wait_all_tasks_blocked()


def _truncated() -> bytes:
    return Pusher().octets()[:-3]


def _wrongly_tagged() -> bytes:
    pdu = Wpdu.decode(Pusher(options=SessionOptions(protection="clear")).octets())
    return replace(pdu, apdu=b"\xc0" + pdu.apdu[1:]).encode()


def _wrongly_keyed() -> bytes:
    mixed = replace(credentials_of(1), system_title=concentrator_system_title(0))
    return Pusher(credentials=mixed).octets()


def _tampered() -> bytes:
    octets = bytearray(Pusher().octets())
    octets[-20] ^= 1
    return bytes(octets)


def _oversized() -> bytes:
    # db   8 octets of title follow  length in 4 octets: 2 GiB
    title = concentrator_system_title(0)
    return Wpdu(1, 16, b"\xdb\x08" + title + b"\x84\x7f\xff\xff\xff" + bytes(16)).encode()


def _unknown_title() -> bytes:
    return Pusher(77).octets()


REFUSED = [
    pytest.param(_truncated, "truncated", id="truncated"),
    pytest.param(_wrongly_tagged, "wrongly tagged", id="wrongly tagged"),
    pytest.param(_wrongly_keyed, "wrong MAC", id="wrongly keyed"),
    pytest.param(_tampered, "wrong MAC", id="tampered"),
    pytest.param(_unknown_title, "unknown system title", id="unknown title"),
    pytest.param(
        lambda: Pusher(options=SessionOptions(protection="clear")).octets(),
        "not ciphered",
        id="not ciphered",
    ),
    pytest.param(_oversized, "malformed", id="announcing more than a frame can hold"),
    pytest.param(lambda: b"\xff" * 16, "bad frame", id="bad frame"),
]


@pytest.mark.parametrize(("frame", "cause"), REFUSED)
async def test_what_is_refused_is_counted_and_the_service_goes_on(
    store: Store, frame: Callable[[], bytes], cause: str
) -> None:
    async with listening(shard := shard_of(store)) as listener:
        assert await answered(listener, frame()) == b""
        assert shard.totals.counts[f"refused: {cause}"] == 1
        assert stored(store) == []
        await Pusher(1).push(listener.port, 0)
        assert stored(store, METERS) == [0]


async def test_a_refused_push_leaves_its_connection_usable(store: Store) -> None:
    session = Pusher(1).session()
    frames = _tampered() + pushed(session, readings(1, 0), 0)
    async with listening(shard_of(store)) as listener:
        answer = await answered(listener, frames)
    assert confirmed(session, answer) == [0]


async def test_a_replay_is_refused_on_the_same_connection_and_on_another(store: Store) -> None:
    octets = Pusher().octets()
    async with listening(shard := shard_of(store)) as listener:
        await answered(listener, octets + octets)
        assert await answered(listener, octets) == b""
    assert shard.totals.counts["refused: replayed"] == 2
    assert shard.totals.counts["pushes acknowledged"] == 1


async def test_a_replay_is_refused_by_the_next_life(store: Store) -> None:
    octets = Pusher().octets()
    async with listening(shard_of(store)) as listener:
        await answered(listener, octets)
    async with listening(shard := shard_of(store)) as listener:
        assert await answered(listener, octets) == b""
    assert shard.totals.counts["refused: replayed"] == 1


async def test_a_replay_is_refused_while_the_first_is_not_durable_yet(store: Store) -> None:
    octets = Pusher().octets()
    shard = shard_of(store, group_commit_s=3600.0)
    async with listening(shard) as listener, trio.open_nursery() as nursery:
        first = await trio.open_tcp_stream("127.0.0.1", listener.port)
        await first.send_all(octets)
        while not shard.committer.waiting:
            await wait_all_tasks_blocked()
        assert await answered(listener, octets) == b""
        assert shard.totals.counts["refused: replayed"] == 1
        nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(first)


async def test_an_older_push_that_ends_later_does_not_open_the_way_for_a_replay(
    store: Store,
) -> None:
    shard = shard_of(store)
    shard.push_counters.accept(b"title678", 6)
    shard.push_counters.accept(b"title678", 5)
    assert shard.push_counters.last_accepted(b"title678") == 6


async def test_unknown_meters_are_set_aside_and_the_others_stored(store: Store) -> None:
    known = readings(0, 0)
    strange = readings(5, 0)
    mixed = replace(known, meter_ids=known.meter_ids.copy())
    mixed.meter_ids[1] = strange.meter_ids[1]
    session = Pusher().session()
    async with listening(shard := shard_of(store)) as listener:
        answer = await answered(listener, pushed(session, mixed, 0))
    assert confirmed(session, answer) == [0]
    assert shard.totals.counts["readings of unknown meters"] == 1
    assert (stored(store, 0), stored(store, 1), stored(store, 2)) == ([0], [], [0])


async def test_meters_of_another_concentrator_are_unknown(store: Store) -> None:
    async with listening(shard := shard_of(store)) as listener:
        await answered(listener, pushed(Pusher().session(), readings(1, 0), 0))
    assert shard.totals.counts["readings of unknown meters"] == METERS


async def test_another_capture_profile_is_refused_not_acknowledged(store: Store) -> None:
    async with listening(shard := shard_of(store)) as listener:
        octets = pushed(Pusher().session(), readings(0, 0, registers=8), 0)
        assert await answered(listener, octets) == b""
        await Pusher(1).push(listener.port, 0)
    assert shard.totals.counts["refused: another capture profile"] == 1


async def test_a_concentrator_of_another_shard_is_a_stranger(store: Store) -> None:
    shard = shard_of(store, provisioned(4, shards=2), shard=1)
    async with listening(shard) as listener:
        assert await answered(listener, Pusher(0).octets()) == b""
        await Pusher(3).push(listener.port, 0)
    assert shard.totals.counts["refused: unknown system title"] == 1
    assert shard.presence.missing_total(FIRST_S) == METERS


async def test_captures_that_nobody_expects_are_stored_and_miss_nowhere(store: Store) -> None:
    early: ReadingBatch = readings(0, -40_000)
    odd = replace(readings(0, 0), captured_at_s=readings(0, 0).captured_at_s + 1)
    session = Pusher().session()
    async with listening(shard := shard_of(store)) as listener:
        await answered(listener, pushed(session, early, 0) + pushed(session, odd, 1))
    assert len(store.readings(0, 0, 2**40)) == 2
    assert shard.presence.missing_total(FIRST_S) == 2 * METERS


async def test_beyond_the_bound_a_connection_is_refused(store: Store) -> None:
    async with listening(shard := shard_of(store, connections_max=1)) as listener:
        async with await trio.open_tcp_stream("127.0.0.1", listener.port):
            while not shard.totals.counts["connections accepted"]:
                await wait_all_tasks_blocked()
            assert await answered(listener, half_close=False) == b""
        assert shard.totals.counts["refused: too many connections"] == 1
        await Pusher().push(listener.port, 0)


async def test_a_stop_hangs_up_on_the_silent_and_acknowledges_what_arrived(store: Store) -> None:
    pusher, shard = Pusher(), shard_of(store, group_commit_s=0.1)
    async with listening(shard) as listener:
        silent = await trio.open_tcp_stream("127.0.0.1", listener.port)
        busy = await trio.open_tcp_stream("127.0.0.1", listener.port)
        session = pusher.session()
        await busy.send_all(pushed(session, readings(0, 0), 0))
        while not shard.committer.waiting:
            await wait_all_tasks_blocked()
        listener.stop(10)
        assert await silent.receive_some() == b""
        assert confirmed(session, bytes(await busy.receive_some())) == [0]
        assert await busy.receive_some() == b""
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", listener.port)
        await silent.aclose()
        await busy.aclose()


async def test_a_stop_waits_no_longer_than_it_was_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> None:
        raise StoreUnavailableError("is away", where="here", mend="wait")

    shard = shard_of(store)
    monkeypatch.setattr(shard.committer, "_store", type("Away", (), {"put": staticmethod(away)}))
    async with (
        listening(shard) as listener,
        await trio.open_tcp_stream("127.0.0.1", listener.port) as stream,
    ):
        await stream.send_all(Pusher().octets())
        while not shard.committer.totals.store_failures:
            await wait_all_tasks_blocked()
        listener.stop(0.05)
        assert await stream.receive_some() == b""
    assert stored(store) == []


async def test_the_broken_head_end_acknowledges_before_it_stores(store: Store) -> None:
    shard = shard_of(store, group_commit_s=3600.0, acknowledge_before_store=True)
    session = Pusher().session()
    async with (
        listening(shard) as listener,
        await trio.open_tcp_stream("127.0.0.1", listener.port) as stream,
    ):
        await stream.send_all(pushed(session, readings(0, 0), 0))
        assert confirmed(session, bytes(await stream.receive_some())) == [0]
        assert stored(store) == []


async def test_a_connection_that_is_reset_is_counted(store: Store) -> None:
    async with listening(shard := shard_of(store)) as listener:
        stream = await trio.open_tcp_stream("127.0.0.1", listener.port)
        await stream.send_all(b"\0")
        while not shard.totals.counts["connections accepted"]:
            await wait_all_tasks_blocked()
        linger = b"\1\0\0\0\0\0\0\0"
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
        await trio.aclose_forcefully(stream)
        while not shard.totals.counts["connections broken"]:
            await wait_all_tasks_blocked()


GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=100).map(lambda apdu: Wpdu(1, 16, apdu).encode()),
    st.binary(max_size=60).map(lambda tail: Wpdu(1, 16, b"\xdb\x08" + tail).encode()),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(garbage=GARBAGE, cut=st.integers(0, 200))
def test_garbage_ends_at_most_its_own_connection(store: Store, garbage: bytes, cut: int) -> None:
    async def run() -> None:
        async with listening(shard := shard_of(store)) as listener:
            # A reset: the head-end closed before it had read everything.
            with suppress(trio.BrokenResourceError):
                assert await answered(listener, garbage[:cut], garbage[cut:]) == b""
            await answered(listener)
            assert not shard.totals.counts["pushes stored"]

    trio.run(run)
