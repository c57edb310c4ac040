"""The push listener: takes what concentrators push, acknowledges what is durable.

What a peer sends and what links do to it is refused by name, counted and ends at most its own
connection. Anything else that goes wrong here is our mistake and ends the service, loudly.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import trio
from structlog import get_logger

from emulator.descriptors import RESERVED, raise_descriptor_limit
from harness.headend.committer import Submission, merge
from harness.headend.hooks import Point
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.errors import ProtocolError
from protocols.plugin import Received, ReceiveSession, Refused

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
    config = shard.config
    listeners = await trio.open_tcp_listeners(
        config.listen_port, host=config.listen_host, backlog=BACKLOG
    )
    async with trio.open_nursery() as connections:
        with trio.CancelScope() as listening:
            handle = PushListener(shard, listeners[0], listening, connections.cancel_scope)
            task_status.started(handle)
            await trio.serve_listeners(handle.serve, listeners, handler_nursery=connections)


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
    """A listener at work; ``port`` is where."""

    def __init__(
        self,
        shard: Shard,
        listener: trio.SocketListener,
        listening: trio.CancelScope,
        connections: trio.CancelScope,
    ) -> None:
        self.port: int = listener.socket.getsockname()[1]
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

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection until it ends; the caller closes ``stream``."""
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
            outcome = await self._serve(stream, visit)
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

    async def _serve(self, stream: trio.SocketStream, visit: _Visit) -> str:
        shard = self._shard
        session = shard.plugin.receive_session(
            shard.registry.credentials, shard.own_title, shard.push_counters, shard.options
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
        arrived: list[Received] = []
        submissions: list[Submission] = []
        for item in session.receive_data(data):
            if isinstance(item, Refused):
                self._refuse(visit, item.cause, item.detail)
                continue
            self._shard.kill_switch.reach(Point.RECEIVED)
            self._shard.totals.count("pushes received")
            submission = self._submission(item, visit)
            if submission is not None:
                arrived.append(item)
                submissions.append(submission)
        if not arrived:
            return
        if self._shard.config.acknowledge_before_store:
            await self._confirm(stream, session, arrived)
            await self._store(submissions, visit)
            return
        await self._store(submissions, visit)
        await self._confirm(stream, session, arrived)

    def _submission(self, received: Received, visit: _Visit) -> Submission | None:
        """Return what is to be stored of a push; ``None`` if it is refused after all."""
        shard = self._shard
        title = received.system_title
        record = shard.registry.by_title(title)
        if record is None:
            self._refuse(visit, "unknown system title", title.hex())
            return None
        visit.system_title = title
        registers = received.readings.registers
        if registers != len(shard.store.registers):
            self._refuse(visit, "another capture profile", f"{registers} registers")
            return None
        rows = shard.rows(record.number, received.readings, Via.PUSH)
        if received.counter is None:
            return Submission(rows, {})
        # Remembered at once, so that the same frame on another connection is a replay even before
        # this one is durable; the durable memory commits with the rows.
        shard.push_counters.accept(title, received.counter)
        return Submission(rows, {shard.push_counters.name(title): received.counter})

    def _refuse(self, visit: _Visit, cause: str, detail: str) -> None:
        self._shard.totals.count(f"refused: {cause}")
        visit.refused[cause] += 1
        visit.detail = detail

    async def _store(self, submissions: list[Submission], visit: _Visit) -> None:
        rows, counters = merge(submissions)
        await self._shard.committer.submit(Submission(rows, counters))
        self._shard.totals.count("pushes stored", len(submissions))
        visit.pushes += len(submissions)
        visit.readings += len(rows)

    async def _confirm(
        self, stream: trio.SocketStream, session: ReceiveSession, arrived: list[Received]
    ) -> None:
        shard = self._shard
        answers = [session.confirm(item) for item in arrived if item.wants_confirmation]
        if not answers:
            return
        shard.kill_switch.reach(Point.BEFORE_ACKNOWLEDGE)
        octets = b"".join(answers)
        await stream.send_all(octets)
        shard.tally.carried(sent=len(octets))
        shard.totals.count("pushes acknowledged", len(answers))
        shard.kill_switch.reach(Point.ACKNOWLEDGED)
