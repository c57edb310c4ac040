"""Conversations with concentrators: one at a time with each, a bounded number in all.

Everything that can go wrong with one comes out as `ConversationError`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import trio
from structlog import get_logger

from emulator import congestion
from emulator.tally import Tally
from harness.headend.committer import Submission
from harness.headend.counters import ConversationCounters
from harness.headend.registry import Registry
from harness.headend.service import Shard
from harness.provisioning import ConcentratorRecord
from harness.store.rows import Rows
from protocols.errors import ProtocolError
from protocols.plugin import Closed, Declined, Outcome, PollSession

RECEIVE_SIZE: Final = 65_536
CONNECT_S: Final = 30.0
RELEASE_S: Final = 10.0
T = TypeVar("T", bound=Outcome)
log = get_logger(__name__)


class ConversationError(Exception):
    """A concentrator could not be reached, went away, or declined; says which and why."""

    def __init__(self, concentrator: str, cause: str, detail: str) -> None:
        super().__init__(f"{concentrator}: {cause}: {detail}")
        self.cause = cause


class DeclinedError(ConversationError):
    """A concentrator answered, but would not do what was asked."""


class Conversation:
    """An open association with one concentrator."""

    def __init__(
        self, name: str, stream: trio.SocketStream, session: PollSession, tally: Tally
    ) -> None:
        self._name = name
        self._stream = stream
        self._tally = tally
        self.session = session

    async def ask(self, wanted: type[T]) -> T:
        """Send the request that was just put to ``session`` and return its outcome.

        Raises:
            DeclinedError: the concentrator declined; the association stands.
            ConversationError: it closed, broke the protocol or took too long; the association is
                of no further use.

        Cancellation: the request may or may not have been carried out.
        """
        try:
            outcome = await self._exchange()
        except ProtocolError as error:
            raise _broken_protocol(self._name, error) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConversationError(self._name, "connection broken", str(error)) from error
        if isinstance(outcome, wanted):
            return outcome
        reason = outcome.reason if isinstance(outcome, Declined) else repr(outcome)
        raise DeclinedError(self._name, "declined", reason)

    async def _exchange(self) -> Outcome:
        in_time = True
        while True:
            octets = self.session.data_to_send()
            outcome = self.session.outcome()
            if outcome is not None and not octets:
                return outcome
            if not in_time and not octets:
                raise ConversationError(self._name, "no answer in time", "")
            in_time = await self._step(octets, receive=outcome is None)
            if outcome is not None:
                return outcome

    async def _step(self, octets: bytes, *, receive: bool) -> bool:
        """Send and receive; tell whether that came to its end before the session's deadline."""
        deadline = self.session.deadline
        with trio.move_on_at(math.inf if deadline is None else deadline) as timer:
            if octets:
                await self._stream.send_all(octets)
                self._tally.carried(sent=len(octets))
            data = await self._stream.receive_some(RECEIVE_SIZE) if receive else None
        now = trio.current_time()
        if timer.cancelled_caught:
            self.session.handle_deadline(now)
            return False
        if data is not None:
            if not data:
                raise ConversationError(self._name, "closed by the concentrator", "")
            self._tally.carried(received=len(data))
            self.session.receive_data(bytes(data), now=now)
        return True


class Dialer:
    """Opens conversations for a shard."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._registry: Registry = shard.registry
        self._limit = trio.CapacityLimiter(shard.config.concurrency)
        self._locks: dict[int, trio.Lock] = {}

    @asynccontextmanager
    async def converse(self, concentrator: int) -> AsyncIterator[Conversation]:
        """Hold a conversation for the length of an ``async with``.

        Waits while another one with the same concentrator is held.

        Raises:
            ConversationError: no connection.
        """
        record = self._registry.concentrators[concentrator]
        lock = self._locks.setdefault(concentrator, trio.Lock())
        async with lock, self._limit:
            began, outcome = trio.current_time(), "broken off"
            try:
                async with self._converse(record) as conversation:
                    yield conversation
                outcome = "released"
            except ConversationError as error:
                outcome = str(error)
                raise
            finally:
                lasted_s = round(trio.current_time() - began, 3)
                log.info("conversation ended", outcome=outcome, name=record.name, lasted_s=lasted_s)

    @asynccontextmanager
    async def _converse(self, record: ConcentratorRecord) -> AsyncIterator[Conversation]:
        async with await self._connect(record) as stream:
            counters = ConversationCounters(self._shard.poll_counters)
            try:
                session = self._session(record, counters)
                conversation = Conversation(record.name, stream, session, self._shard.tally)
                # A session associates with whom a request is for, when it goes out: associating
                # here would cost a command two round trips with a device it is not for.
                self._shard.totals.count("conversations opened")
                yield conversation
                await _release(conversation)
            except ProtocolError as error:
                # What the body put to the session was refused there: it is over, or out of counters
                raise _broken_protocol(record.name, error) from error
            finally:
                self._keep(counters.to_keep())

    def _session(self, record: ConcentratorRecord, counters: ConversationCounters) -> PollSession:
        return self._shard.plugins[record.protocol].poll_session(
            self._registry.with_members(record),
            self._shard.own_titles[record.protocol],
            counters,
            self._shard.options,
            secrets.token_bytes,
        )

    def _keep(self, counters: dict[bytes, int]) -> None:
        """Let the next commit keep the last counters accepted: no replay after a restart."""
        if counters:
            nothing = Rows.empty(len(self._shard.store.registers))
            self._shard.committer.add(Submission(nothing, counters))

    async def _connect(self, record: ConcentratorRecord) -> trio.SocketStream:
        try:
            with trio.fail_after(CONNECT_S):
                stream = await trio.open_tcp_stream(record.address, record.port)
        except (OSError, trio.TooSlowError) as error:
            self._shard.totals.count("conversations failed: no connection")
            raise ConversationError(record.name, "no connection", str(error)) from error
        congestion.use(stream.socket, self._shard.config.congestion)
        self._shard.totals.count(congestion.COUNTED + congestion.used(stream.socket))
        return stream


def _broken_protocol(name: str, error: ProtocolError) -> ConversationError:
    return ConversationError(name, f"protocol: {type(error).__name__}", str(error))


async def _release(conversation: Conversation) -> None:
    """Release the association politely; whatever goes wrong with that changes nothing."""
    with trio.move_on_after(RELEASE_S):
        try:
            conversation.session.close(now=trio.current_time())
            await conversation.ask(Closed)
        except (ConversationError, ProtocolError) as error:
            log.debug("release failed", error=str(error))
