"""The push listener: takes what concentrators push, acknowledges what is durable."""

from __future__ import annotations

from typing import Final

import trio
from structlog import get_logger

from harness.headend.committer import Submission, merge
from harness.headend.hooks import Point
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.errors import ProtocolError
from protocols.plugin import Received, ReceiveSession, Refused

RECEIVE_SIZE: Final = 65_536
log = get_logger(__name__)


async def listen(
    shard: Shard,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept concentrators until cancelled; reports the bound port when it listens.

    One bad connection ends itself, never the service. Cancellation: connections end at once, and
    what was not acknowledged will be pushed again.
    """
    config = shard.config
    listeners = await trio.open_tcp_listeners(
        config.listen_port, host=config.listen_host, backlog=4_096
    )
    task_status.started(listeners[0].socket.getsockname()[1])
    connection = _Connection(shard)
    async with trio.open_nursery() as nursery:
        await trio.serve_listeners(connection.serve, listeners, handler_nursery=nursery)


class _Connection:
    """The handler of connections; holds nothing of a single one."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection until it ends."""
        shard = self._shard
        shard.totals.count("connections accepted")
        session = shard.plugin.receive_session(
            shard.registry.credentials, shard.own_title, shard.push_counters, shard.options
        )
        try:
            while data := await stream.receive_some(RECEIVE_SIZE):
                await self._take(stream, session, bytes(data))
        except ProtocolError as error:
            shard.totals.count(f"refused: {type(error).__name__}")
            log.info("connection ended", error=str(error))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            shard.totals.count("connections broken")

    async def _take(self, stream: trio.SocketStream, session: ReceiveSession, data: bytes) -> None:
        shard = self._shard
        arrived: list[Received] = []
        for item in session.receive_data(data):
            match item:
                case Refused(cause=cause, detail=detail):
                    shard.totals.count(f"refused: {cause}")
                    log.info("push refused", cause=cause, detail=detail)
                case Received():
                    shard.kill_switch.reach(Point.RECEIVED)
                    arrived.append(item)
        if not arrived:
            return
        if shard.config.acknowledge_before_store:
            await self._confirm(stream, session, arrived)
            await self._store(arrived)
            return
        await self._store(arrived)
        await self._confirm(stream, session, arrived)

    async def _store(self, arrived: list[Received]) -> None:
        shard = self._shard
        submissions = []
        for received in arrived:
            record = shard.registry.by_title(received.system_title)
            if record is None:
                shard.totals.count("refused: unknown system title")
                continue
            rows = shard.rows(record.number, received.readings, Via.PUSH)
            counters = {}
            if received.counter is not None:
                # Remembered at once, so that the same frame on another connection is a replay
                # even before this one is durable; the durable memory commits with the rows.
                shard.push_counters.accept(received.system_title, received.counter)
                counters[shard.push_counters.name(received.system_title)] = received.counter
            submissions.append(Submission(rows, counters))
        if submissions:
            rows, counters = merge(submissions)
            await shard.committer.submit(Submission(rows, counters))
            shard.totals.count("pushes stored", len(submissions))

    async def _confirm(
        self, stream: trio.SocketStream, session: ReceiveSession, arrived: list[Received]
    ) -> None:
        shard = self._shard
        answers = [session.confirm(item) for item in arrived if item.wants_confirmation]
        if not answers:
            return
        shard.kill_switch.reach(Point.BEFORE_ACKNOWLEDGE)
        await stream.send_all(b"".join(answers))
        shard.totals.count("pushes acknowledged", len(answers))
        shard.kill_switch.reach(Point.ACKNOWLEDGED)
