"""Concentrators that push: due when the plan says, until nothing is left to say.

Each delivery is a task that lives only while its concentrator has something to push; an idle
concentrator costs one open socket and nothing else. A push that is not confirmed in time, or whose
connection breaks, is pushed again over a new connection, after a seeded, jittered back-off.

A window that closes lets the exchange under way finish and nothing more; an outage breaks the
connection in the middle of it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import trio
from numpy.typing import NDArray
from structlog import get_logger

from emulator.backlog import Backlogs, Batch
from emulator.concentrators import Concentrators
from emulator.delivery_record import Mark
from emulator.dialling import (
    FAILURES,
    Connection,
    CutOffError,
    UnconfirmedError,
    back_off_s,
    cause_of,
)
from emulator.fleet_config import FleetConfig, part_holding
from emulator.links import FleetLinks
from emulator.schedule import Schedule
from emulator.tally import Tally
from emulator.world import World
from netem.draws import mix, stream_key
from protocols.plugin import PushSession

NANOSECONDS: Final = 1_000_000_000
RECOVERY_SPREAD_S: Final = 5.0
"""Real seconds over which concentrators come back after an outage, where their nodes are few."""
RECOVERING_NODES_PER_S: Final = 1_600
"""Nodes that come back in a real second: each waits for a while before it registers."""
ATTENTION_EVERY_S: Final = 0.5
"""Real seconds between two looks at who wants attention."""
log = get_logger(__name__)


Task: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Pusher:
    """One concentrator: its connection, and how often it has tried which push."""

    connection: Connection | None = None
    push: int = 0
    attempt: int = 0
    delivering: bool = False


class Pushers:
    """All pushing concentrators of a shard."""

    def __init__(
        self,
        config: FleetConfig,
        world: World,
        schedule: Schedule,
        concentrators: Concentrators,
        links: FleetLinks,
        tally: Tally,
    ) -> None:
        self._config = config
        self._world = world
        self._schedule = schedule
        self._concentrators = concentrators
        self._links = links
        self._tally = tally
        self._pushes = config.behaviour.mode == "push"
        self._backlogs = Backlogs(world, Mark.ACKNOWLEDGED if config.confirmed else Mark.SENT)
        self._jitter_key = stream_key(config.seed, "back-off")
        self._recovery_key = stream_key(config.seed, "recovery")
        self._enrolment_key = stream_key(config.seed, "enrolment")
        self._first = concentrators.numbers.start
        self._phase_s: NDArray[np.float64] = (
            world.plan.phase_ns(np.array(concentrators.numbers)) / NANOSECONDS
        )
        self._pushers: dict[int, _Pusher] = {}
        self._recovering: set[int] = set()
        self._all_back = trio.Event()
        self._all_back.set()
        self._deliveries: trio.Nursery | None = None

    @property
    def delivering(self) -> int:
        """How many concentrators are delivering now."""
        return sum(pusher.delivering for pusher in self._pushers.values())

    async def run(self) -> None:
        """Start every delivery of the plan when it is due; return once all are through.

        Cancellation: deliveries under way end at once; what was marked is kept.
        """
        try:
            async with trio.open_nursery() as self._deliveries:
                self._enrol(np.flatnonzero(self._concentrators.alive(0)) + self._first)
                await self._follow_plan(self._deliveries)
                # What waits for those who have yet to come back is owed all the same.
                await self._all_back.wait()
        finally:
            self._deliveries = None

    def begin(self, numbers: range) -> None:
        """Start at once those of ``numbers`` whose time in this step has passed.

        The others start with the plan; before the first step, those with nodes register them. Does
        nothing unless `run` is running.
        """
        plan, step = self._world.plan, self._world.step()
        if self._deliveries is None:
            return
        if step < 0:
            self._enrol(np.array(numbers))
            return
        since_s = self._world.clock.now_s() - (plan.first_s + step * plan.step_s)
        for number in numbers:
            if self._phase_s[number - self._first] <= since_s:
                self._deliveries.start_soon(self.deliver, number)

    def _nodes(self, numbers: NDArray[np.int64]) -> int:
        """Return how many meters that are nodes of their own are behind these concentrators."""
        dialects, grid = self._concentrators.dialects, self._world.plan.grid
        return sum(
            len(grid.meters_of(number))
            for number in numbers.tolist()
            if dialects.plugin(number).has_nodes
        )

    def _enrol(self, numbers: NDArray[np.int64]) -> None:
        """Let those of ``numbers`` that have nodes register them, spread up to the first step."""
        assert self._deliveries is not None
        left_s = self._world.clock.monotonic_at(self._world.plan.first_s) - time.monotonic()
        delays_s = mix(self._enrolment_key, numbers) / 2.0**64 * max(0.0, left_s)
        for number, delay_s in zip(numbers.tolist(), delays_s.tolist(), strict=True):
            if self._concentrators.dialects.plugin(number).has_nodes:
                self._deliveries.start_soon(self._deliver_later, number, delay_s)

    async def _deliver_later(self, number: int, delay_s: float) -> None:
        await trio.sleep(delay_s)
        await self.deliver(number)

    async def recover(self, numbers: Iterable[int]) -> None:
        """Start those of ``numbers`` again after an outage, spread over a few real seconds.

        None delivers before its turn, whatever the plan has due. Deliveries belong to `run`.
        Cancellation: no further ones are started.
        """
        hit = np.array(list(numbers), np.int64)
        spread_s = max(RECOVERY_SPREAD_S, self._nodes(hit) / RECOVERING_NODES_PER_S)
        delays_s = mix(self._recovery_key, hit) / 2.0**64 * spread_s
        order = np.argsort(delays_s, kind="stable")
        began = trio.current_time()
        if not len(hit):
            return
        if not self._recovering:
            self._all_back = trio.Event()
        self._recovering.update(hit.tolist())
        try:
            for number, delay_s in zip(hit[order].tolist(), delays_s[order].tolist(), strict=True):
                await trio.sleep_until(began + delay_s)
                self._recovering.discard(number)
                if self._deliveries is None:
                    return
                self._deliveries.start_soon(self.deliver, number)
        finally:
            self._recovering.difference_update(hit.tolist())
            if not self._recovering:
                self._all_back.set()

    async def deliver(self, number: int) -> None:
        """Push what concentrator ``number`` owes, until nothing is left or it is cut off.

        Returns at once when it is delivering already, is unreachable, or has yet to recover.
        Cancellation: a push under way counts as sent, not as acknowledged.
        """
        pusher = self._pushers.setdefault(number, _Pusher())
        if pusher.delivering or number in self._recovering:
            return
        pusher.delivering = True
        try:
            while self._concentrators.reachable(number):
                task = self._next_task(number, pusher)
                if task is None:
                    return
                await self._try(number, pusher, task)
            await self._close(pusher)
        finally:
            pusher.delivering = False

    async def attend(self) -> None:
        """Let concentrators that want attention have it, until cancelled: to register anew."""
        while True:
            await trio.sleep(ATTENTION_EVERY_S)
            if self._deliveries is None:
                continue
            for number, session in self._concentrators.push_sessions().items():
                if (
                    _wants_attention(session)
                    and not self._pushers[number].delivering
                    and number not in self._recovering
                    and self._concentrators.reachable(number)
                ):
                    self._deliveries.start_soon(self.deliver, number)

    def restarted(self, number: int) -> None:
        """Let a concentrator that lost power forget what only its memory held."""
        session = self._concentrators.push_sessions().get(number)
        if session is not None:
            session.restarted()

    def _next_task(self, number: int, pusher: _Pusher) -> Task | None:
        """Return what concentrator ``number`` has to do, if there is anything."""
        if self._pushes:
            step, rows = self._world.step(), self._config.rows_per_push
            batch = self._backlogs.next_batch(number, step, rows)
            if batch is not None:
                return partial(self._push, batch, pusher)
        has_nodes = self._concentrators.dialects.plugin(number).has_nodes
        if has_nodes and _wants_attention(self._concentrators.push_session(number)):
            return partial(self._attend_to, number, pusher)
        return None

    def cut(self, number: int) -> None:
        """Break the connection of a concentrator at once, as an outage does."""
        pusher = self._pushers.get(number)
        if pusher is not None and self._drop(pusher):
            self._tally.count("connections cut")

    async def close(self) -> None:
        """Close every connection."""
        for pusher in self._pushers.values():
            await self._close(pusher)

    async def _follow_plan(self, deliveries: trio.Nursery) -> None:
        plan, clock = self._world.plan, self._world.clock
        order = np.argsort(self._phase_s, kind="stable")
        for step in range(plan.steps):
            opens_s = plan.first_s + step * plan.step_s
            await clock.sleep_until(opens_s)
            await self._close_silent(step)
            due = order[self._concentrators.planned(step)[order]]
            for index in due.tolist():
                due_at = clock.monotonic_at(opens_s + self._phase_s[index])
                # A checkpoint even when late: those who have been answered must get on.
                await trio.sleep(max(0.0, due_at - time.monotonic()))
                self._tally.lagged(time.monotonic() - due_at)
                if self._concentrators.reachable(self._first + index):
                    deliveries.start_soon(self._deliver_due, self._first + index, due_at)
        await clock.sleep_until(plan.first_s + plan.steps * plan.step_s)

    async def _deliver_due(self, number: int, due_at: float) -> None:
        self._tally.lagged(time.monotonic() - due_at)
        await self.deliver(number)

    async def _close_silent(self, step: int) -> None:
        """Close the connections of those that the plan does not have reachable at ``step``."""
        alive = self._concentrators.alive(step)
        for number, pusher in [*self._pushers.items()]:
            if not pusher.delivering and not alive[number - self._first]:
                await self._close(pusher)

    async def _try(self, number: int, pusher: _Pusher, task: Task) -> None:
        """Do ``task``; pause after a failure."""
        try:
            await task()
        except FAILURES as error:
            self._tally.failed(
                "push", self._links.name(number), cause_of(error), self._protocol(number)
            )
            log.debug("push failed", concentrator=number, push=pusher.push, error=str(error))
            self._links.failed(number)
            self._drop(pusher)
            timers, key = self._config.timers, self._jitter_key
            pause_s = back_off_s(timers, key, number, pusher.push, pusher.attempt)
            pusher.attempt += 1
            await trio.sleep(pause_s)
        else:
            pusher.push += 1
            pusher.attempt = 0

    async def _push(self, batch: Batch, pusher: _Pusher) -> None:
        number, began = batch.concentrator, time.monotonic()
        connection = pusher.connection or await self._connect(number, pusher)
        device = self._concentrators[number]
        readings = self._world.read(batch.meters, batch.intervals, device.name)
        connection.session.push(readings, pusher.push, now=trio.current_time())
        # Marked before the first octet leaves: what is stored must have been sent.
        self._backlogs.mark(Mark.SENT, batch)
        octets, confirmed = await connection.exchange(
            pusher.push, pusher.attempt, self._config.timers.confirmation_s
        )
        if self._config.confirmed:
            if pusher.push not in confirmed:
                raise UnconfirmedError("the head-end answered, and did not confirm")
            self._backlogs.mark(Mark.ACKNOWLEDGED, batch)
        # What is pushed ahead of its time, as after an outage, counts from when it was begun.
        latency_s = time.monotonic() - min(began, self._intended(batch))
        self._tally.count("readings pushed", len(batch))
        self._tally.answered(
            "push", self._links.name(number), latency_s, octets, self._protocol(number)
        )

    async def _attend_to(self, number: int, pusher: _Pusher) -> None:
        """Let a concentrator say what it has to say beside its readings."""
        began = time.monotonic()
        connection = pusher.connection or await self._connect(number, pusher)
        connection.session.attend(now=trio.current_time())
        octets, _ = await connection.exchange(
            pusher.push, pusher.attempt, self._config.timers.confirmation_s
        )
        latency_s = time.monotonic() - began
        self._tally.answered(
            "registration", self._links.name(number), latency_s, octets, self._protocol(number)
        )

    def _intended(self, batch: Batch) -> float:
        """Return CLOCK_MONOTONIC at which the oldest of these readings was due."""
        plan, number = self._world.plan, batch.concentrator
        step = self._schedule.first_due(number, batch.meters, batch.intervals)
        due_s = plan.first_s + step * plan.step_s + float(self._phase_s[number - self._first])
        return self._world.clock.monotonic_at(due_s)

    async def _connect(self, number: int, pusher: _Pusher) -> Connection:
        shards = len(self._config.head_ends)
        total = self._world.plan.grid.concentrators
        head_end = self._config.head_ends[part_holding(total, shards, number)]
        protocol = self._concentrators.dialects.name(number)
        stream = await self._links.connect(number, head_end, protocol, pusher.push, pusher.attempt)
        if not self._concentrators.reachable(number):
            stream.reset()
            raise CutOffError("cut off while dialling")
        session = self._concentrators.push_session(number)
        session.connected(now=trio.current_time())
        pusher.connection = Connection(stream, session, self._tally)
        self._tally.count("connections opened")
        return pusher.connection

    def _protocol(self, number: int) -> str:
        return self._concentrators.dialects.name(number)

    def _drop(self, pusher: _Pusher) -> bool:
        """Break the connection, if there is one; return whether there was."""
        connection, pusher.connection = pusher.connection, None
        if connection is None:
            return False
        connection.stream.reset()
        self._tally.count("connections closed")
        return True

    async def _close(self, pusher: _Pusher) -> None:
        connection, pusher.connection = pusher.connection, None
        if connection is not None:
            self._tally.count("connections closed")
            await connection.stream.aclose()


def _wants_attention(session: PushSession) -> bool:
    return session.attention_at is not None and session.attention_at <= trio.current_time()
