"""From what people want to what the sources are told.

Theory. Orders are a function of what is wanted of the tops, of what they can do now, and of the
accounts. What is wanted stands; what cannot be done now is cut to what can, and is done as soon as
it can be. From the top down, an aggregate divides what it is told, a splitter adds up what its
partitions are told, so the orders of the sources add up to what flows at the top, to the
milliampere. An order that is in force already is not given again, and an aggregate whose order
stays the same divides it anew only if a source came, went, or cannot do its part.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.bal.model.aggregate import Aggregate
from harness.bal.model.battery import Battery
from harness.bal.model.partition import Partition
from harness.bal.model.physical import Physical
from harness.bal.model.topology import Component
from harness.bal.model.values import Values


def bounded(current_ma: int, values: Values) -> int:
    """Return what of ``current_ma`` a battery with these ``values`` can do."""
    return max(-values.max_charge_ma, min(current_ma, values.max_discharge_ma))


def refresh_accounts(component: Component) -> None:
    """Drop what was computed of accounts that change."""
    for splitter in component.splitters:
        if splitter.flows():
            splitter.forget()


def dispatch(
    component: Component, wanted_ma: Callable[[Battery], int], orders: dict[str, int]
) -> None:
    """Let a component do what is wanted of its tops; add new orders of sources to ``orders``."""
    refresh_accounts(component)
    told = {top: bounded(wanted_ma(top), top.status().current) for top in component.tops}
    for battery in component.divided:
        if battery.splitter is not None:
            current_ma = battery.splitter.net_ma()
        else:
            current_ma = told.get(battery, battery.ordered_ma)
        _tell(battery, current_ma, told, orders)


def is_idle(component: Component, wanted_ma: Callable[[Battery], int]) -> bool:
    """Return whether nothing flows and nothing is wanted."""
    return not any(top.ordered_ma or wanted_ma(top) for top in component.tops)


def unbalance(battery: Battery, *, sign: int | None = None) -> None:
    """Have the aggregates above divide their orders anew: what ``battery`` can do has changed.

    ``sign`` limits that to orders of one direction, 1 for discharging and -1 for charging.
    """
    # Each once: where partitions meet again, the ways up from one battery are without number.
    seen: set[str] = set()
    waiting = [battery]
    while waiting:
        one = waiting.pop()
        if one.name in seen:
            continue
        seen.add(one.name)
        if one.aggregate is not None:
            if sign is None or one.aggregate.ordered_ma * sign > 0:
                one.aggregate.unbalanced = True
            waiting.append(one.aggregate)
        if one.splitter is not None:
            waiting.extend(one.splitter.partitions)


def _tell(
    battery: Battery, current_ma: int, told: dict[Battery, int], orders: dict[str, int]
) -> None:
    match battery:
        case Physical():
            _order(battery, current_ma, orders)
        case Partition():
            battery.flow(current_ma)
        case Aggregate():
            if current_ma != battery.ordered_ma or battery.unbalanced or battery.overloads():
                _divide(battery, current_ma, told, orders)
        case _:
            raise AssertionError(battery)


def _divide(
    aggregate: Aggregate, current_ma: int, told: dict[Battery, int], orders: dict[str, int]
) -> None:
    aggregate.ordered_ma = current_ma
    aggregate.unbalanced = False
    for source, part in aggregate.divide(current_ma):
        if isinstance(source, Physical):
            _order(source, part, orders)
        else:
            told[source] = part


def _order(source: Physical, current_ma: int, orders: dict[str, int]) -> None:
    # Nobody hears an order while out of reach: what is in force there is settled on return.
    if source.online and (source.unsure or current_ma != source.ordered_ma):
        source.ordered_ma, source.unsure = current_ma, False
        orders[source.name] = current_ma
