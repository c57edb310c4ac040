"""What makes time pass in a topology: set points that start and end, accounts that run out.

Each component (`topology.Component`) has one moment in the agenda, the next at which something in
it changes by itself. At that moment its orders are computed anew, so a change takes effect when it
was due, however late somebody looks. Readings change nothing by themselves as long as limits stay
the same, so they are not followed one by one: what flows is looked at again once a second.
"""

from __future__ import annotations

from typing import Final

from harness.bal.errors import TimeOrderError
from harness.bal.model.agenda import Agenda
from harness.bal.model.battery import Battery, Moment
from harness.bal.model.dispatch import dispatch, is_idle
from harness.bal.model.schedule import Schedule
from harness.bal.model.topology import Component, Topology
from harness.bal.model.values import SourceOrder

LOOK_AGAIN_MS: Final = 1_000
"""After a reading that changes no limit of its source, what flows is looked at this much later."""


class Engine:
    """The topology with its time, set points and the orders that nobody has taken yet.

    Attributes:
        agenda: when components change by themselves, by the name of their first top.
    """

    def __init__(self, now_ms: int) -> None:
        self.moment = Moment(now_ms)
        self.topology = Topology(self.moment)
        self.schedules: dict[str, Schedule] = {}
        self.orders: dict[str, int] = {}
        self.agenda = Agenda()

    @property
    def now_ms(self) -> int:
        """The time up to which everything is settled."""
        return self.moment.now_ms

    def schedule(self, name: str) -> Schedule:
        """Return the schedule of a battery, made when it is first asked for."""
        return self.schedules.setdefault(name, Schedule(name))

    def wanted_ma(self, battery: Battery) -> int:
        """Return what is wanted of a battery now."""
        schedule = self.schedules.get(battery.name)
        return 0 if schedule is None else schedule.wanted_ma(self.now_ms)

    def advance(self, at_ms: int, name: str) -> None:
        """Let all that is planned up to ``at_ms`` happen, each at its own moment.

        Raises:
            TimeOrderError: ``at_ms`` lies before what is settled; it names battery ``name``.
        """
        if at_ms < self.now_ms:
            raise TimeOrderError(
                name,
                f"{at_ms} ms lies before {self.now_ms} ms, which is settled",
                mend="tell things in the order in which they happen",
            )
        moment_ms = self.agenda.next_ms()
        while moment_ms is not None and moment_ms <= at_ms:
            self.moment.now_ms = moment_ms
            for component in self._planned_at(moment_ms):
                self.evaluate(component)
            moment_ms = self.agenda.next_ms()
        self.moment.now_ms = at_ms

    def evaluate(self, component: Component) -> None:
        """Compute the orders of a component as of now, and plan when to do so again."""
        dispatch(component, self.wanted_ma, self.orders)
        changes = [
            self.schedules[top.name].next_change_ms(self.now_ms)
            for top in component.tops
            if top.name in self.schedules
        ]
        for splitter in component.splitters:
            splitter.look()
            changes += [partition.exhausted_ms() for partition in splitter.partitions]
        coming = [change for change in changes if change is not None]
        if coming:
            # This moment is done with; whatever claims it again would never let time pass.
            self.agenda.plan(component.tops[0].name, max(self.now_ms + 1, min(coming)))

    def look_at(self, battery: Battery) -> None:
        """Have the component of a battery evaluated as soon as time is told."""
        self._plan(self.topology.component(battery), self.now_ms)

    def look_after_reading(self, battery: Battery, *, changed: bool) -> None:
        """Have the component of a battery that was read evaluated: now, if its limits changed."""
        component = self.topology.component(battery)
        if not is_idle(component, self.wanted_ma):
            self._plan(component, self.now_ms + (0 if changed else LOOK_AGAIN_MS))

    def next_due_ms(self) -> int | None:
        """Return when there will be something to take or to look at; None when never."""
        return self.now_ms if self.orders else self.agenda.next_ms()

    def take_orders(self) -> list[SourceOrder]:
        """Return the orders that were not taken yet, by name of the source."""
        orders = [SourceOrder(name, self.orders[name]) for name in sorted(self.orders)]
        self.orders.clear()
        return orders

    def _plan(self, component: Component, at_ms: int) -> None:
        self.agenda.plan(component.tops[0].name, at_ms)

    def _planned_at(self, moment_ms: int) -> list[Component]:
        names = [name for name in self.agenda.take(moment_ms) if name in self.topology]
        components = [self.topology.component(self.topology.get(name)) for name in names]
        return list(dict.fromkeys(components))
