"""Commands to single meters, each executed exactly once.

A command is journalled before it is sent, with the invocation counter its request goes out under.
When the answer is lost, the meter's control log settles what happened: it holds the counter of
every request that was executed. Reading that log goes out under a higher counter, and a meter
refuses lower ones as replays, so a request still under way can no longer be executed once the log
has been read: a command that is not in it is safe to send again.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Final

import trio
from structlog import get_logger

from harness.headend.dialer import Conversation, ConversationError, Dialer
from harness.headend.service import Shard
from harness.store.commands import Command, CommandState
from harness.store.errors import StoreError
from protocols import plugin
from protocols.plugin import CommandKind, Executed, LogRead

RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
WAITING_MAX: Final = 100_000
log = get_logger(__name__)


class Commands:
    """The commands of a shard: taken, journalled, carried out, settled."""

    def __init__(self, shard: Shard, dialer: Dialer) -> None:
        self._shard = shard
        self._dialer = dialer
        self._queues: dict[int, list[Command]] = {}
        self._arrived = trio.Event()
        self._working: set[int] = set()
        mine = [shard.registry.concentrators[number] for number in shard.concentrators]
        self._meters = {
            record.number: range(record.first_meter, record.first_meter + record.meters)
            for record in mine
        }
        self._first_meters = [record.first_meter for record in mine]

    async def take(self, command: Command) -> None:
        """Accept a command: it is in the journal, durably, when this returns.

        Raises:
            CommandError: its id is taken.
            KeyError: this shard has no such meter.
            ValueError: no such kind, or too many commands wait.
        """
        CommandKind(command.kind)
        concentrator = self._concentrator_of(command.meter)
        if sum(map(len, self._queues.values())) >= WAITING_MAX:
            raise ValueError(f"{WAITING_MAX:,} commands wait already; try later")
        await trio.to_thread.run_sync(self._shard.store.add_command, command)
        self._enqueue(concentrator, command)

    async def run(self) -> None:
        """Carry out commands until cancelled; first those the journal left open."""
        for command in await trio.to_thread.run_sync(self._shard.store.commands):
            if command.state in {CommandState.QUEUED, CommandState.SENT}:
                self._enqueue(self._concentrator_of(command.meter), command)
        async with trio.open_nursery() as nursery:
            while True:
                await self._arrived.wait()
                self._arrived = trio.Event()
                for concentrator in self._queues.keys() - self._working:
                    self._working.add(concentrator)
                    nursery.start_soon(self._work, concentrator)

    def _enqueue(self, concentrator: int, command: Command) -> None:
        self._queues.setdefault(concentrator, []).append(command)
        self._arrived.set()

    def _concentrator_of(self, meter: int) -> int:
        place = bisect_right(self._first_meters, meter) - 1
        number = self._shard.concentrators.start + place
        if place < 0 or meter not in self._meters[number]:
            raise KeyError(f"meter {meter} is not behind a concentrator of this shard")
        return number

    async def _work(self, concentrator: int) -> None:
        """Carry out everything queued for one concentrator, with back-off while it is away."""
        pause_s = RETRY_MIN_S
        queue = self._queues[concentrator]
        try:
            while queue:
                try:
                    async with self._dialer.converse(concentrator) as conversation:
                        pause_s = RETRY_MIN_S
                        while queue:
                            await self._settle(concentrator, conversation, queue)
                except (ConversationError, StoreError) as error:
                    self._shard.totals.count("command conversations failed")
                    log.info("command conversation failed", error=str(error))
                    await trio.sleep(pause_s)
                    pause_s = min(RETRY_MAX_S, pause_s * 2)
        finally:
            self._working.discard(concentrator)
            if not queue:
                del self._queues[concentrator]

    async def _settle(
        self, concentrator: int, conversation: Conversation, queue: list[Command]
    ) -> None:
        """Bring the first command of the queue to its end."""
        command = queue[0]
        meter = command.meter - self._meters[concentrator].start
        if command.state is CommandState.SENT:
            conversation.session.read_log(meter, now=trio.current_time())
            executions = (await conversation.ask(LogRead)).executions
            if any(item.counter == command.invocation_counter for item in executions):
                self._shard.totals.count("commands settled by the control log")
                await self._finish(queue, done=True, result="executed, says the control log")
                return
        request = plugin.Command(CommandKind(command.kind), int(command.parameter or 0))
        counter = conversation.session.execute(meter, request, now=trio.current_time())
        queue[0] = replace(
            command,
            state=CommandState.SENT,
            invocation_counter=counter,
            sent_at_us=self._shard.now_us(),
            attempts=command.attempts + 1,
        )
        # Durable before the first octet leaves: a head-end that dies now must know it may be out.
        await trio.to_thread.run_sync(self._shard.store.update_command, queue[0])
        answer = await conversation.ask(Executed)
        await self._finish(queue, done=answer.done, result=answer.result)

    async def _finish(self, queue: list[Command], *, done: bool, result: str) -> None:
        state = CommandState.DONE if done else CommandState.FAILED
        ended = replace(queue[0], state=state, done_at_us=self._shard.now_us(), outcome=result)
        await trio.to_thread.run_sync(self._shard.store.update_command, ended)
        queue.pop(0)
        self._shard.totals.count(f"commands {state.value}")
