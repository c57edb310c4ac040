"""A meter's optical port, over TCP and over a pseudo-terminal."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

from emulator.identity import meter_name
from emulator.keys import SeededKeys
from emulator.optical import (
    ANSWER_S,
    CONNECTIONS_MAX,
    OpticalPort,
    open_optical_port,
    serve_line,
    serve_optical_tcp,
    serve_optical_terminal,
)
from protocols.c12.psem import Answered, ClientEvent, Fault, PsemClient, PsemServer
from protocols.c12.services import FullRead, ReadBody, Request, Response, ok, read_response
from protocols.framing import Message
from protocols.plugin import Credentials
from tests.support.fleets import Site, clock_at, fleet_config, meters_at, open_site

END_S: Final = 20.0
TABLE: Final = bytes(range(200))


class Device:
    """Answers every read with the same table."""

    def handle(self, request: Request, *, now: float) -> Response:
        return read_response(TABLE) if isinstance(request, FullRead) else ok()

    def session_ended(self) -> None:
        pass


@dataclass
class Lines:
    """Makes lines and remembers them."""

    made: list[PsemServer] = field(default_factory=list)

    def __call__(self) -> PsemServer:
        self.made.append(PsemServer(Device(), random_bytes=bytes))
        return self.made[-1]


async def ask(client: PsemClient, stream: trio.abc.Stream) -> ClientEvent:
    """Carry octets until the request that was put to ``client`` has come to something."""
    while (event := client.next_event()) is None:
        await stream.send_all(client.data_to_send())
        client.receive_data(bytes(await stream.receive_some(100)), trio.current_time())
    await stream.send_all(client.data_to_send())
    return event


async def read_a_table(stream: trio.abc.Stream) -> None:
    """Hold a whole session; its one read must bring the table."""
    client = PsemClient()
    client.identify(trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.negotiate(trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.logon(2, b"0000", trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.read(1, trio.current_time())
    assert await ask(client, stream) == Answered(FullRead(1), ReadBody(TABLE))
    client.terminate(trio.current_time())
    assert isinstance(await ask(client, stream), Answered)


@asynccontextmanager
async def serving(
    serve: Callable[..., Awaitable[None]], lines: Lines
) -> AsyncIterator[OpticalPort]:
    with trio.fail_after(END_S):
        async with trio.open_nursery() as nursery:
            port: OpticalPort = await nursery.start(serve, lines)
            yield port
            nursery.cancel_scope.cancel()


async def dial(port: OpticalPort) -> trio.SocketStream:
    host, number = port.url.removeprefix("socket://").split(":")
    return await trio.open_tcp_stream(host, int(number))


@asynccontextmanager
async def opened(port: OpticalPort) -> AsyncIterator[trio.abc.Stream]:
    """Open the line like a client that has left the terminal's modes alone."""
    async with trio.lowlevel.FdStream(os.open(port.url, os.O_RDWR | os.O_NOCTTY)) as stream:
        yield stream


async def test_a_tcp_port_carries_a_session() -> None:
    async with serving(serve_optical_tcp, Lines()) as port, await dial(port) as stream:
        await read_a_table(stream)


async def test_every_connection_is_a_line_of_its_own() -> None:
    lines = Lines()
    async with (
        serving(serve_optical_tcp, lines) as port,
        await dial(port) as one,
        await dial(port) as other,
    ):
        await read_a_table(one)
        await read_a_table(other)
    assert len(lines.made) == 2


async def test_the_port_outlives_a_caller_that_vanishes() -> None:
    lines = Lines()
    async with serving(serve_optical_tcp, lines) as port:
        async with await dial(port) as stream:
            client = PsemClient()
            client.identify(trio.current_time())
            await ask(client, stream)
            await stream.send_all(b"\xee\x00")
        async with await dial(port) as stream:
            await read_a_table(stream)
    assert lines.made[0].faults[Fault.TRANSPORT_CLOSED] == 1


async def test_whoever_comes_when_the_port_is_full_is_dropped() -> None:
    lines = Lines()
    async with serving(serve_optical_tcp, lines) as port:
        callers = [await dial(port) for _ in range(CONNECTIONS_MAX)]
        for caller in callers:
            client = PsemClient()
            client.identify(trio.current_time())
            await ask(client, caller)
        async with await dial(port) as late:
            assert await late.receive_some(1) == b""
        for caller in callers:
            await caller.aclose()
    assert len(lines.made) == CONNECTIONS_MAX


async def test_only_this_machine_is_served() -> None:
    async with serving(serve_optical_tcp, Lines()) as port:
        assert port.url.startswith("socket://127.0.0.1:")


async def test_a_port_that_is_taken_is_refused() -> None:
    async with serving(serve_optical_tcp, Lines()) as port:
        with pytest.raises(OSError, match="already in use"):
            await serve_optical_tcp(Lines(), port=int(port.url.rpartition(":")[2]))


async def test_a_pseudo_terminal_carries_session_after_session() -> None:
    lines = Lines()
    async with serving(serve_optical_terminal, lines) as port:
        for _ in range(2):
            async with opened(port) as stream:
                await read_a_table(stream)
    assert len(lines.made) == 1


async def test_a_session_ends_by_its_silence(autojump_clock: trio.testing.MockClock) -> None:
    line = Lines()()
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_line, line, ours)
        client = PsemClient()
        client.identify(trio.current_time())
        await ask(client, theirs)
        await trio.sleep(60.0)
        assert line.faults[Fault.TRAFFIC_TIMEOUT] == 1
        await read_a_table(theirs)
        await theirs.aclose()


async def test_a_line_ends_when_nobody_takes_the_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    line = Lines()()
    ours, theirs = trio.testing.lockstep_stream_pair()
    client = PsemClient()
    client.identify(trio.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_line, line, ours)
        await theirs.send_all(client.data_to_send())
    assert trio.current_time() == pytest.approx(ANSWER_S, abs=1.0)
    assert line.closed


async def opened_at(site: Site, nursery: trio.Nursery, port: int | None) -> Message:
    order = {"do": "optical", "concentrator": 1, "meter": 0, "port": port}
    return await open_optical_port(order, site.shard.concentrators, site.config, nursery)


@pytest.mark.parametrize("port", [pytest.param(0, id="TCP"), pytest.param(None, id="terminal")])
async def test_a_shard_opens_the_port_of_a_meter(tmp_path: Path, port: int | None) -> None:
    config = fleet_config(protocol="c12")
    number = meters_at(config, 1)[0]
    with trio.fail_after(END_S):
        async with (
            open_site(tmp_path, config, clock_at(config, 2.5)) as site,
            trio.open_nursery() as nursery,
        ):
            told = await opened_at(site, nursery, port)
            assert told["state"] == "optical"
            reached = OpticalPort(told["url"])
            for _ in range(2):
                # Nobody says good-bye: who comes next must not find the session.
                async with await dial(reached) if port == 0 else opened(reached) as stream:
                    keys = SeededKeys(config.seed).of(meter_name(number), b"")
                    assert await table_5(stream, keys) == meter_name(number).ljust(20)
            nursery.cancel_scope.cancel()


async def test_a_shard_tells_when_a_port_cannot_be_had(tmp_path: Path) -> None:
    config = fleet_config(protocol="c12")
    async with (
        open_site(tmp_path, config, clock_at(config, 2.5)) as site,
        trio.open_nursery() as nursery,
    ):
        told = await opened_at(site, nursery, 0)
        again = await opened_at(site, nursery, int(told["url"].rpartition(":")[2]))
        assert "in use" in again["error"]
        nursery.cancel_scope.cancel()


async def table_5(stream: trio.abc.Stream, credentials: Credentials) -> bytes:
    """Log on with the meter's secret and return its identification."""
    client = PsemClient()
    client.identify(trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.logon(2, b"0000", trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.security(credentials.secret, trio.current_time())
    assert isinstance(await ask(client, stream), Answered)
    client.read(5, trio.current_time())
    answered = await ask(client, stream)
    assert isinstance(answered, Answered)
    assert isinstance(answered.body, ReadBody)
    return answered.body.data
