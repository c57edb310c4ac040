"""A battery layer at work: what people ask, what batteries say, what they are told.

Theory of operation. One task talks to one battery (`Keeper`); everything that happens goes through
the `Chronicle`, in one place and without waiting, so a snapshot never mixes two moments. Questions
wait until the readings they rest on are fresh enough, commands until they are durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import trio
from structlog import get_logger

from emulator.clock import ScenarioClock
from harness.bal import happenings
from harness.bal.chronicle import Chronicle
from harness.bal.config import BalConfig
from harness.bal.drivers import DRIVERS, Memory
from harness.bal.errors import BatteryError, ValueRangeError
from harness.bal.happenings import reading_details
from harness.bal.interface import endpoint_of
from harness.bal.journal import Fate, Journal, Kept, Order
from harness.bal.keeper import Keeper
from harness.bal.model.batteries import Batteries
from harness.bal.model.physical import Physical
from harness.bal.model.refresh import Refresher, RefreshRules
from harness.bal.model.values import FlowRecord, Kind, Reading, Status
from harness.bal.topology_file import load_topology

RETRY_S: Final = 5.0
"""Real seconds between attempts to find a battery that was lost."""
STEP_S: Final = 0.05
"""Real seconds between looks at what time itself brings about."""
log = get_logger(__name__)


class BatteryLayer:
    """One battery layer; `run` lets it live.

    Args:
        config: what it is to do.
        clock: the scenario clock, which may start later.

    Attributes:
        counts: what was accepted, refused, read, lost and ordered so far.
        keepers: by battery that has an endpoint.

    Raises:
        JournalError, BatteryError, ScenarioError: journal or topology cannot be used.
    """

    def __init__(self, config: BalConfig, clock: ScenarioClock) -> None:
        self.config = config
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._journal = Journal(config.journal, Kept(config.journal_events))
        self._sent = self._journal.last_sent()
        self._learned = self._journal.learned()
        self.chronicle = Chronicle(
            self._journal,
            lambda: Batteries() if config.topology is None else load_topology(config.topology),
            commit_s=config.group_commit_s,
            released=self._release,
        )
        rules = RefreshRules(config.refresh.mode, config.refresh.max_staleness_ms)
        self._refresher = Refresher(rules)
        self._limit = trio.CapacityLimiter(config.concurrency)
        self.keepers: dict[str, Keeper] = {}
        self._kept: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def batteries(self) -> Batteries:
        """The batteries, to be asked; they are changed through `command` only."""
        return self.chronicle.batteries

    def now_ms(self) -> int:
        """Return the scenario time, POSIX milliseconds; never before what is settled."""
        return max(int(self._clock.now_s() * 1_000), self.batteries.now_ms)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled; then what has happened is made durable, and the journal closed."""
        try:
            async with trio.open_nursery() as self._nursery:
                for name in self.batteries.sources():
                    self._keep(name)
                for order in self.chronicle.open_orders():
                    self._deliver(order, verify=True)
                self._nursery.start_soon(self.chronicle.run)
                self._nursery.start_soon(self._follow_time)
                task_status.started()
        finally:
            with trio.CancelScope(shield=True):
                await self.chronicle.flush()
            self._journal.close()

    # What people ask

    async def status(self, name: str, *, anew: bool = False, of_node: bool = False) -> Status:
        """Return a snapshot that rests on readings no older than the rules allow.

        ``anew``: on readings that are asked for now. ``of_node``: another node asks, see
        `_freshen`. What cannot be read in time counts as out of reach. Raises `BatteryError`.
        """
        await self._freshen(self.batteries.sources(name), anew=anew, of_node=of_node)
        self.chronicle.pass_time(self.now_ms())
        return self.batteries.status(name)

    async def command(
        self,
        kind: str,
        details: Mapping[str, Any],
        command: str | None = None,
        *,
        of_node: bool = False,
    ) -> None:
        """Let somebody's command, or that ``of_node``, happen; return once it is durable.

        Raises:
            BatteryError: it cannot be; nothing has changed.
            CommandConflictError: the name of the command is taken.

        Cancellation: it may have happened.
        """
        fresh = not self.chronicle.knows(command)  # else it needs no battery, which may be gone
        if fresh and kind in (happenings.SET_CURRENT, happenings.SCHEDULE):
            await self._freshen(self.batteries.sources(details["name"]), of_node=of_node)
        elif fresh and kind == happenings.REMOVE:
            await self._stop(details["name"])
        await self._accept(kind, details, self.now_ms(), command)

    async def _stop(self, name: str) -> None:
        """Have a source that is about to be removed do nothing: once it is, nobody can tell it."""
        battery = self.batteries.battery(name)
        if isinstance(battery, Physical) and battery.is_top and battery.ordered_ma:
            stop = {"name": name, "current_ma": 0}
            await self._accept(happenings.SET_CURRENT, stop, self.now_ms(), None)
            if name in self.keepers:
                with trio.move_on_after(self.config.timeout_s):
                    await self.keepers[name].rest()

    async def hold(
        self, name: str, current_ma: int, start_ms: int, end_ms: int, command: str
    ) -> None:
        """Schedule a current for a node; a window that has begun counts from now on."""
        await self._freshen(self.batteries.sources(name), of_node=True)
        at_ms = self.now_ms()
        window = {"start_ms": max(start_ms, at_ms), "end_ms": end_ms}
        details = {"name": name, "current_ma": current_ma, **window}
        await self._accept(happenings.SCHEDULE, details, at_ms, command)

    async def _accept(
        self, kind: str, details: Mapping[str, Any], at_ms: int, command: str | None
    ) -> None:
        try:
            self.chronicle.happen(kind, details, at_ms, command)
        except BatteryError as error:
            self.counts[f"refused: {type(error).__name__}"] += 1
            raise
        self.counts[f"accepted: {kind}"] += 1
        self._follow_topology()
        await self.chronicle.durable()

    async def flows(self, from_ms: int, to_ms: int | None = None) -> list[FlowRecord]:
        """Return the virtual meters' records of an interval, once all of it is durable.

        ``to_ms`` is now if None; what will flow is not known yet, so it is never later than that.
        """
        now_ms = self.now_ms()
        self.chronicle.pass_time(now_ms)
        records = self.batteries.flows(from_ms, now_ms if to_ms is None else min(now_ms, to_ms))
        await self.chronicle.durable()
        return records

    # What keepers tell

    def was_read(self, name: str, reading: Reading) -> None:
        """Take a reading."""
        self.counts["readings"] += 1
        at_ms = max(self.now_ms(), reading.newest_ms)
        self._refresher.arrived(name, reading.oldest_ms, at_ms)
        try:
            self.chronicle.happen(happenings.READ, reading_details(name, reading), at_ms)
        except BatteryError as error:
            self.counts["readings refused"] += 1
            log.warning("a reading that cannot be", error=str(error))
            if isinstance(error, ValueRangeError):
                # Nothing is known of it now, and what it said before does not hold any more.
                self.was_lost(name, "nonsense")

    def was_learned(self, name: str, what: str) -> None:
        """Keep what was learned of a battery for a restart."""
        self.chronicle.learned(name, what)

    def was_lost(self, name: str, cause: str) -> None:
        """Take note that a battery cannot be reached."""
        self.counts[f"lost: {cause}"] += 1
        self._refresher.failed(name, self.now_ms())
        battery = self.batteries.battery(name)
        if isinstance(battery, Physical) and (battery.online or not battery.unsure):
            self.chronicle.happen(happenings.LOST, {"name": name}, self.now_ms())

    async def order_leaves(self, order: Order, number: int) -> None:
        """Make durable what is about to be sent for an order."""
        await self.chronicle.leaves(order, number)

    def order_ended(self, order: Order, fate: Fate, sent: int | None = None) -> None:
        """Take note of what became of an order."""
        self.counts[f"orders {fate}"] += 1
        self.chronicle.fate(order, fate, self.now_ms(), sent)

    # What time brings about

    async def _follow_time(self) -> None:
        while True:
            await trio.sleep(STEP_S)
            at_ms = self.now_ms()
            self.chronicle.pass_time(at_ms)
            for name in self._refresher.due(at_ms):
                self._ask(name)

    def _follow_topology(self) -> None:
        """Keep the batteries that there are, and no others."""
        there = set(self.batteries.sources())
        for name in self.keepers.keys() - there:
            del self.keepers[name]
            self._refresher.remove(name)
            self._kept.pop(name).cancel()
        for name in there - self.keepers.keys():
            self._keep(name)

    def _keep(self, name: str) -> None:
        battery = self.batteries.battery(name)
        assert isinstance(battery, Physical), "only what is read has a keeper"
        endpoint = self.config.endpoints.get(name)
        endpoint = endpoint or endpoint_of(battery.interface, self.config.tls)
        if endpoint is None or self._nursery is None:
            return
        keeper = Keeper(
            name,
            battery.nameplate,
            endpoint,
            self,
            self.now_ms,
            timeout_s=self.config.timeout_s,
            retry_s=RETRY_S,
            limit=self._limit,
            makers=DRIVERS,
            memory=Memory.of(self._learned.get(name), self._sent.get(name)),
        )
        self.keepers[name] = keeper
        self._refresher.add(name, self.now_ms())
        self._kept[name] = trio.CancelScope()
        self._nursery.start_soon(self._run, keeper, self._kept[name])

    async def _run(self, keeper: Keeper, kept: trio.CancelScope) -> None:
        with kept:
            await keeper.run()

    async def _freshen(
        self, sources: Iterable[str], *, anew: bool = False, of_node: bool = False
    ) -> None:
        """Wait until sources are read anew, as far as they must be and can be.

        For another node, batteries of other nodes are always read anew: what they said before may
        hold what that node said itself. Where one is being asked already, that node may be whom it
        waits for, so it is not waited for long.
        """
        kept = [name for name in sources if name in self.keepers]
        wanted = kept if anew else self._refresher.stale(kept, self.now_ms())
        if of_node:
            others = [name for name in kept if self._is_networked(name)]
            await self._break_circles(others)
            wanted = list(dict.fromkeys([*wanted, *others]))
        for seen in [self._ask(name) for name in wanted if name in self.keepers]:
            if not seen.is_set():
                await seen.wait()

    async def _break_circles(self, names: Iterable[str]) -> None:
        """Wait for the readings of other nodes' batteries that are under way, but not for long."""
        deadline = trio.current_time() + self.config.circle_s
        under_way = [(self.keepers[name], self.keepers[name].under_way) for name in names]
        for keeper, seen in under_way:
            if seen is None:
                continue
            with trio.move_on_at(deadline) as timer:
                await seen.wait()
            if timer.cancelled_caught and keeper.under_way is seen:
                keeper.cut()
                await seen.wait()

    def _is_networked(self, name: str) -> bool:
        return self.batteries.battery(name).kind is Kind.NETWORKED

    def _ask(self, name: str) -> trio.Event:
        self._refresher.started(name)
        return self.keepers[name].read()

    def _release(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self._deliver(order, verify=False)

    def _deliver(self, order: Order, *, verify: bool) -> None:
        keeper = self.keepers.get(order.source)
        if keeper is None:
            self.order_ended(order, "lost")
        else:
            keeper.order(order, verify=verify)
