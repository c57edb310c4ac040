"""Time runs by trio's mock clock: hours of link pass in milliseconds, to the nanosecond."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock, memory_stream_pair

from netem.gate import LinkGate, retry_ns
from netem.links import Links, open_links
from netem.model import set_and_drawn
from netem.profiles import LinkOptions, LinkProfile, load_profiles
from netem.raw import RawStream
from netem.shaper import IN_FLIGHT_OCTETS, ShapedStream

Memory = trio.StapledStream[Any, Any]


def profile(name: str, **direction: object) -> LinkProfile:
    return LinkProfile.model_validate(
        {"name": name, "description": name, "sources": (), "up": direction, "down": direction}
    )


PROFILES = {
    "steady": profile("steady", latency="300 ms"),
    "slow": profile("slow", rate="8 kbit/s"),
    "dead": profile("dead", loss="100 %"),
    "seed-1": load_profiles()["seed-1"],
    "none": load_profiles()["none"],
}


def offering(stream: Memory) -> Callable[[], Awaitable[RawStream]]:
    async def opener() -> RawStream:
        return stream

    return opener


async def connected(links: Links, name: str = "steady") -> tuple[ShapedStream, Memory]:
    near, far = memory_stream_pair()
    return await links.connect(offering(near), name, concentrator=1), far


async def test_connecting_takes_a_round_trip_and_the_far_end_sees_it_after_half(
    autojump_clock: MockClock,
) -> None:
    opened_at_s = []

    async def opener() -> RawStream:
        opened_at_s.append(trio.current_time() - started_s)
        return memory_stream_pair()[0]

    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        started_s = trio.current_time()
        await links.connect(opener, "steady", concentrator=1)
        assert trio.current_time() - started_s == pytest.approx(0.6, abs=1e-6)
        assert opened_at_s == [pytest.approx(0.3, abs=1e-6)]


async def test_a_refusal_takes_a_round_trip_too(autojump_clock: MockClock) -> None:
    async def refusing() -> RawStream:
        raise ConnectionRefusedError

    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        started_s = trio.current_time()
        with pytest.raises(ConnectionRefusedError):
            await links.connect(refusing, "steady", concentrator=1)
        assert trio.current_time() - started_s == pytest.approx(0.6, abs=1e-6)


async def test_a_dead_link_times_out_as_linux_does(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        started_s = trio.current_time()
        with pytest.raises(TimeoutError):
            await links.connect(offering(memory_stream_pair()[0]), "dead", concentrator=1)
        assert trio.current_time() - started_s == pytest.approx(127, abs=1e-6)
        assert links.statistics["dead"].connections_timed_out == 1


async def test_an_exchange_takes_both_ways(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        started_s = trio.current_time()
        await stream.send_all(b"request")
        assert trio.current_time() == started_s
        assert await far.receive_some() == b"request"
        assert trio.current_time() - started_s == pytest.approx(0.3, abs=1e-6)
        await far.send_all(b"response")
        assert await stream.receive_some() == b"response"
        assert trio.current_time() - started_s == pytest.approx(0.6, abs=1e-6)


async def test_delays_run_side_by_side(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        started_s = trio.current_time()

        async def peer() -> None:
            for part in (b"one", b"two", b"three"):
                await far.send_all(part)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer)
            for expected, at_s in ((b"one", 0.3), (b"two", 0.4), (b"three", 0.5)):
                assert await stream.receive_some() == expected
                assert trio.current_time() - started_s == pytest.approx(at_s, abs=1e-6)


async def test_the_end_of_the_stream_comes_behind_the_data(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        started_s = trio.current_time()
        await far.send_all(b"last")
        await far.send_eof()
        assert await stream.receive_some() == b"last"
        assert await stream.receive_some() == b""
        assert await stream.receive_some() == b""
        await stream.send_all(b"mine")
        await stream.send_eof()
        assert await far.receive_some() == b"mine"
        assert await far.receive_some() == b""
        assert trio.current_time() - started_s == pytest.approx(0.6, abs=1e-6)
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"more")


async def test_closing_delivers_what_is_under_way(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream = await links.connect(offering(near), "steady", concentrator=1)
        await stream.send_all(b"goodbye")
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"more")
    assert await far.receive_some() == b"goodbye"
    assert await far.receive_some() == b""


async def test_closing_what_has_ended_already_sends_no_second_end(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, _ = await connected(links)
        ended_s = trio.current_time()
        await stream.send_eof()
        await trio.sleep(0.2)
        await stream.aclose()
        await stream.wait_closed()
        assert trio.current_time() - ended_s == pytest.approx(0.3, abs=1e-6)


async def test_closing_by_force_discards_what_is_under_way(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        await stream.send_all(b"never")
        await trio.aclose_forcefully(stream)
        assert await far.receive_some() == b""


async def test_a_cancelled_receive_loses_nothing(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        await far.send_all(b"patience")
        for _ in range(3):
            with trio.move_on_after(0.05):
                await stream.receive_some()
        assert await stream.receive_some(4) == b"pati"
        assert await stream.receive_some(4) == b"ence"


async def test_two_tasks_may_not_receive_or_send_at_once(autojump_clock: MockClock) -> None:
    async with (
        open_links(PROFILES, LinkOptions(), seed=1) as links,
        trio.open_nursery() as nursery,
    ):
        stream, _ = await connected(links)
        nursery.start_soon(stream.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive_some()
        nursery.cancel_scope.cancel()


async def test_what_is_under_way_is_bounded(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1, drain_s=0) as links:
        stream, far = await connected(links, "slow")
        await stream.send_all(bytes(IN_FLIGHT_OCTETS))
        with trio.move_on_after(1) as waiting:
            await stream.send_all(b"one more")
        assert waiting.cancelled_caught
        assert len(await far.receive_some()) > 0
        await stream.send_all(b"one more")


async def test_a_peer_that_goes_away_breaks_the_stream(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        await stream.send_all(b"request")
        await far.aclose()
        await trio.sleep(1)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"another")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_octets_keep_their_order_over_a_link_that_jitters(autojump_clock: MockClock) -> None:
    sent = bytes(index % 251 for index in range(60_000))
    for order in ("link", "netem"):
        options = LinkOptions.model_validate({"order": order})
        async with open_links(PROFILES, options, seed=1) as links:
            stream, far = await connected(links, "seed-1")
            for start in range(0, len(sent), 5_000):
                await stream.send_all(sent[start : start + 5_000])
            await stream.send_eof()
            assert b"".join([part async for part in far]) == sent


async def test_an_accepted_connection_pays_the_handshake_with_its_first_octets(
    autojump_clock: MockClock,
) -> None:
    near, far = memory_stream_pair()
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream = links.accept(near, "steady", concentrator=1)
        started_s = trio.current_time()
        await far.send_all(b"get")
        assert await stream.receive_some() == b"get"
        assert trio.current_time() - started_s == pytest.approx(0.9, abs=1e-6)


async def test_a_perfect_link_takes_no_time(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        started_s = trio.current_time()
        stream, far = await connected(links, "none")
        stream.begin_exchange(7)
        await stream.send_all(b"request")
        await far.send_all(await far.receive_some())
        assert await stream.receive_some() == b"request"
        await stream.aclose()
        assert await far.receive_some() == b""
        assert trio.current_time() == started_s


async def test_the_same_seed_gives_the_same_times(autojump_clock: MockClock) -> None:
    async def times(seed: int) -> list[float]:
        taken = []
        async with open_links(PROFILES, LinkOptions(), seed=seed) as links:
            for concentrator in range(5):
                near, far = memory_stream_pair()
                started_s = trio.current_time()
                stream = await links.connect(offering(near), "seed-1", concentrator)
                stream.begin_exchange(3)
                await stream.send_all(bytes(4_000))
                received = 0
                while received < 4_000:
                    received += len(await far.receive_some())
                taken.append(round(trio.current_time() - started_s, 6))
        return taken

    first = await times(7)
    assert await times(7) == first
    assert await times(8) != first


async def test_the_statistics_show_what_was_set_beside_what_was_drawn(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(latency="round-trip"), seed=1) as links:
        for concentrator in range(300):
            stream = await links.connect(offering(memory_stream_pair()[0]), "seed-1", concentrator)
            await stream.aclose()
    statistics = links.statistics["seed-1"]
    assert statistics.connections == 300
    up = set_and_drawn(links.profiles["seed-1"], statistics)["up"]
    assert up["delay_mean_s"]["set"] == pytest.approx(0.3017, abs=0.001)
    assert up["delay_mean_s"]["drawn"] == pytest.approx(0.3017, rel=0.1)


async def test_an_outage_breaks_connections_and_refuses_new_ones(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links, trio.open_nursery() as nursery:
        stream, far = await connected(links)
        await stream.send_all(b"lost")

        async def receiver() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

        nursery.start_soon(receiver)
        await trio.testing.wait_all_tasks_blocked()
        links.gates["steady"].cut("break")
        assert await far.receive_some() == b""
        with pytest.raises(OSError, match="cut"):
            await connected(links)
        links.gates["steady"].restore()
        await connected(links)
        assert len(links.gates["steady"].streams) == 1


async def test_an_outage_that_hangs_only_delays(autojump_clock: MockClock) -> None:
    region = LinkGate()
    near, far = memory_stream_pair()
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream = await links.connect(offering(near), "steady", 1, gates=[region])
        started_s = trio.current_time()
        await stream.send_all(b"request")
        await trio.sleep(0.1)
        region.cut("hang")
        await trio.sleep(59.9)
        region.restore()
        assert await far.receive_some() == b"request"
        # Retransmissions after 1.8, 5.4, 12.6, 27 and 55.8 s met the outage; the next did not.
        assert trio.current_time() - started_s == pytest.approx(113.4, abs=0.01)


async def test_connecting_in_an_outage_that_hangs_waits_for_the_next_syn(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links, trio.open_nursery() as nursery:
        started_s = trio.current_time()
        links.gates["steady"].cut("hang")

        async def restore() -> None:
            await trio.sleep(10)
            links.gates["steady"].restore()

        nursery.start_soon(restore)
        await connected(links)
        # SYNs after 0, 1, 3 and 7 s met the outage; that after 15 s did not.
        assert trio.current_time() - started_s == pytest.approx(15.6, abs=1e-6)


def test_what_is_sent_again_after_an_outage_goes_by_the_timeout() -> None:
    assert retry_ns(0, 10, 10**9) == 10**9
    assert retry_ns(0, 4 * 10**9, 10**9) == 7 * 10**9


async def test_over_real_sockets() -> None:
    profiles = {"quick": profile("quick", latency="5 ms")}
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]

    far_end_broke = trio.Event()

    async def echo(stream: trio.SocketStream) -> None:
        try:
            async for data in stream:
                await stream.send_all(data)
        except trio.BrokenResourceError:
            far_end_broke.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, listeners)
        async with open_links(profiles, LinkOptions(), seed=1) as links:

            async def opener() -> RawStream:
                return await trio.open_tcp_stream("127.0.0.1", port)

            stream = await links.connect(opener, "quick", concentrator=1)
            started_s = trio.current_time()
            await stream.send_all(b"there and back")
            assert await stream.receive_some() == b"there and back"
            assert trio.current_time() - started_s >= 0.01
            links.gates["quick"].cut("break")
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            await far_end_broke.wait()
            await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_a_stream_is_through_when_what_was_under_way_has_arrived(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        near, far = await connected(links)
        await near.send_all(b"last words")
        started_s = trio.current_time()
        await near.aclose()
        assert trio.current_time() == started_s
        await near.wait_closed()
        assert trio.current_time() - started_s == pytest.approx(0.3, abs=0.01)
        assert await far.receive_some() == b"last words"
        assert await far.receive_some() == b""
        await near.wait_closed()


async def test_a_stream_that_was_reset_is_through_at_once(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        near, _ = await connected(links)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.wait_closed)
            await trio.testing.wait_all_tasks_blocked()
            near.reset()


async def test_an_open_connection_becomes_another_link(autojump_clock: MockClock) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        stream, far = await connected(links)
        await stream.send_all(b"one")
        stream.become(profile("far", latency="5 s"))
        await stream.send_all(b"two")
        started_s = trio.current_time()
        for expected, at_s in ((b"one", 0.3), (b"two", 5.0)):
            assert await far.receive_some() == expected
            assert trio.current_time() - started_s == pytest.approx(at_s, abs=1e-6)
        perfect, _ = await connected(links, "none")
        with pytest.raises(ValueError, match="without a model"):
            perfect.become(profile("far", latency="5 s"))
