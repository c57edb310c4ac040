"""All batteries of one node: made and removed, read and commanded, by name.

Theory of operation. The service tells what happens (a reading, a loss, a command) with its time,
and takes away orders for the sources. Time only moves forward, and everything that happens by
itself on the way (a scheduled set point, an account that becomes empty or full) happens at its own
moment, however late somebody looks. After readings and losses the service calls `due`, at once or
when `next_due_ms` says, and carries out what comes back.

A refused request raises a `BatteryError` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.bal.errors import CurrentOutOfRangeError, TimeOrderError, TopologyError
from harness.bal.model.accounting import ClosedAccount
from harness.bal.model.aggregate import within
from harness.bal.model.battery import Battery, leaves
from harness.bal.model.dispatch import refresh_accounts, unbalance
from harness.bal.model.engine import Engine
from harness.bal.model.location import ConnectionGrid, Location
from harness.bal.model.networked import Networked
from harness.bal.model.partition import Partition, Splitter
from harness.bal.model.physical import Physical
from harness.bal.model.schedule import Window
from harness.bal.model.values import (
    FlowRecord,
    Kind,
    Nameplate,
    Policy,
    Reading,
    Share,
    SourceOrder,
    Status,
    Values,
)

CLOSED_MAX: Final = 1_000
"""Accounts of removed partitions that are kept; older ones are forgotten."""


class Batteries:
    """The topology of batteries of one node, and all that is wanted of them.

    Attributes:
        grid: the connection points, for `location`.
        engine: what makes time pass; for `durable` and tests.
        closed_accounts: those of partitions that were removed.
    """

    def __init__(self, grid: ConnectionGrid | None = None, now_ms: int = 0) -> None:
        self.grid = ConnectionGrid() if grid is None else grid
        self.engine = Engine(now_ms)
        self._unopened: list[Splitter] = []
        self.closed_accounts: list[ClosedAccount] = []

    # Making and removing

    def make_battery(
        self,
        name: str,
        kind: Kind,
        interface: str,
        nameplate: Nameplate,
        point: str | None = None,
    ) -> None:
        """Make a physical or networked battery; it is offline until its first reading.

        Raises:
            BatteryNameError, NameTakenError: this cannot be its name.
            ValueRangeError: no battery has this nameplate.
            TopologyError: ``kind`` is made of others.
        """
        if kind not in (Kind.PHYSICAL, Kind.NETWORKED):
            raise TopologyError(
                name, f"{kind.value} is made of others", mend="make an aggregate or a splitter"
            )
        made = Physical if kind is Kind.PHYSICAL else Networked
        self.engine.topology.add(made(name, interface, nameplate, point))

    def make_aggregator(self, name: str, sources: Iterable[str]) -> None:
        """Make one battery of several; what the sources were told to do alone ends.

        Raises:
            UnknownBatteryError, BatteryInUseError: a source is not there or not free.
            CyclicTopologyError, TopologyError: it cannot be made of these.
            BatteryNameError, NameTakenError: this cannot be its name.
        """
        aggregate = self.engine.topology.join(name, sources)
        for source in aggregate.sources:
            self.engine.schedules.pop(source.name, None)
        self.engine.look_at(aggregate)

    def make_splitter(
        self, shares: Iterable[Share], source: str, policy: Policy = Policy.PROPORTIONAL
    ) -> None:
        """Divide a battery into partitions, named from the top down; its own set points end.

        Shares are of what is expected of the source; what they leave is the rest's, which nobody
        commands. Accounts open with the source's first complete reading.

        Raises:
            UnknownBatteryError, BatteryInUseError: the source is not there or not free.
            CyclicTopologyError, TopologyError, SharesError: it cannot be divided so.
            BatteryNameError, NameTakenError: a partition cannot have its name.
        """
        splitter = self.engine.topology.split(source, policy, shares)
        self.engine.schedules.pop(source, None)
        self._unopened.append(splitter)
        self._open_accounts()
        self.engine.look_at(splitter.source)

    def remove(self, name: str, at_ms: int) -> list[SourceOrder]:
        """Remove a battery nobody else is made of, after stopping it; return the orders for that.

        The charge of a removed partition is the rest's; its records stay.

        Raises:
            UnknownBatteryError, BatteryInUseError: it is not there, or others are made of it.
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        battery = self.engine.topology.top(name)
        self.engine.advance(at_ms, name)
        self.engine.schedules.pop(name, None)
        self.engine.evaluate(self.engine.topology.component(battery))
        below = list(battery.below())
        if isinstance(battery, Partition):
            self._keep_records(battery)
        self.engine.topology.remove(battery)
        for source in below:
            self.engine.look_at(source)
        self._unopened = [one for one in self._unopened if one.partitions]
        return self.engine.take_orders()

    # Asking

    @property
    def now_ms(self) -> int:
        """The time up to which everything is settled."""
        return self.engine.now_ms

    def names(self) -> list[str]:
        """Return the names of all batteries in the order in which they were made."""
        return [battery.name for battery in self.engine.topology]

    def tops(self) -> list[str]:
        """Return the names of the batteries that no other is made of: those that are commanded."""
        return [battery.name for battery in self.engine.topology if battery.is_top]

    def sources(self, name: str | None = None) -> list[str]:
        """Return the physical and networked batteries behind ``name``, or all of them, by name."""
        if name is None:
            return sorted(one.name for one in self.engine.topology if isinstance(one, Physical))
        return [leaf.name for leaf in leaves(self.engine.topology.get(name))]

    def battery(self, name: str) -> Battery:
        """Return the battery of a name, to be looked at, not to be changed."""
        return self.engine.topology.get(name)

    def status(self, name: str) -> Status:
        """Return one atomic snapshot of a battery, as of the last readings of what is behind it.

        Raises:
            UnknownBatteryError: there is none of that name.
        """
        return self.engine.topology.get(name).full_status()

    def location(self, name: str) -> Location | None:
        """Return where a battery is connected, or the centre of what it is made of.

        Raises:
            UnknownBatteryError, LocationError: it is not there, or its points are not in the grid.
        """
        points = [leaf.point for leaf in leaves(self.engine.topology.get(name))]
        return self.grid.locate(name, points)

    def flows(self, from_ms: int, to_ms: int) -> list[FlowRecord]:
        """Return the virtual meters' records of ``[from_ms, to_ms)``, removed partitions included.

        The rest of a splitter has the name `partition.REST`; it never flows. All records of one
        source together say what was ordered of it.
        """
        accounts = [(one.name, one.source, one.account) for one in self.closed_accounts]
        for splitter in self._splitters():
            source = splitter.source.name
            accounts += [
                (one.name, source, one.account) for one in splitter.holdings if one.account
            ]
        return [account.record(name, source, from_ms, to_ms) for name, source, account in accounts]

    # Commanding

    def set_current(self, name: str, current_ma: int, at_ms: int) -> list[SourceOrder]:
        """Let a battery do ``current_ma`` until further notice; return what sources are to be told.

        Positive discharges. A scheduled window that is running ends; later ones keep their turn.

        Raises:
            UnknownBatteryError, BatteryInUseError: it is not there, or is part of another.
            CurrentOutOfRangeError: it cannot do that now.
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        battery = self.engine.topology.top(name)
        self.engine.advance(at_ms, name)
        component = self.engine.topology.component(battery)
        refresh_accounts(component)
        self._check_current(battery, current_ma, battery.status().current)
        self.engine.schedule(name).stand(current_ma, at_ms)
        self.engine.evaluate(component)
        return self.engine.take_orders()

    def set_charge(self, name: str, current_ma: int, at_ms: int) -> list[SourceOrder]:
        """Charge a battery with ``current_ma``, a magnitude; see `set_current`."""
        return self.set_current(name, -self._magnitude(name, current_ma), at_ms)

    def set_discharge(self, name: str, current_ma: int, at_ms: int) -> list[SourceOrder]:
        """Discharge a battery with ``current_ma``, a magnitude; see `set_current`."""
        return self.set_current(name, self._magnitude(name, current_ma), at_ms)

    def schedule(
        self, name: str, current_ma: int, start_ms: int, end_ms: int, at_ms: int
    ) -> list[SourceOrder]:
        """Schedule a set point for ``[start_ms, end_ms)``; the later event wins in its window.

        Bounds are those expected of the battery, because what it can do then is not known now;
        when the time comes, what it cannot do is cut to what it can.

        Raises:
            UnknownBatteryError, BatteryInUseError: it is not there, or is part of another.
            CurrentOutOfRangeError: it can never do that.
            ScheduleError: the window lies in the past, is empty, or there are too many.
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        battery = self.engine.topology.top(name)
        self.engine.advance(at_ms, name)
        self._check_current(battery, current_ma, battery.status().expected)
        self.engine.schedule(name).add(Window(start_ms, end_ms, current_ma), at_ms)
        self.engine.evaluate(self.engine.topology.component(battery))
        return self.engine.take_orders()

    # What happens

    def source_read(self, name: str, reading: Reading, at_ms: int) -> None:
        """Take a reading of a physical or networked battery; what follows comes out of `due`.

        Raises:
            UnknownBatteryError, NotASourceError: no reading can come from that.
            ValueRangeError: the reading says what no battery can be.
            TimeOrderError: the reading or ``at_ms`` is of a wrong time.
        """
        source = self.engine.topology.source(name)
        if reading.newest_ms > at_ms:
            raise TimeOrderError(
                name,
                f"a reading of {reading.newest_ms} ms came at {at_ms} ms",
                mend="let clocks agree, or stamp readings on arrival",
            )
        self.engine.advance(at_ms, name)
        before, unsure = source.current(), source.unsure
        source.read(reading)
        self._open_accounts()
        now = source.current()
        for sign, was_ma, is_ma in zip((-1, 1), _limits(before), _limits(now), strict=True):
            if (was_ma > 0) is not (is_ma > 0):
                unbalance(source, sign=sign)
        if unsure:
            unbalance(source)
            self.engine.look_at(source)
        else:
            self.engine.look_after_reading(source, changed=_limits(now) != _limits(before))

    def source_lost(self, name: str, at_ms: int) -> None:
        """Note that a physical or networked battery is out of reach; what follows is `due`.

        It counts for nothing now, and what is expected of it stays. Its last order may not be in
        force when it returns, so it is given anew then.

        Raises:
            UnknownBatteryError, NotASourceError: that cannot be lost.
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        source = self.engine.topology.source(name)
        self.engine.advance(at_ms, name)
        source.lost()
        self.engine.orders.pop(name, None)
        unbalance(source)
        self.engine.look_at(source)

    def reissue(self, at_ms: int) -> None:
        """Have every source that is told something, or nothing, told it again: see `due`.

        For a service that starts again and does not know whether its last orders arrived.

        Raises:
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        self.engine.advance(at_ms, "")
        for name in self.sources():
            source = self.engine.topology.source(name)
            source.unsure = True
            unbalance(source)
            self.engine.look_at(source)

    def due(self, at_ms: int) -> list[SourceOrder]:
        """Return the orders that follow from all that has happened up to ``at_ms``.

        Raises:
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        self.engine.advance(at_ms, "")
        return self.engine.take_orders()

    def pass_time(self, at_ms: int) -> list[tuple[int, list[SourceOrder]]]:
        """Let all that is planned up to ``at_ms`` happen; return its orders, each with its moment.

        Raises:
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        passed = []
        while (due_ms := self.next_due_ms()) is not None and due_ms <= at_ms:
            if orders := self.due(due_ms):
                passed.append((due_ms, orders))
        self.due(at_ms)
        return passed

    def next_due_ms(self) -> int | None:
        """Return when `due` is to be called next; None while nothing is to come."""
        return self.engine.next_due_ms()

    def settle(self, source: str, at_ms: int) -> None:
        """Take the source's measured charge into the accounts of its partitions, by their policy.

        Losses and the tolerance of meters make accounts and charge drift apart; this books the
        difference as an adjustment. Nothing happens while a part of the source is out of reach.
        Partitions of partitions are settled each for itself, those nearer to the sources first.

        Raises:
            UnknownBatteryError: there is none of that name.
            TimeOrderError: ``at_ms`` lies before what is settled.
        """
        battery = self.engine.topology.get(source)
        self.engine.advance(at_ms, source)
        if battery.splitter is not None and battery.status().complete:
            battery.splitter.settle(at_ms)
            self.engine.look_at(battery)

    def forget(self, before_ms: int) -> None:
        """Drop records of flows before ``before_ms``; later intervals stay exact.

        What is still needed to hold accounts against the last readings stays.
        """
        for splitter in self._splitters():
            newest_ms = splitter.source.status().newest_ms
            for holding in splitter.holdings:
                if holding.account is not None and newest_ms is not None:
                    holding.account.forget(min(before_ms, newest_ms))
        self.closed_accounts = [one for one in self.closed_accounts if one.closed_ms >= before_ms]

    def _splitters(self) -> list[Splitter]:
        return [one.splitter for one in self.engine.topology if one.splitter is not None]

    def _check_current(self, battery: Battery, current_ma: int, values: Values) -> None:
        # To stop is always possible, whatever is out of reach.
        if current_ma and not within(values, current_ma):
            raise _out_of_range(battery.name, current_ma, values)

    def _magnitude(self, name: str, current_ma: int) -> int:
        if current_ma < 0:
            raise _out_of_range(name, current_ma, self.status(name).current)
        return current_ma

    def _open_accounts(self) -> None:
        """Open the accounts of the splitters whose sources are all known, from the bottom up."""
        for splitter in sorted(self._unopened, key=lambda one: one.source.level):
            if splitter.source.ready():
                splitter.open()
                self._unopened.remove(splitter)

    def _keep_records(self, partition: Partition) -> None:
        account = partition.holding.account
        if account is not None:
            source = partition.divider.source.name
            self.closed_accounts.append(ClosedAccount(partition.name, source, self.now_ms, account))
            del self.closed_accounts[:-CLOSED_MAX]


def _limits(values: Values) -> tuple[int, int]:
    return values.max_charge_ma, values.max_discharge_ma


def _out_of_range(name: str, current_ma: int, values: Values) -> CurrentOutOfRangeError:
    return CurrentOutOfRangeError(name, current_ma, values.max_charge_ma, values.max_discharge_ma)
