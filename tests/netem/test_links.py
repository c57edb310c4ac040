"""Links that change and are cut, by trio's mock clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from netem.gate import LinkGate
from netem.links import open_links
from netem.profiles import LinkOptions, LinkProfile
from netem.raw import RawStream
from netem.shaper import now_ns

Memory = trio.StapledStream[Any, Any]


def profile(name: str, **direction: object) -> LinkProfile:
    return LinkProfile.model_validate(
        {"name": name, "description": name, "sources": (), "up": direction, "down": direction}
    )


PROFILES = {"steady": profile("steady", latency="300 ms")}


def offering(stream: Memory) -> Callable[[], Awaitable[RawStream]]:
    async def opener() -> RawStream:
        return stream

    return opener


async def test_connecting_in_an_outage_that_hangs_for_long_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        started_s = trio.current_time()
        links.gates["steady"].cut("hang")
        with pytest.raises(TimeoutError):
            await links.connect(offering(memory_stream_pair()[0]), "steady", 0)
        assert trio.current_time() - started_s == pytest.approx(127, abs=1e-6)


async def test_octets_are_still_under_way_from_an_outage_before_the_last(
    autojump_clock: MockClock,
) -> None:
    gate = LinkGate()

    async def outage(lasts_s: float) -> tuple[int, int]:
        gate.cut("hang")
        began_ns = now_ns()
        await trio.sleep(lasts_s)
        gate.restore()
        return began_ns, now_ns()

    await trio.sleep(1)
    sent_ns = now_ns()
    await trio.sleep(1)
    first_ns, _ = await outage(1)
    await trio.sleep(1)
    _, second_ns = await outage(1)
    assert gate.hit(sent_ns, first_ns + 1)
    assert not gate.hit(sent_ns, first_ns)
    assert not gate.hit(second_ns, second_ns + 1)


async def test_a_switch_of_some_concentrators_leaves_the_others_alone(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        gate = links.add_gate(np.array([False, True]))
        gate.cut("break")
        stream = await links.connect(offering(memory_stream_pair()[0]), "steady", 0)
        with pytest.raises(OSError, match="cut"):
            await links.connect(offering(memory_stream_pair()[0]), "steady", 1)
        gate.restore()
        other = await links.connect(offering(memory_stream_pair()[0]), "steady", 1)
        gate.cut("break")
        with pytest.raises(trio.BrokenResourceError):
            await other.send_all(b"x")
        await stream.send_all(b"x")
        stream.reset()


async def test_the_links_of_some_concentrators_become_others(autojump_clock: MockClock) -> None:
    slow = profile("slow", latency="3 s")
    changing = np.array([True, True])
    async with open_links(PROFILES, LinkOptions(), seed=1, changing=changing) as links:
        near, far = memory_stream_pair()
        stream = await links.connect(offering(near), "steady", 0)
        links.become([0], slow)
        started_s = trio.current_time()
        await stream.send_all(b"x")
        assert await far.receive_some() == b"x"
        assert trio.current_time() - started_s == pytest.approx(3, abs=0.01)
        # A new connection is as slow; that of another concentrator is as it was.
        for number, round_trip_s in ((0, 6.0), (1, 0.6)):
            started_s = trio.current_time()
            other = await links.connect(offering(memory_stream_pair()[0]), "steady", number)
            assert trio.current_time() - started_s == pytest.approx(round_trip_s, abs=0.01)
            other.reset()
        stream.reset()


async def test_a_link_that_becomes_another_while_it_is_dialled_over_is_the_other(
    autojump_clock: MockClock,
) -> None:
    changing = np.array([True])
    async with open_links(PROFILES, LinkOptions(), seed=1, changing=changing) as links:
        near, far = memory_stream_pair()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                await trio.sleep(0.4)
                links.become([0], profile("slow", latency="3 s"))

            stream = await links.connect(offering(near), "steady", 0)
        started_s = trio.current_time()
        await stream.send_all(b"x")
        assert await far.receive_some() == b"x"
        assert trio.current_time() - started_s == pytest.approx(3, abs=0.01)
        stream.reset()


async def test_a_link_that_is_cut_while_it_is_dialled_over_is_broken(
    autojump_clock: MockClock,
) -> None:
    async with open_links(PROFILES, LinkOptions(), seed=1) as links:
        gate = links.add_gate(np.array([True]))
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                await trio.sleep(0.4)
                gate.cut("break")

            stream = await links.connect(offering(memory_stream_pair()[0]), "steady", 0)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


async def test_the_far_end_hears_of_a_reset_only_when_the_link_hangs_no_more() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def dial() -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", port)

    profiles = {"quick": profile("quick", latency="1 ms")}
    async with listener, open_links(profiles, LinkOptions(), seed=1) as links:
        gate = links.add_gate(np.array([True]))
        stream = await links.connect(dial, "quick", 0)
        far = await listener.accept()
        gate.cut("hang")
        stream.reset()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
        with trio.move_on_after(0.05) as silence:
            await far.receive_some()
        assert silence.cancelled_caught
        gate.restore()
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await far.receive_some()
        await stream.wait_closed()
        await far.aclose()


async def test_a_reset_while_the_link_hangs_does_not_outlive_the_links() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def dial() -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", port)

    profiles = {"quick": profile("quick", latency="1 ms")}
    links_of_test = open_links(profiles, LinkOptions(), seed=1, drain_s=0.01)
    async with listener, links_of_test as links:
        gate = links.add_gate(np.array([True]))
        stream = await links.connect(dial, "quick", 0)
        far = await listener.accept()
        gate.cut("hang")
        stream.reset()
    with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
        await far.receive_some()
    await far.aclose()
