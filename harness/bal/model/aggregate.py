"""Several batteries as one: what it can do, and how what it is told is divided.

Theory (TrustDER report, tables III.2.3, III.2.4 and III.2.10, "variable current"). The sources are
to become empty at the same time, so each gives in proportion to the charge it holds, and the one
that is quickest exhausted at its own limit bounds them all: with C-rates I/Q over the charge that
is left, the aggregate's limit is the least C-rate times the sum of charges. For charging the same
holds with the room that is left. A source that can do nothing (empty, full, out of reach, switched
off) is left out, so it holds up nobody. Where all are left out, the limit is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import mul

from harness.bal.model.battery import Battery, leaves
from harness.bal.model.sharing import apportion
from harness.bal.model.values import Kind, Status, Values


def joint_limit(limits_ma: Sequence[int], contents: Sequence[int]) -> int:
    """Return the current at which contents are exhausted together without passing any limit.

    ``contents`` are charges for discharging, rooms for charging; sources without limit or contents
    are left out.
    """
    whole = 0
    least_limit, least_held = 0, 1
    for limit, held in zip(limits_ma, contents, strict=True):
        if limit and held:
            if not whole or limit * least_held < least_limit * held:
                least_limit, least_held = limit, held
            whole += held
    return least_limit * whole // least_held


class Aggregate(Battery):
    """A battery made of others.

    Attributes:
        sources: what it is made of, each once.
        leaves: the physical and networked batteries behind it, each once, even where the
            partitions of one battery meet again here.
        unbalanced: what its sources can do has changed, so the same order is divided anew.
    """

    __slots__ = ("leaves", "sources", "unbalanced")

    kind = Kind.AGGREGATE

    def __init__(self, name: str, sources: Sequence[Battery]) -> None:
        super().__init__(name, level=1 + max(source.level for source in sources))
        self.sources = tuple(sources)
        # What its sources are doing when it is made is not what it is told to do, which is nothing.
        self.unbalanced = True
        self.leaves = leaves(self)

    def below(self) -> Iterable[Battery]:
        """Return the sources."""
        return self.sources

    def ready(self) -> bool:
        """Return whether all sources are."""
        return all(source.ready() for source in self.sources)

    def divide(self, current_ma: int) -> list[tuple[Battery, int]]:
        """Return what each source is to do, so that together they do ``current_ma`` exactly."""
        able = [_ability(source.status().current, current_ma) for source in self.sources]
        parts = apportion(current_ma, able, [source.name for source in self.sources])
        return list(zip(self.sources, parts, strict=True))

    def overloads(self) -> bool:
        """Return whether what a source is told is more than it can do now."""
        return any(
            not within(source.status().current, source.ordered_ma) for source in self.sources
        )

    def _look(self) -> Status:
        looks = [source.status() for source in self.sources]
        # What cannot be reached has no part in the current values, hence none in their moments.
        timed = [look for look in looks if look.online] or looks
        return Status(
            name=self.name,
            kind=self.kind,
            expected=_joined([look.expected for look in looks], nominal=True),
            current=_joined([look.current for look in looks], nominal=False),
            oldest_ms=min(_moments(look.oldest_ms for look in timed), default=None),
            newest_ms=max(_moments(look.newest_ms for look in timed), default=None),
            sources=len(self.leaves),
            sources_online=sum([leaf.online for leaf in self.leaves]),
        )


def _moments(moments: Iterable[int | None]) -> list[int]:
    return [moment for moment in moments if moment is not None]


def within(values: Values, current_ma: int) -> bool:
    """Return whether a battery with these ``values`` can do ``current_ma``."""
    return -values.max_charge_ma <= current_ma <= values.max_discharge_ma


def _ability(values: Values, current_ma: int) -> int:
    """Return the weight of a source in a current of this direction."""
    if current_ma > 0:
        return values.charge_ma_ms if values.max_discharge_ma else 0
    return values.room_ma_ms if values.max_charge_ma else 0


def _joined(values: Sequence[Values], *, nominal: bool) -> Values:
    """Return the sum; ``nominal`` limits are those of sources in balance."""
    capacities = [one.capacity_ma_ms for one in values]
    charges = [one.charge_ma_ms for one in values]
    voltages = [one.voltage_mv for one in values]
    rooms = [max(0, most - held) for most, held in zip(capacities, charges, strict=True)]
    capacity = sum(capacities)
    return Values(
        # The mean weighted by capacity: what cannot be reached has none.
        voltage_mv=sum(map(mul, voltages, capacities)) // capacity if capacity else 0,
        current_ma=sum([one.current_ma for one in values]),
        max_charge_ma=joint_limit(
            [one.max_charge_ma for one in values], capacities if nominal else rooms
        ),
        max_discharge_ma=joint_limit(
            [one.max_discharge_ma for one in values], capacities if nominal else charges
        ),
        charge_ma_ms=sum(charges),
        capacity_ma_ms=capacity,
    )
