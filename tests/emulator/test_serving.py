"""Serving over real sockets: who gets in, what bad frames get, and that the service goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import serving
from emulator.clock import ScenarioClock
from emulator.delivery_record import Mark
from emulator.fleet_config import FleetConfig, OutageSpan
from emulator.identity import concentrator_address, meter_name
from emulator.serving import Servers, listen_on_loopback
from netem.shaper import ShapedStream
from protocols.plugin import (
    Command,
    CommandKind,
    Executed,
    LogRead,
    Opened,
    Outcome,
    PollSession,
    ReadDone,
)
from tests.support.concentrator_model import MemoryCounters
from tests.support.fleets import (
    Site,
    bits,
    clock_at,
    fleet_config,
    meters_at,
    open_site,
    plan_of,
    poll_session,
    slow_profiles,
)


@dataclass
class Asker:
    """A head-end's connection to a concentrator; remembers every frame it sent."""

    stream: trio.SocketStream
    session: PollSession
    sent: list[bytes] = field(default_factory=list)

    async def outcome(self) -> Outcome:
        while True:
            octets = self.session.data_to_send()
            if octets:
                self.sent.append(octets)
                await self.stream.send_all(octets)
            outcome = self.session.outcome()
            if outcome is not None:
                return outcome
            data = await self.stream.receive_some()
            assert data, "the concentrator closed"
            self.session.receive_data(bytes(data), now=trio.current_time())

    async def read(self, from_s: int, to_s: int) -> Outcome:
        self.session.read(from_s, to_s, now=trio.current_time())
        return await self.outcome()

    async def execute(self, meter: int, command: Command) -> Outcome:
        self.session.execute(meter, command, now=trio.current_time())
        return await self.outcome()

    async def read_log(self, meter: int) -> Outcome:
        self.session.read_log(meter, now=trio.current_time())
        return await self.outcome()


@dataclass
class Service:
    site: Site
    port: int
    counters: MemoryCounters = field(default_factory=MemoryCounters)
    dialled: list[trio.SocketStream] = field(default_factory=list)

    @property
    def servers(self) -> Servers:
        return self.site.shard.servers

    async def dial(self, number: int = 0) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(concentrator_address(number), self.port)
        self.dialled.append(stream)
        return stream

    async def opened(self, number: int = 0, seed: int | None = None) -> Asker:
        """Return an open association; with the keys of another seed, one that will not open."""
        config = self.site.config
        keys = config if seed is None else config.model_copy(update={"seed": seed})
        asker = Asker(await self.dial(number), poll_session(keys, number, self.counters))
        asker.session.open(now=trio.current_time())
        if seed is None:
            assert await asker.outcome() == Opened()
        return asker

    async def goes_on(self) -> None:
        """See that the service still answers others, and has closed every other connection."""
        asker = await self.opened(1)
        at_s = self.site.config.first_s
        read = await asker.read(at_s, at_s)
        assert isinstance(read, ReadDone)
        assert len(read.readings) == len(meters_at(self.site.config, 1))
        await asker.stream.aclose()

    async def until(self, name: str, count: int = 1) -> None:
        with trio.fail_after(10):
            while self.site.counts.get(name, 0) < count:
                await trio.lowlevel.checkpoint()

    def refusals(self) -> dict[str, int]:
        start = "served.refused: "
        return {
            name.removeprefix(start): count
            for name, count in self.site.counts.items()
            if name.startswith(start)
        }


@asynccontextmanager
async def service(
    folder: Path, config: FleetConfig | None = None, clock: ScenarioClock | None = None
) -> AsyncIterator[Service]:
    async with (
        listen_on_loopback(0) as listener,
        open_site(folder, config or fleet_config(), clock) as site,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(site.shard.servers.run, listener)
        served = Service(site, listener.socket.getsockname()[1])
        try:
            yield served
        finally:
            for stream in served.dialled:
                stream.socket.close()
        nursery.cancel_scope.cancel()


async def test_a_buffer_is_read_by_range_and_marked_sent(tmp_path: Path) -> None:
    config = fleet_config()
    async with service(tmp_path, config, clock_at(config, 2.5)) as served:
        asker = await served.opened(1)
        read = await asker.read(config.first_s + 900, config.first_s + 1800)
        assert isinstance(read, ReadDone)
        meters = meters_at(config, 1)
        assert read.readings.meter_ids.tolist() == [meter_name(meter) for meter in meters] * 2
        assert served.site.marked(Mark.SENT, 0) == bits(config, [])
        assert served.site.marked(Mark.SENT, 1) == bits(config, meters)
        assert served.site.marked(Mark.SENT, 2) == bits(config, meters)


async def test_a_command_is_executed_and_logged(tmp_path: Path) -> None:
    async with service(tmp_path) as served:
        asker = await served.opened()
        command = Command(CommandKind.DISCONNECT)
        done = await asker.execute(0, command)
        assert isinstance(done, Executed)
        assert done.done
        log = await asker.read_log(0)
        assert isinstance(log, LogRead)
        assert [execution.command for execution in log.executions] == [command]
        lines = (served.site.folder.shard(0) / "executions.ndjson").read_text().splitlines()
        assert len(lines) == 1


# Who is let in


async def test_an_address_of_nobody_is_refused(tmp_path: Path) -> None:
    async with service(tmp_path) as served:
        async with await served.dial(3) as stream:
            assert await stream.receive_some() == b""
        assert served.refusals() == {"no such concentrator": 1}
        await served.goes_on()


async def test_the_cut_off_drop_their_callers(tmp_path: Path) -> None:
    span = OutageSpan(number=0, starts_s=600, lasts_s=900, share_ppm=1_000_000)
    config = fleet_config(outages=(span,))
    clock = clock_at(config, 0.5)
    async with service(tmp_path, config, clock) as served:
        asker = await served.opened()
        clock.start(time.monotonic(), config.first_s + 650.0, 1e-6)
        served.servers.cut(0)
        with pytest.raises(trio.BrokenResourceError):
            await asker.stream.receive_some()
        assert served.site.counts["connections cut"] == 1
        async with await served.dial() as stream:
            assert await stream.receive_some() == b""
        assert served.refusals() == {"unreachable": 1}
        await served.until("connections closed")
        clock.start(time.monotonic(), config.first_s + 1600.0, 1e-6)
        await served.goes_on()


async def test_a_window_that_closes_ends_the_conversation_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CLOSING_S", 0.01)
    bad = {"name": "bad", "share": "100 %", "reachable": "25 %", "windows_per_day": 24}
    config = fleet_config(steps=96, behaviour={"concentrators": [bad]}, stations=1)
    plan = plan_of(config)
    is_open = [bool(plan.concentrator_reachable(np.array([0]), step)[0]) for step in range(96)]
    closes = next(step for step in range(1, 96) if is_open[step - 1] and not is_open[step])
    clock = clock_at(config, closes - 0.5)
    async with service(tmp_path, config, clock) as served:
        asker = await served.opened()
        await served.servers.close_silent()
        assert isinstance(await asker.read(config.first_s, config.first_s), ReadDone)
        clock.start(time.monotonic(), config.first_s + (closes + 0.5) * 900, 1e-6)
        await served.servers.close_silent()
        with pytest.raises(trio.BrokenResourceError):
            await asker.stream.receive_some()


async def test_one_caller_cannot_hold_all_the_descriptors(tmp_path: Path) -> None:
    async with service(tmp_path) as served:
        held = [await served.dial() for _ in range(serving.CONNECTIONS_MAX)]
        await served.until("connections accepted", serving.CONNECTIONS_MAX)
        async with await served.dial() as stream:
            assert await stream.receive_some() == b""
        assert served.refusals() == {"too many connections": 1}
        await served.goes_on()
        for stream in held:
            await stream.aclose()
        await served.until("connections closed", serving.CONNECTIONS_MAX + 1)
        await (await served.opened()).stream.aclose()


# Bad frames


def wrapper(apdu: bytes, length: int | None = None) -> bytes:
    """Return a frame from client 1 to the management device, its length field as told."""
    return b"\0\1\0\1\0\1" + (len(apdu) if length is None else length).to_bytes(2, "big") + apdu


Forgery = Callable[[Asker], bytes]


def replayed(asker: Asker) -> bytes:
    return asker.sent[-1]


def wrongly_keyed(asker: Asker) -> bytes:
    """Return the last request under the next counter, its authentication tag broken."""
    octets = bytearray(asker.sent[-1])
    octets[-1] ^= 1
    return bytes(octets)


@pytest.mark.parametrize(
    ("forge", "causes"),
    [
        (replayed, {"replayed"}),
        (wrongly_keyed, {"wrong MAC", "replayed"}),
        (lambda _: wrapper(b"\x30\0"), {"wrongly tagged"}),
        (lambda _: wrapper(b"\xc0\1\xc1"), {"not ciphered", "malformed"}),
        (lambda _: wrapper(b"\xdb\x08" + b"MSH\0\0\0\0\1" + b"\x82\xff\xff"), {"malformed"}),
        (lambda _: wrapper(b"\xdb" + bytes(65_000)), {"malformed", "oversized"}),
        (lambda _: b"\0\2" + bytes(6), {"bad frame"}),
    ],
    ids=["replayed", "keyed", "tagged", "clear", "inner length", "oversized", "version"],
)
async def test_a_bad_frame_is_refused_and_counted_and_the_service_goes_on(
    tmp_path: Path, forge: Forgery, causes: set[str]
) -> None:
    config = fleet_config()
    async with service(tmp_path, config) as served:
        asker = await served.opened()
        await asker.read(config.first_s, config.first_s)
        await asker.stream.send_all(forge(asker))
        with trio.fail_after(5):
            while not served.refusals():
                await trio.lowlevel.checkpoint()
        (cause,) = served.refusals()
        assert cause in causes
        await served.goes_on()


async def test_a_stream_that_ends_in_a_frame_is_refused_as_truncated(tmp_path: Path) -> None:
    async with service(tmp_path) as served:
        asker = await served.opened()
        await asker.stream.send_all(asker.sent[-1][:-3])
        await asker.stream.aclose()
        await served.until("served.refused: truncated")
        await served.goes_on()


async def test_the_keys_of_somebody_else_open_nothing(tmp_path: Path) -> None:
    async with service(tmp_path) as served:
        asker = await served.opened(seed=8)
        with pytest.raises((AssertionError, trio.BrokenResourceError)):
            assert await asker.outcome() == Opened()
        assert served.refusals()
        await served.goes_on()


async def test_a_bug_that_one_caller_finds_is_counted_and_spares_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(tmp_path) as served:
        broken = await served.opened()

        def fails(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(served.site.shard.concentrators[0], "buffer", fails)
        with pytest.raises((AssertionError, trio.BrokenResourceError)):
            await broken.read(0, 2**31)
        assert served.site.counts["served.failed: ZeroDivisionError"] == 1
        await served.goes_on()


async def test_a_caller_that_says_nothing_is_let_go(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """On trio's own time: two minutes of silence, and the stream ends."""
    async with open_site(tmp_path, fleet_config()) as site, trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        session = site.shard.concentrators.served_session(0, 1)
        before = trio.current_time()
        await site.shard.servers.converse(ShapedStream(theirs, None, nursery), session, 1)
        assert trio.current_time() - before == pytest.approx(120, abs=1)
        await ours.aclose()


async def test_the_last_answer_still_arrives_over_a_slow_link(tmp_path: Path) -> None:
    """A request, then garbage: the answer to the first comes before the end of the connection."""
    async with service(tmp_path, fleet_config(link="model", profiles=slow_profiles())) as served:
        stream, session = await served.dial(), poll_session(served.site.config, 0, served.counters)
        session.open(now=trio.current_time())
        await stream.send_all(session.data_to_send() + b"\0\2" + bytes(6))
        assert await stream.receive_some()
        assert await stream.receive_some() == b""


@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_garbage_over_a_real_connection_never_ends_the_service(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    talks = data.draw(
        st.lists(
            st.tuples(st.booleans(), st.lists(st.binary(min_size=1, max_size=300), max_size=5)),
            min_size=1,
            max_size=5,
        )
    )

    async def main() -> None:
        async with service(tmp_path_factory.mktemp("garbage")) as served:
            for framed, parts in talks:
                await garble(served, framed, parts)
            assert not [name for name in served.site.counts if name.startswith("served.failed")]
            await served.goes_on()

    trio.run(main)


async def garble(served: Service, framed: bool, parts: list[bytes]) -> None:
    """Open an association, then send garbage on it, whole frames of it or none."""
    asker = await served.opened()
    try:
        for part in parts:
            await asker.stream.send_all(wrapper(part) if framed else part)
        await asker.stream.send_eof()
        with trio.fail_after(5):
            while await asker.stream.receive_some():
                pass
    except trio.BrokenResourceError:
        pass
