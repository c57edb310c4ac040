"""Commands to single meters, each executed exactly once.

A command is journalled before it is sent, with the invocation counter its request goes out under.
When the answer is lost, the meter's control log settles what happened: it holds the counter of
every request that was executed. Reading that log goes out under a higher counter, and a meter
refuses lower ones as replays, so a request still under way can no longer be executed once the log
has been read: a command that is not in it is safe to send again.

Wherever the head-end dies, this holds: before the journal has the counter nothing was sent, and
afterwards the next life finds the command in doubt and reads the log first. It needs counters that
the meter checks: without protection a command whose answer was lost may be executed again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import trio
from structlog import get_logger

from harness.headend.committer import PASSING
from harness.headend.dialer import Conversation, ConversationError, DeclinedError, Dialer
from harness.headend.service import Shard
from harness.store.commands import Command, CommandState
from harness.store.errors import CommandError
from protocols import plugin
from protocols.plugin import CommandKind, Executed, LogRead

RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
WAITING_MAX: Final = 100_000
NUMBER_MAX: Final = 2**63 - 1
OPEN: Final = frozenset({CommandState.QUEUED, CommandState.SENT})
log = get_logger(__name__)


class Commands:
    """The commands of a shard: taken, journalled, carried out, settled."""

    def __init__(self, shard: Shard, dialer: Dialer) -> None:
        self._shard = shard
        self._dialer = dialer
        self._queues: dict[int, list[Command]] = {}
        self._waiting: set[int] = set()
        self._loaded = trio.Event()
        self._arrived = trio.Event()
        self._working: set[int] = set()
        mine = [shard.registry.concentrators[number] for number in shard.concentrators]
        self._first_meters = [record.first_meter for record in mine]
        self._mine = range(mine[0].first_meter, mine[-1].first_meter + mine[-1].meters)

    async def take(self, command: Command) -> None:
        """Accept a command: it is in the journal, durably, when this returns.

        Taking the same command again, because the answer was lost, is no second command.

        Raises:
            CommandError: its id is taken by another command.
            KeyError: this shard has no such meter.
            StoreError: the store failed; take the same command again.
            ValueError: no such kind, a parameter that is no number, an id or time out of range, or
                too many commands wait.
        """
        _request(command)
        if not (0 <= command.id <= NUMBER_MAX and abs(command.created_at_us) <= NUMBER_MAX):
            raise ValueError("id or time of the command out of range")
        concentrator = self._concentrator_of(command.meter)
        await self._loaded.wait()
        if len(self._waiting) >= WAITING_MAX:
            raise ValueError(f"{WAITING_MAX:,} commands wait already; try later")
        try:
            await self._journal(self._shard.store.add_command, command)
        except CommandError:
            known = await self._known(command)
            if known is None:
                raise
            command = known
        if command.state in OPEN:
            self._enqueue(concentrator, command)

    async def run(self) -> None:
        """Carry out commands until cancelled; first those the journal left open.

        Raises:
            StoreError: the store failed in a way that waiting does not mend.
        """
        for command in await trio.to_thread.run_sync(self._shard.store.commands):
            # Shards that share a database share the journal.
            if command.state in OPEN and command.meter in self._mine:
                self._enqueue(self._concentrator_of(command.meter), command)
        self._loaded.set()
        async with trio.open_nursery() as nursery:
            while True:
                await self._arrived.wait()
                self._arrived = trio.Event()
                for concentrator in self._queues.keys() - self._working:
                    self._working.add(concentrator)
                    nursery.start_soon(self._work, concentrator)

    def _enqueue(self, concentrator: int, command: Command) -> None:
        if command.id not in self._waiting:
            self._waiting.add(command.id)
            self._queues.setdefault(concentrator, []).append(command)
            self._arrived.set()

    async def _known(self, command: Command) -> Command | None:
        """Return the journal's command of that id if it is the same one."""
        for line in await trio.to_thread.run_sync(self._shard.store.commands):
            if line.id == command.id and _identity(line) == _identity(command):
                return line
        return None

    def _concentrator_of(self, meter: int) -> int:
        if meter not in self._mine:
            raise KeyError(f"meter {meter} is not behind a concentrator of this shard")
        return self._shard.concentrators.start + bisect_right(self._first_meters, meter) - 1

    async def _work(self, concentrator: int) -> None:
        """Carry out everything queued for one concentrator, with back-off while it is away."""
        pause_s = RETRY_MIN_S
        queue = self._queues[concentrator]
        while queue:
            try:
                async with self._dialer.converse(concentrator) as conversation:
                    pause_s = RETRY_MIN_S
                    while queue:
                        await self._settle(concentrator, conversation, queue)
            except (ConversationError, *PASSING) as error:
                self._shard.totals.count("command conversations failed")
                log.debug("command conversation failed", error=str(error))
                if isinstance(error, DeclinedError) and queue:
                    # Not this one now; those behind it must not wait for it.
                    queue.append(queue.pop(0))
                await trio.sleep(pause_s)
                pause_s = min(RETRY_MAX_S, pause_s * 2)
        del self._queues[concentrator]
        self._working.discard(concentrator)

    async def _settle(
        self, concentrator: int, conversation: Conversation, queue: list[Command]
    ) -> None:
        """Bring the first command of the queue to its end."""
        command = queue[0]
        meter = command.meter - self._shard.registry.concentrators[concentrator].first_meter
        if command.state is CommandState.SENT:
            conversation.session.read_log(meter, now=trio.current_time())
            executions = (await conversation.ask(LogRead)).executions
            if any(item.counter == command.invocation_counter for item in executions):
                self._shard.totals.count("commands settled by the control log")
                await self._finish(queue, done=True, result="executed, says the control log")
                return
        counter = conversation.session.execute(meter, _request(command), now=trio.current_time())
        queue[0] = replace(
            command,
            state=CommandState.SENT,
            invocation_counter=counter,
            sent_at_us=self._shard.now_us(),
            attempts=command.attempts + 1,
        )
        # Durable before the first octet leaves: a head-end that dies now must know it may be out.
        await self._journal(self._shard.store.update_command, queue[0])
        answer = await conversation.ask(Executed)
        await self._finish(queue, done=answer.done, result=answer.result)

    async def _finish(self, queue: list[Command], *, done: bool, result: str) -> None:
        state = CommandState.DONE if done else CommandState.FAILED
        ended = replace(queue[0], state=state, done_at_us=self._shard.now_us(), outcome=result)
        await self._journal(self._shard.store.update_command, ended)
        self._waiting.discard(queue.pop(0).id)
        self._shard.totals.count(f"commands {state.value}")

    async def _journal(self, write: Callable[[Command], None], command: Command) -> None:
        await trio.to_thread.run_sync(write, command)


def _request(command: Command) -> plugin.Command:
    """Return what is asked of the meter. Raises `ValueError`."""
    return plugin.Command(CommandKind(command.kind), int(command.parameter or 0))


def _identity(command: Command) -> tuple[int, str, str, int]:
    return command.meter, command.kind, command.parameter, command.created_at_us
