"""Commands are executed exactly once, whatever is lost and whenever the head-end dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from harness.headend import commands as module
from harness.headend.commands import Commands
from harness.headend.dialer import Dialer
from harness.store.commands import Command, CommandState
from harness.store.errors import CommandError, StoreError, StoreUnavailableError
from harness.store.interface import Store
from protocols.errors import ProtocolError
from tests.support.headend import METERS, Served, committing, provisioned, serving, shard_of

AWAY = StoreUnavailableError("is away", where="here", mend="wait")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_MIN_S", 0.001)


def command(number: int, meter: int = 0, kind: str = "disconnect", parameter: str = "") -> Command:
    return Command(number, meter, kind, parameter, created_at_us=number)


@asynccontextmanager
async def obeying(store: Store, served: Served, **changes: Any) -> AsyncIterator[Commands]:
    """Let a shard carry out commands on one concentrator for the length of an ``async with``."""
    async with serving(served) as port:
        shard = shard_of(store, provisioned(1, ports=[port]), **{"timeout_s": 1.0} | changes)
        commands = Commands(shard, Dialer(shard))
        async with committing(shard), trio.open_nursery() as nursery:
            nursery.start_soon(commands.run)
            yield commands
            nursery.cancel_scope.cancel()


async def ended(store: Store, count: int = 1) -> list[Command]:
    """Return the journal once so many commands have ended."""
    while True:
        journal = store.commands()
        if sum(line.state in {CommandState.DONE, CommandState.FAILED} for line in journal) >= count:
            return journal
        await wait_all_tasks_blocked()


async def test_commands_are_journalled_executed_and_ended(store: Store) -> None:
    served = Served()
    async with obeying(store, served) as commands:
        await commands.take(command(1, 0))
        await commands.take(command(2, 2, "tariff", "2"))
        await commands.take(command(3, 0, "reconnect"))
        journal = await ended(store, 3)
    assert [line.state for line in journal] == [CommandState.DONE] * 3
    assert [line.attempts for line in journal] == [1, 1, 1]
    assert all(line.done_at_us and line.sent_at_us for line in journal)
    assert [execution.counter for _, execution in served.model.executed] == [
        journal[number].invocation_counter for number in (0, 1, 2)
    ]


async def test_an_answer_that_is_lost_is_settled_by_the_control_log(store: Store) -> None:
    served = Served(lose_answers=1)
    async with obeying(store, served) as commands:
        await commands.take(command(1))
        (line,) = await ended(store)
    assert len(served.model.executed) == 1
    assert (line.state, line.attempts) == (CommandState.DONE, 1)
    assert "control log" in line.outcome


@pytest.mark.parametrize("lost", range(1, 9))
async def test_requests_that_are_lost_anywhere_are_made_again(store: Store, lost: int) -> None:
    served = Served(lose_requests=lost)
    async with obeying(store, served) as commands:
        await commands.take(command(1))
        (line,) = await ended(store)
    assert line.state is CommandState.DONE
    assert len(served.model.executed) == 1


@pytest.mark.parametrize("after", range(12))
async def test_a_request_that_comes_late_over_a_half_open_connection_is_a_replay(
    store: Store, after: int
) -> None:
    served = Served(hold_after=after)
    async with obeying(store, served, timeout_s=0.1) as commands:
        await commands.take(command(1))
        await commands.take(command(2, 1))
        await ended(store, 2)
    for session, octets in served.held:
        with suppress(ProtocolError):
            session.receive_data(octets, now=trio.current_time())
    assert sorted(meter for meter, _ in served.model.executed) == [0, 1]


@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("durable", [True, False])
async def test_a_head_end_that_dies_at_any_write_of_the_journal(
    store: Store, monkeypatch: pytest.MonkeyPatch, write: int, *, durable: bool
) -> None:
    served = Served()
    writes = 0

    class DiedError(Exception):
        """The head-end is gone."""

    def dying(original: Callable[[Command], None]) -> Callable[[Command], None]:
        def write_or_die(line: Command) -> None:
            nonlocal writes
            writes += 1
            if writes - 1 == write:
                if durable:
                    original(line)
                raise DiedError
            original(line)

        return write_or_die

    with monkeypatch.context() as patch:
        for name in ("add_command", "update_command"):
            patch.setattr(store, name, dying(getattr(store, name)))
        with suppress(BaseExceptionGroup, DiedError):
            async with obeying(store, served) as commands:
                await commands.take(command(1))
                await trio.sleep_forever()
    async with obeying(store, served) as commands:
        # Whoever had no answer asks again.
        await commands.take(command(1))
        (line,) = await ended(store)
    assert line.state is CommandState.DONE
    assert len(served.model.executed) == 1


async def test_a_store_that_is_away_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, failures = Served(), [AWAY, AWAY]
    update = store.update_command

    def failing(line: Command) -> None:
        if failures:
            raise failures.pop()
        update(line)

    monkeypatch.setattr(store, "update_command", failing)
    async with obeying(store, served) as commands:
        await commands.take(command(1))
        (line,) = await ended(store)
    assert line.state is CommandState.DONE
    assert len(served.model.executed) == 1


async def test_a_store_that_fails_for_good_ends_the_service(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(line: Command) -> None:
        raise StoreError("is broken", where="here", mend="call somebody")

    monkeypatch.setattr(store, "update_command", failing)
    with pytest.RaisesGroup(pytest.RaisesExc(StoreError), flatten_subgroups=True):
        async with obeying(store, Served()) as commands:
            await commands.take(command(1))
            await trio.sleep_forever()


async def test_a_command_taken_twice_is_one_and_another_of_its_id_is_refused(
    store: Store,
) -> None:
    served = Served()
    async with obeying(store, served) as commands:
        await commands.take(command(1))
        await commands.take(command(1))
        with pytest.raises(CommandError, match="exists"):
            await commands.take(command(1, 2))
        await ended(store)
        await commands.take(command(1))
        await wait_all_tasks_blocked(0.01)
    assert len(served.model.executed) == 1


async def test_a_command_that_came_while_the_journal_was_read_is_executed_once(
    store: Store,
) -> None:
    served = Served()
    for number in range(50):
        store.add_command(command(number, number % METERS))
    async with obeying(store, served) as commands:
        await commands.take(command(50))
        await ended(store, 51)
    assert len(served.model.executed) == 51


async def test_a_command_that_is_declined_does_not_hold_up_the_others(store: Store) -> None:
    served = Served()
    served.model.meters = METERS - 1
    async with obeying(store, served) as commands:
        await commands.take(command(1, METERS - 1))
        await commands.take(command(2, 0))
        first, second = await ended(store)
    assert second.state is CommandState.DONE
    assert first.state in {CommandState.QUEUED, CommandState.SENT}


async def test_commands_of_another_shard_in_a_shared_journal_are_left_alone(
    store: Store,
) -> None:
    store.add_command(command(1, 3 * METERS))
    async with obeying(store, Served()) as commands:
        await commands.take(command(2))
        journal = await ended(store)
    assert [line.state for line in journal] == [CommandState.QUEUED, CommandState.DONE]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (replace(command(1), meter=METERS), KeyError),
        (replace(command(1), meter=-1), KeyError),
        (replace(command(1), kind="explode"), ValueError),
        (replace(command(1), kind="tariff", parameter="cheap"), ValueError),
        (replace(command(1), id=2**63), ValueError),
        (replace(command(1), id=-1), ValueError),
        (replace(command(1), created_at_us=2**63), ValueError),
    ],
)
async def test_a_command_that_cannot_be_is_refused(
    store: Store, wrong: Command, error: type[Exception]
) -> None:
    async with obeying(store, Served()) as commands:
        with pytest.raises(error):
            await commands.take(wrong)
    assert store.commands() == []


async def test_a_parameter_out_of_range_fails_and_is_not_executed(store: Store) -> None:
    served = Served()
    async with obeying(store, served) as commands:
        await commands.take(command(1, 0, "tariff", "99999999999"))
        (line,) = await ended(store)
    assert line.state is CommandState.FAILED
    assert served.model.executed == []


async def test_too_many_waiting_commands_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    async with obeying(store, Served(lose_requests=10**9)) as commands:
        await commands.take(command(1))
        await commands.take(command(2))
        with pytest.raises(ValueError, match="wait already"):
            await commands.take(command(3))
