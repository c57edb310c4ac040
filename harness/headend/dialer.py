"""Conversations with concentrators: one at a time with each, a bounded number in all."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import trio
from structlog import get_logger

from harness.headend.registry import Registry
from harness.headend.service import Shard
from harness.provisioning import ConcentratorRecord
from protocols.errors import ProtocolError
from protocols.plugin import Closed, Declined, Opened, Outcome, PollSession

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


class Conversation:
    """An open association with one concentrator."""

    def __init__(self, name: str, stream: trio.SocketStream, session: PollSession) -> None:
        self._name = name
        self._stream = stream
        self.session = session

    async def ask(self, wanted: type[T]) -> T:
        """Send the request that was just put to ``session`` and return its outcome.

        Raises:
            ConversationError: the concentrator declined, closed, broke the protocol or took too
                long; the association is then of no further use, except after a decline.

        Cancellation: the request may or may not have been carried out.
        """
        try:
            outcome = await self._exchange()
        except ProtocolError as error:
            raise self._error(f"protocol: {type(error).__name__}", str(error)) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._error("connection broken", str(error)) from error
        if isinstance(outcome, wanted):
            return outcome
        reason = outcome.reason if isinstance(outcome, Declined) else repr(outcome)
        raise self._error("declined", reason)

    async def _exchange(self) -> Outcome:
        while True:
            octets = self.session.data_to_send()
            if octets:
                await self._stream.send_all(octets)
            outcome = self.session.outcome()
            if outcome is not None:
                return outcome
            await self._receive()

    async def _receive(self) -> None:
        with trio.move_on_at(self.session.deadline or math.inf) as timer:
            data = await self._stream.receive_some(RECEIVE_SIZE)
        now = trio.current_time()
        if timer.cancelled_caught:
            self.session.handle_deadline(now)
            if self.session.outcome() is None and not self.session.data_to_send():
                raise self._error("no answer in time", "")
        elif not data:
            raise self._error("closed by the concentrator", "")
        else:
            self.session.receive_data(bytes(data), now=now)

    def _error(self, cause: str, detail: str) -> ConversationError:
        return ConversationError(self._name, cause, detail)


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
            ConversationError: no connection, or no association.
        """
        record = self._registry.concentrators[concentrator]
        lock = self._locks.setdefault(concentrator, trio.Lock())
        async with lock, self._limit, await self._connect(record) as stream:
            session = self._shard.plugin.poll_session(
                record.credentials,
                self._shard.own_title,
                self._shard.poll_counters,
                self._shard.options,
                secrets.token_bytes,
            )
            conversation = Conversation(record.name, stream, session)
            session.open(now=trio.current_time())
            await conversation.ask(Opened)
            self._shard.totals.count("conversations opened")
            yield conversation
            await _release(conversation)

    async def _connect(self, record: ConcentratorRecord) -> trio.SocketStream:
        try:
            with trio.fail_after(CONNECT_S):
                return await trio.open_tcp_stream(record.address, record.port)
        except (OSError, trio.TooSlowError) as error:
            self._shard.totals.count("conversations failed: no connection")
            raise ConversationError(record.name, "no connection", str(error)) from error


async def _release(conversation: Conversation) -> None:
    """Release the association politely; whatever goes wrong with that changes nothing."""
    with trio.move_on_after(RELEASE_S):
        try:
            conversation.session.close(now=trio.current_time())
            await conversation.ask(Closed)
        except (ConversationError, ProtocolError) as error:
            log.debug("release failed", error=str(error))
