"""Conversations: every way in which one can fail comes out as a ConversationError."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from emulator.identity import concentrator_system_title
from harness.headend.counters import CountersUsedUpError
from harness.headend.dialer import Conversation, ConversationError, DeclinedError, Dialer
from harness.store.interface import Store
from protocols.dlms.plugin import DlmsPlugin
from protocols.dlms.plugin.polling import DlmsPollSession
from protocols.plugin import (
    Counters,
    Credentials,
    LogRead,
    ReadDone,
    SessionOptions,
)
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import (
    METERS,
    Served,
    committing,
    credentials_of,
    provisioned,
    serving,
    shard_of,
)


async def read(conversation: Conversation) -> ReadDone:
    conversation.session.read(FIRST_S, FIRST_S + STEP_S, now=trio.current_time())
    return await conversation.ask(ReadDone)


async def test_a_conversation_reads_and_is_released(store: Store) -> None:
    served = Served()
    async with serving(served) as port:
        shard = shard_of(store, provisioned(1, ports=[port]))
        async with committing(shard):
            async with Dialer(shard).converse(0) as conversation:
                done = await read(conversation)
            await shard.committer.flush()
    assert len(done.readings) == 2 * METERS
    assert shard.totals.counts["conversations opened"] == 1


async def test_the_last_counter_accepted_survives_the_head_end(store: Store) -> None:
    served = Served()
    async with serving(served) as port:
        shard = shard_of(store, provisioned(1, ports=[port]))
        async with committing(shard):
            async with Dialer(shard).converse(0) as conversation:
                await read(conversation)
            await shard.committer.flush()
    title = concentrator_system_title(0)
    assert shard_of(store).poll_counters.last_accepted(title) == served.counters.sent
    assert shard_of(store).push_counters.last_accepted(title) is None


class _HearsNode(DlmsPlugin):
    """Hears a node behind the concentrator as well."""

    def poll_session(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> DlmsPollSession:
        counters.accept(b"node", 7)
        return super().poll_session(credentials, own_title, counters, options, random)


async def test_the_last_counters_of_nodes_survive_the_head_end(store: Store) -> None:
    async with serving(Served()) as port:
        shard = shard_of(store, provisioned(1, ports=[port]))
        shard.plugins["dlms"] = _HearsNode()
        async with committing(shard):
            async with Dialer(shard).converse(0) as conversation:
                await read(conversation)
            await shard.committer.flush()
    assert shard_of(store).poll_counters.last_accepted(b"node") == 7


async def test_nobody_listens(store: Store) -> None:
    async with serving(Served()) as port:
        pass
    shard = shard_of(store, provisioned(1, ports=[port]))
    with pytest.raises(ConversationError, match="no connection"):
        async with Dialer(shard).converse(0):
            raise AssertionError("must not get here")
    assert shard.totals.counts["conversations failed: no connection"] == 1


async def _closes(stream: trio.SocketStream) -> None:
    await stream.receive_some()


async def _is_silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _resets(stream: trio.SocketStream) -> None:
    await stream.receive_some(1)
    linger = b"\1\0\0\0\0\0\0\0"
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)


async def _talks_rubbish(stream: trio.SocketStream) -> None:
    await stream.send_all(b"\xff" * 64)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (_closes, "closed by the concentrator"),
        (_is_silent, "no answer in time"),
        (_resets, "connection broken"),
        (_talks_rubbish, "protocol: CodecError"),
    ],
)
async def test_a_concentrator_that_misbehaves(
    store: Store, behaviour: Callable[[trio.SocketStream], Awaitable[None]], cause: str
) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, behaviour, listeners)
        shard = shard_of(store, provisioned(1, ports=[port]), timeout_s=0.2)
        with pytest.raises(ConversationError) as caught:
            async with Dialer(shard).converse(0) as conversation:
                await read(conversation)
        nursery.cancel_scope.cancel()
    assert caught.value.cause == cause
    assert "MSC0000000000001" in str(caught.value)


async def test_a_concentrator_with_other_keys(store: Store) -> None:
    stranger = replace(credentials_of(1), system_title=concentrator_system_title(0))
    async with serving(Served(credentials=stranger)) as port:
        shard = shard_of(store, provisioned(1, ports=[port]), timeout_s=0.2)
        with pytest.raises(ConversationError):
            async with Dialer(shard).converse(0) as conversation:
                await read(conversation)


async def test_a_decline_says_why(store: Store) -> None:
    async with serving(Served()) as port:
        shard = shard_of(store, provisioned(1, ports=[port]))
        async with Dialer(shard).converse(0) as conversation:
            conversation.session.read_log(METERS + 40, now=trio.current_time())
            with pytest.raises(DeclinedError, match="declined"):
                await conversation.ask(LogRead)
            conversation.session.read_log(0, now=trio.current_time())
            assert await conversation.ask(LogRead) == LogRead(())


async def test_a_session_that_refuses_what_is_asked_is_a_failed_conversation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(Served()) as port:
        shard = shard_of(store, provisioned(1, ports=[port]))

        def used_up() -> int:
            raise CountersUsedUpError("all used")

        async def talk() -> None:
            async with Dialer(shard).converse(0) as conversation:
                monkeypatch.setattr(shard.sending, "next", used_up)
                conversation.session.read_log(0, now=trio.current_time())

        with pytest.raises(ConversationError, match="CountersUsedUpError"):
            await talk()


async def test_one_conversation_at_a_time_with_each_and_a_bounded_number_in_all(
    store: Store,
) -> None:
    async with serving(Served(0)) as one, serving(Served(1)) as two, serving(Served(2)) as three:
        shard = shard_of(store, provisioned(3, ports=[one, two, three]), concurrency=2)
        dialer, open_now, most = Dialer(shard), [0], [0]

        async def talk(number: int) -> None:
            async with dialer.converse(number):
                open_now[0] += 1
                most[0] = max(most[0], open_now[0])
                await wait_all_tasks_blocked()
                open_now[0] -= 1

        async with committing(shard):
            async with trio.open_nursery() as nursery:
                for number in (0, 0):
                    nursery.start_soon(talk, number)
            assert most == [1]
            async with trio.open_nursery() as nursery:
                for number in (0, 1, 2):
                    nursery.start_soon(talk, number)
            assert most == [2]
