"""Concentrators that push: due when the plan says, until nothing is left to say.

Each delivery is a task that lives only while its concentrator has something to push; an idle
concentrator costs one open socket and nothing else. A push that is not confirmed in time, or whose
connection breaks, is pushed again over a new connection, after a seeded, jittered back-off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import trio
from structlog import get_logger

from emulator.backlog import Backlogs, Batch
from emulator.concentrators import Concentrators
from emulator.delivery_record import Mark
from emulator.device import World
from emulator.fleet_config import FleetConfig, part_holding
from emulator.links import FleetLinks
from emulator.schedule import Schedule
from emulator.tally import Tally
from netem.draws import mix_one, stream_key
from netem.shaper import ShapedStream
from protocols.errors import ProtocolError
from protocols.plugin import PushSession

RECEIVE_SIZE: Final = 16_384
NANOSECONDS: Final = 1_000_000_000
FAILURES: Final = (
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    OSError,
    ProtocolError,
)
log = get_logger(__name__)


class HeadEndClosedError(trio.BrokenResourceError):
    """The head-end closed the connection before it confirmed a push."""


@dataclass(slots=True)
class _Connection:
    stream: ShapedStream
    session: PushSession


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
        done = Mark.ACKNOWLEDGED if config.confirmed else Mark.SENT
        self._backlogs = Backlogs(world.plan, world.record, done)
        self._jitter_key = stream_key(config.seed, "back-off")
        self._connections: dict[int, _Connection] = {}
        self._numbers: dict[int, int] = {}
        self._delivering: set[int] = set()

    @property
    def delivering(self) -> int:
        """How many concentrators are delivering now."""
        return len(self._delivering)

    async def run(self, nursery: trio.Nursery) -> None:
        """Start every delivery of the plan when it is due, in ``nursery``; return after the last.

        Cancellation: nothing further is started; deliveries under way belong to ``nursery``.
        """
        plan = self._world.plan
        numbers = np.array(self._concentrators.numbers)
        phase_ns = plan.phase_ns(numbers)
        order = np.argsort(phase_ns, kind="stable")
        timetable = list(
            zip(numbers[order].tolist(), (phase_ns[order] / NANOSECONDS).tolist(), strict=True)
        )
        for step in range(plan.steps):
            opens_s = plan.first_s + step * plan.step_s
            await self._world.clock.sleep_until(opens_s)
            await self._close_unreachable(step)
            for number, phase_s in timetable:
                await self._wait_until(opens_s + phase_s)
                nursery.start_soon(self.deliver, number)
        await self._world.clock.sleep_until(plan.first_s + plan.steps * plan.step_s)

    async def deliver(self, number: int) -> None:
        """Push what concentrator ``number`` owes, until nothing is left or it is cut off.

        Returns at once when it is delivering already, is not yet begun, or is unreachable.
        Cancellation: a push under way counts as sent, not as acknowledged.
        """
        if number in self._delivering:
            return
        self._delivering.add(number)
        attempt = 0
        try:
            while self._concentrators.reachable(number):
                batch = self._backlogs.next_batch(
                    number, self._world.step(), self._config.rows_per_push
                )
                if batch is None:
                    return
                attempt = await self._try(batch, attempt)
        finally:
            self._delivering.discard(number)

    def cut(self, number: int) -> None:
        """Break the connection of a concentrator at once, as an outage does."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.stream.reset()
            self._tally.count("connections cut")

    async def close(self) -> None:
        """Close every connection."""
        for number in list(self._connections):
            await self._close(number)

    async def _wait_until(self, scenario_s: float) -> None:
        due = self._world.clock.monotonic_at(scenario_s)
        if due > time.monotonic():
            await trio.sleep(due - time.monotonic())
        self._tally.lagged(time.monotonic() - due)

    async def _try(self, batch: Batch, attempt: int) -> int:
        """Push ``batch``; return 0 when it is done, or the next attempt after a pause."""
        number = batch.concentrator
        try:
            await self._push(batch, attempt)
        except FAILURES as error:
            self._tally.failed("push", self._links.name(number), _cause(error))
            log.debug("push failed", concentrator=number, attempt=attempt, error=str(error))
            self.cut(number)
            await trio.sleep(self._back_off_s(number, attempt))
            return attempt + 1
        return 0

    async def _push(self, batch: Batch, attempt: int) -> None:
        number = batch.concentrator
        intended = self._intended(batch)
        sequence = self._numbers.get(number, 0)
        connection = await self._connection(number, sequence, attempt)
        device = self._concentrators[number]
        readings = self._world.read(batch.meters, batch.intervals, device.name)
        octets = connection.session.push(readings, sequence)
        connection.stream.begin_exchange(sequence, attempt)
        # Marked before the first octet leaves: what is stored must have been sent.
        self._backlogs.mark(Mark.SENT, batch)
        with trio.fail_after(self._config.timers.confirmation_s):
            await connection.stream.send_all(octets)
            if self._config.confirmed:
                await _confirmation(connection, sequence)
                self._backlogs.mark(Mark.ACKNOWLEDGED, batch)
        self._numbers[number] = sequence + 1
        latency_s = time.monotonic() - intended
        self._tally.count("readings pushed", len(batch))
        self._tally.answered("push", self._links.name(number), latency_s, len(octets))

    def _intended(self, batch: Batch) -> float:
        """Return CLOCK_MONOTONIC at which the oldest of these readings was due."""
        plan = self._world.plan
        step = int(self._schedule.delivery_step(batch.meters, batch.intervals).min())
        phase_ns = int(plan.phase_ns(np.array([batch.concentrator]))[0])
        due_s = plan.first_s + step * plan.step_s + phase_ns / NANOSECONDS
        return self._world.clock.monotonic_at(due_s)

    async def _connection(self, number: int, sequence: int, attempt: int) -> _Connection:
        known = self._connections.get(number)
        if known is not None:
            return known
        shards = len(self._config.head_ends)
        total = self._world.plan.grid.concentrators
        head_end = self._config.head_ends[part_holding(total, shards, number)]
        stream = await self._links.connect(number, head_end, sequence, attempt)
        connection = _Connection(stream, self._concentrators.push_session(number))
        self._connections[number] = connection
        self._tally.count("connections opened")
        return connection

    async def _close_unreachable(self, step: int) -> None:
        for number in [*self._connections]:
            idle = number not in self._delivering
            if idle and not self._concentrators.planned(number, step):
                await self._close(number)

    async def _close(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            await connection.stream.aclose()

    def _back_off_s(self, number: int, attempt: int) -> float:
        timers = self._config.timers
        longest_s = min(timers.back_off_max_s, timers.back_off_min_s * 2 ** min(attempt, 16))
        counter = number * 65_536 + self._numbers.get(number, 0) % 256 * 256 + min(attempt, 255)
        share = mix_one(self._jitter_key, counter) / 2**64
        return float(longest_s * (0.5 + share / 2))


async def _confirmation(connection: _Connection, number: int) -> None:
    while True:
        data = await connection.stream.receive_some(RECEIVE_SIZE)
        if not data:
            raise HeadEndClosedError("the head-end closed before it confirmed")
        if number in connection.session.receive_data(bytes(data)):
            return


def _cause(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, trio.TooSlowError):
        return "no confirmation in time"
    if isinstance(error, TimeoutError):
        return "no connection over the link"
    if isinstance(error, HeadEndClosedError):
        return "closed by the head-end"
    if isinstance(error, ProtocolError):
        return f"protocol: {type(error).__name__}"
    return "connection broken"
