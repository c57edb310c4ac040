"""The push listener: takes what concentrators push, acknowledges what is durable.

What a peer sends and what links do to it is refused by name, counted and ends at most its own
connection. Anything else that goes wrong here is our mistake and ends the service, loudly.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import partial
from typing import Final

import trio
from structlog import get_logger

from emulator import congestion
from emulator.descriptors import RESERVED, raise_descriptor_limit
from harness.headend.datagrams import DatagramHost
from harness.headend.intake import Intake, Visit
from harness.headend.service import Shard
from protocols.errors import ProtocolError

RECEIVE_SIZE: Final = 65_536
BACKLOG: Final = 4_096
KEEP_ALIVE: Final = (
    # A peer that vanished without a word is found out after two minutes (tcp(7)).
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
log = get_logger(__name__)


async def listen(
    shard: Shard,
    task_status: trio.TaskStatus[PushListener] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept concentrators until cancelled or stopped; reports a `PushListener` when it listens.

    Cancellation: connections end at once, and what was not acknowledged will be pushed again.
    `PushListener.stop` is the polite way out. One bad connection never ends the service.
    """
    listeners = await _open(shard)
    ports = {protocol: opened[0].socket.getsockname()[1] for protocol, opened in listeners.items()}
    async with trio.open_nursery() as connections:
        with trio.CancelScope() as listening:
            handle = PushListener(shard, ports, listening, connections.cancel_scope)
            async with trio.open_nursery() as accepting:
                for protocol, plugin in shard.plugins.items():
                    if plugin.speaks_datagrams:
                        host = DatagramHost(shard, protocol, connections)
                        await accepting.start(host.run, ports[protocol])
                task_status.started(handle)
                for protocol, opened in listeners.items():
                    serve = partial(handle.serve, protocol=protocol)
                    accepting.start_soon(
                        partial(trio.serve_listeners, serve, opened, handler_nursery=connections)
                    )


async def _open(shard: Shard) -> dict[str, list[trio.SocketListener]]:
    """Return the listeners of each protocol, the first one's first."""
    config = shard.config
    first, *_ = shard.plugins
    ports = {first: config.listen_port} | {
        name: config.also.get(name, 0) for name in shard.plugins if name != first
    }
    opened = {
        protocol: await trio.open_tcp_listeners(port, host=config.listen_host, backlog=BACKLOG)
        for protocol, port in ports.items()
    }
    for listeners in opened.values():
        for listener in listeners:
            # What it accepts inherits it.
            congestion.use(listener.socket, config.congestion)
    return opened


class PushListener:
    """A listener at work; ``port`` is where, ``ports`` where for each protocol."""

    def __init__(
        self,
        shard: Shard,
        ports: Mapping[str, int],
        listening: trio.CancelScope,
        connections: trio.CancelScope,
    ) -> None:
        self.ports = ports
        self.port = next(iter(ports.values()))
        self._shard = shard
        self._intake = Intake(shard)
        self._listening = listening
        self._connections = connections
        self._stopping = False
        self._idle: set[trio.SocketStream] = set()
        self._connected = 0
        self._connected_max = shard.config.connections_max or raise_descriptor_limit() - RESERVED

    def stop(self, drain_s: float) -> None:
        """Stop listening and hang up on who is silent.

        Pushes that have arrived whole have ``drain_s`` real seconds to be stored and acknowledged.
        `listen` returns when they are, or then.
        """
        self._stopping = True
        self._listening.cancel()
        self._connections.deadline = trio.current_time() + drain_s
        for stream in self._idle:
            stream.socket.close()

    async def serve(self, stream: trio.SocketStream, protocol: str) -> None:
        """Serve one connection in ``protocol`` until it ends; the caller closes ``stream``."""
        totals = self._shard.totals
        if self._connected >= self._connected_max:
            totals.count("refused: too many connections")
            return
        totals.count("connections accepted")
        self._connected += 1
        visit = Visit()
        outcome = "cancelled"
        try:
            for option in KEEP_ALIVE:
                stream.setsockopt(*option)
            totals.count(congestion.COUNTED + congestion.used(stream.socket))
            outcome = await self._serve(stream, protocol, visit)
        except ProtocolError as error:
            outcome = f"{type(error).__name__}: {error}"
            totals.count(f"refused: {type(error).__name__}")
        except (trio.BrokenResourceError, OSError) as error:
            outcome = f"broken: {error}"
            totals.count("connections broken")
        except trio.ClosedResourceError:
            outcome = "closed by the head-end, which is stopping"
        finally:
            self._connected -= 1
            visit.close(outcome)

    async def _serve(self, stream: trio.SocketStream, protocol: str, visit: Visit) -> str:
        shard = self._shard
        session = shard.plugins[protocol].receive_session(
            shard.registry.credentials,
            shard.own_titles[protocol],
            shard.push_counters,
            shard.options,
            shard.nodes,
        )
        while not self._stopping:
            data = await self._receive(stream)
            if not data:
                for item in session.receive_eof():
                    self._intake.refuse(visit, item.cause, item.detail)
                return "closed by the concentrator"
            await self._intake.take(stream.send_all, session, bytes(data), visit)
        return "closed by the head-end, which is stopping"

    async def _receive(self, stream: trio.SocketStream) -> bytes | bytearray:
        self._idle.add(stream)
        try:
            data = await stream.receive_some(RECEIVE_SIZE)
            self._shard.tally.carried(received=len(data))
            return data
        finally:
            self._idle.discard(stream)
