"""What has happened to a battery layer, kept as it happens: group commit, and starting again.

`Chronicle.happen` changes the batteries at once and returns; `Chronicle.durable` is when a restart
would know of it. Orders leave only then (`released` is called with them), so no battery ever does
what a restarted layer has not heard of.

What time brings about (a window begins, an account runs empty) is an event of its own where it
brings orders, at the moment at which it was due, however late somebody looks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

import trio
from structlog import get_logger

from harness.bal.errors import CommandConflictError
from harness.bal.happenings import TIME_PASSED, happen
from harness.bal.journal import Entry, Event, Fate, Journal, JournalError, Order, Snapshot
from harness.bal.model.batteries import Batteries
from harness.bal.model.durable import State, decoded, encoded, restored, state_of
from harness.bal.model.values import SourceOrder

SNAPSHOT_EVENTS: Final = 20_000
"""Events after which the state is kept, so that a start need not go through more of them."""
RETRY_S: Final = 0.5
log = get_logger(__name__)


@dataclass(slots=True)
class _Batch:
    events: list[Event] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fates: list[Order] = field(default_factory=list)
    learned: list[tuple[str, str]] = field(default_factory=list)
    state: tuple[int, State] | None = None
    durable: trio.Event = field(default_factory=trio.Event)


class Chronicle:
    """The batteries, and the journal of what happened to them.

    Args:
        journal: open; nobody else writes it.
        batteries: for a journal in which nothing has happened yet.
        commit_s: how long a commit waits for company, real seconds.
        released: told the orders of a commit once it is durable.
        snapshot_events: events after which the state is kept, and old events may be dropped.

    Raises:
        JournalError, BatteryError: what the journal holds cannot be brought back.
    """

    def __init__(
        self,
        journal: Journal,
        batteries: Callable[[], Batteries],
        *,
        commit_s: float,
        released: Callable[[Sequence[Order]], None],
        snapshot_events: int = SNAPSHOT_EVENTS,
    ) -> None:
        self._journal = journal
        self._commit_s = commit_s
        self._released = released
        self._snapshot_events = snapshot_events
        self._commands: dict[str, bytes] = {}
        self._kept = 0
        self.batteries = self._brought_back(batteries)
        self._event, self._order = journal.last()
        self._batch = _Batch()
        self._under_way: _Batch | None = None
        self._filled = trio.Event()
        self.commits = 0

    def knows(self, command: str | None) -> bool:
        """Return whether a command of that name has happened, as far as names are remembered."""
        return command in self._commands

    def happen(
        self, kind: str, details: Mapping[str, Any], at_ms: int, command: str | None = None
    ) -> Sequence[Order]:
        """Let something happen at ``at_ms``, or now if that is settled already.

        A command of a name that is known has happened: nothing more comes of it.

        Raises:
            BatteryError: it cannot be; nothing has changed.
            CommandConflictError: the name is that of another command.
        """
        if command is not None and command in self._commands:
            if self._commands[command] != _digest(kind, details):
                raise CommandConflictError(command)
            return ()
        at_ms = max(at_ms, self.batteries.now_ms)
        self.pass_time(at_ms)
        told = happen(self.batteries, kind, details, at_ms)
        return self._note(at_ms, kind, details, command, told)

    def pass_time(self, at_ms: int) -> None:
        """Let happen what is due by ``at_ms``, each at its own moment."""
        for moment_ms, told in self.batteries.pass_time(max(at_ms, self.batteries.now_ms)):
            self._note(moment_ms, TIME_PASSED, {}, None, told)

    def fate(self, order: Order, fate: Fate, at_ms: int, sent: int | None = None) -> None:
        """Note what became of an order, and what number was sent for it."""
        self._batch.fates.append(replace(order, fate=fate, fate_ms=at_ms, sent=sent))
        self._filled.set()

    def learned(self, source: str, what: str) -> None:
        """Note what a restart need not learn again."""
        self._batch.learned.append((source, what))
        self._filled.set()

    async def leaves(self, order: Order, sent: int) -> None:
        """Note what is about to be sent for an order; return once that is durable."""
        batch = self._batch
        batch.fates.append(replace(order, sent=sent))
        self._filled.set()
        await batch.durable.wait()

    async def durable(self) -> None:
        """Return once all that has happened by now is durable. Cancellation loses nothing."""
        batch = self._batch
        if batch.events:
            await batch.durable.wait()
        elif self._under_way is not None:
            await self._under_way.durable.wait()

    async def run(self) -> None:
        """Commit until cancelled; a disk that is full is waited for. `flush` takes the rest."""
        while True:
            await self._filled.wait()
            await trio.sleep(self._commit_s)
            await self._commit()

    async def flush(self) -> None:
        """Commit what is left. For the end, when nothing happens any more."""
        if self._under_way is not None:
            await self._commit()
        if self._filled.is_set():
            await self._commit()

    def open_orders(self) -> list[Order]:
        """Return the last order of each source whose fate is not known; earlier ones are lost."""
        last: dict[str, Order] = {}
        for order in self._journal.open_orders():
            if order.source in last:
                self.fate(last[order.source], "lost", self.batteries.now_ms)
            last[order.source] = order
        return list(last.values())

    async def _commit(self) -> None:
        if self._under_way is None:
            self._under_way, self._batch = self._batch, _Batch()
            self._filled = trio.Event()
            # Of all that has happened, so it must go with the last of that.
            self._under_way.state = self._state_to_keep()
        batch = self._under_way
        while True:
            try:
                await trio.to_thread.run_sync(self._write, batch)
            except JournalError as error:
                log.warning("commit failed, trying again", error=str(error))
                await trio.sleep(RETRY_S)
            else:
                break
        # From here on nothing waits, so nothing can be cancelled: durable means told.
        self.commits += 1
        self._under_way = None
        self._released(batch.orders)
        batch.durable.set()

    def _write(self, batch: _Batch) -> None:
        """Write a batch; in a thread, because a state takes time to be worded."""
        snapshot = (
            None if batch.state is None else Snapshot(batch.state[0], encoded(batch.state[1]))
        )
        entry = Entry(batch.events, batch.orders, batch.fates, batch.learned, snapshot)
        self._journal.append(entry)

    def _state_to_keep(self) -> tuple[int, State] | None:
        """Return the state, now and then, with the event after which it holds: the last one."""
        if self._event - self._kept < self._snapshot_events:
            return None
        self._kept = self._event
        return self._event, state_of(self.batteries)

    def _note(
        self,
        at_ms: int,
        kind: str,
        details: Mapping[str, Any],
        command: str | None,
        told: Sequence[SourceOrder],
    ) -> Sequence[Order]:
        self._event += 1
        event = Event(self._event, at_ms, kind, details, command)
        self._remember(event)
        orders = [self._ordered(event, one.source, one.current_ma) for one in told]
        self._batch.events.append(event)
        self._batch.orders += orders
        self._filled.set()
        return orders

    def _ordered(self, event: Event, source: str, current_ma: int) -> Order:
        self._order += 1
        return Order(self._order, event.sequence, source, current_ma)

    def _remember(self, event: Event) -> None:
        """Remember what a command was; the oldest that is known may be a new one next time."""
        if event.command is None:
            return
        self._commands[event.command] = _digest(event.kind, event.details)
        if len(self._commands) > self._journal.kept.commands:
            del self._commands[next(iter(self._commands))]

    def _brought_back(self, fresh: Callable[[], Batteries]) -> Batteries:
        kept = self._journal.snapshot()
        if kept is None:
            # What a file says about the begin counts once: the file may be another next time.
            kept = Snapshot(0, encoded(state_of(fresh())))
            self._journal.append(Entry(snapshot=kept))
        self._kept = kept.sequence
        for command in self._journal.commands():
            self._remember(command)
        batteries = restored(decoded(kept.state))
        for event in self._journal.events(kept.sequence):
            happen(batteries, event.kind, event.details, event.at_ms)
        return batteries


def _digest(kind: str, details: Mapping[str, Any]) -> bytes:
    """Return what tells one command from another of the same name."""
    return blake2b(json.dumps([kind, details], sort_keys=True).encode(), digest_size=16).digest()
