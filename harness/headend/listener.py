"""The push listener: takes what concentrators push, acknowledges what is durable.

What a peer sends and what links do to it is refused by name, counted and ends at most its own
connection. Anything else that goes wrong here is our mistake and ends the service, loudly.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import trio
from structlog import get_logger

from emulator.descriptors import RESERVED, raise_descriptor_limit
from harness.headend.committer import Submission, merge
from harness.headend.hooks import Point
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.errors import ProtocolError
from protocols.plugin import Received, ReceiveSession, Refused, Registering

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
            task_status.started(handle)
            async with trio.open_nursery() as accepting:
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
    return {
        protocol: await trio.open_tcp_listeners(port, host=config.listen_host, backlog=BACKLOG)
        for protocol, port in ports.items()
    }


@dataclass(slots=True)
class _Visit:
    """What one connection brought; ends up in its line of the log."""

    began: float = field(default_factory=time.monotonic)
    system_title: bytes = b""
    pushes: int = 0
    readings: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    detail: str = ""

    def close(self, outcome: str) -> None:
        log.info(
            "connection ended",
            outcome=outcome,
            system_title=self.system_title.hex(),
            pushes=self.pushes,
            readings=self.readings,
            refused=dict(self.refused),
            detail=self.detail,
            lasted_s=round(time.monotonic() - self.began, 3),
        )


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
        visit = _Visit()
        outcome = "cancelled"
        try:
            for option in KEEP_ALIVE:
                stream.setsockopt(*option)
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

    async def _serve(self, stream: trio.SocketStream, protocol: str, visit: _Visit) -> str:
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
                    self._refuse(visit, item.cause, item.detail)
                return "closed by the concentrator"
            await self._take(stream, session, bytes(data), visit)
        return "closed by the head-end, which is stopping"

    async def _receive(self, stream: trio.SocketStream) -> bytes | bytearray:
        self._idle.add(stream)
        try:
            data = await stream.receive_some(RECEIVE_SIZE)
            self._shard.tally.carried(received=len(data))
            return data
        finally:
            self._idle.discard(stream)

    async def _take(
        self, stream: trio.SocketStream, session: ReceiveSession, data: bytes, visit: _Visit
    ) -> None:
        arrived: list[Received | Registering] = []
        submissions: list[Submission] = []
        for item in session.receive_data(data):
            if isinstance(item, Refused):
                self._refuse(visit, item.cause, item.detail)
                continue
            self._shard.kill_switch.reach(Point.RECEIVED)
            submission = self._submission(item, visit)
            if submission is not None:
                arrived.append(item)
                submissions.append(submission)
        await self._send(stream, session.data_to_send())
        if not arrived:
            return
        if self._shard.config.acknowledge_before_store:
            await self._confirm(stream, session, arrived)
            await self._store(submissions, visit)
            return
        await self._store(submissions, visit)
        await self._confirm(stream, session, arrived)

    def _submission(self, item: Received | Registering, visit: _Visit) -> Submission | None:
        """Return what is to be stored of what arrived; ``None`` if it is refused after all."""
        shard = self._shard
        title = item.system_title
        record = shard.registry.by_title(title)
        if record is None:
            self._refuse(visit, "unknown system title", title.hex())
            return None
        visit.system_title = record.system_title
        brought = (
            self._rows(record.number, item, visit)
            if isinstance(item, Received)
            else self._nodes(record.number, item)
        )
        if brought is None:
            return None
        # Remembered at once, so that the same frame on another connection is a replay even before
        # this one is durable; the durable memory commits with the rows.
        for peer, counter in item.counters.items():
            shard.push_counters.accept(peer, counter)
        names = {shard.push_counters.name(peer): at for peer, at in item.counters.items()}
        return replace(brought, counters=names)

    def _rows(self, number: int, push: Received, visit: _Visit) -> Submission | None:
        shard, readings = self._shard, push.readings
        shard.totals.count("pushes received")
        if readings.registers != len(shard.store.registers) and len(readings):
            self._refuse(visit, "another capture profile", f"{readings.registers} registers")
            return None
        return Submission(
            shard.rows(number, readings, Via.PUSH), {}, alarms=shard.alarms(number, readings.events)
        )

    def _nodes(self, number: int, item: Registering) -> Submission:
        shard = self._shard
        shard.totals.count("registrations received", len(item.nodes))
        registrations = shard.nodes.register(number, item.nodes)
        return Submission(shard.no_rows, {}, registrations=registrations)

    def _refuse(self, visit: _Visit, cause: str, detail: str) -> None:
        self._shard.totals.count(f"refused: {cause}")
        visit.refused[cause] += 1
        visit.detail = detail

    async def _store(self, submissions: list[Submission], visit: _Visit) -> None:
        whole = merge(submissions)
        await self._shard.committer.submit(whole)
        self._shard.totals.count("pushes stored", len(submissions))
        visit.pushes += len(submissions)
        visit.readings += len(whole.rows)

    async def _confirm(
        self,
        stream: trio.SocketStream,
        session: ReceiveSession,
        arrived: list[Received | Registering],
    ) -> None:
        shard = self._shard
        answers = [session.confirm(item) for item in arrived if item.wants_confirmation]
        if not answers:
            return
        shard.kill_switch.reach(Point.BEFORE_ACKNOWLEDGE)
        await self._send(stream, b"".join(answers))
        shard.totals.count("pushes acknowledged", len(answers))
        shard.kill_switch.reach(Point.ACKNOWLEDGED)

    async def _send(self, stream: trio.SocketStream, octets: bytes) -> None:
        if octets:
            await stream.send_all(octets)
            self._shard.tally.carried(sent=len(octets))
