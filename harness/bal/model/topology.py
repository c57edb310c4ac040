"""The graph of batteries: who is made of whom, and what must be looked at together.

A battery is part of at most one other: one aggregate has it as a source, or one splitter divides
it. So each can be commanded in one place only, its top, and no two commands fight over it. The
partitions of one battery may go different ways, and may meet again in an aggregate.

A *component* is everything that shares a source: the batteries whose orders depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.bal.errors import (
    BatteryInUseError,
    BatteryNameError,
    CyclicTopologyError,
    NameTakenError,
    NotASourceError,
    SharesError,
    TopologyError,
    UnknownBatteryError,
)
from harness.bal.model.aggregate import Aggregate
from harness.bal.model.battery import Battery, Moment
from harness.bal.model.partition import Partition, Splitter
from harness.bal.model.physical import Physical
from harness.bal.model.values import PPM, Policy, Share
from harness.nearest import nearest

NAME_LENGTH_MAX: Final = 200
LEVELS_MAX: Final = 32
"""Highest level of a battery over its sources."""
SOURCES_MAX: Final = 10_000
"""Most sources of one aggregate, and most partitions of one splitter."""

COMPARED_MAX: Final = 300
"""Batteries with whose names an unknown one is compared; with more, that would hold up others."""


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """Batteries whose orders depend on each other.

    Attributes:
        tops: those that people command.
        divided: all that pass orders on (tops, partitions, aggregates, split ones), from the top.
        splitters: the splitters among them, from the top.
    """

    tops: tuple[Battery, ...]
    divided: tuple[Battery, ...]
    splitters: tuple[Splitter, ...]


class Topology:
    """All batteries by name; refuses what would not make a topology."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._batteries: dict[str, Battery] = {}
        self._components: dict[str, Component] = {}

    def __iter__(self) -> Iterator[Battery]:
        """Yield the batteries in the order in which they were made."""
        return iter(self._batteries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._batteries

    def __len__(self) -> int:
        return len(self._batteries)

    def get(self, name: str) -> Battery:
        """Return the battery of a name.

        Raises:
            UnknownBatteryError: there is none.
        """
        battery = self._batteries.get(name)
        if battery is None:
            near = nearest(name, self._batteries) if len(self) <= COMPARED_MAX else None
            raise UnknownBatteryError(
                name,
                "there is none of that name",
                mend="make it first" if near is None else f'did you mean "{near}"?',
            )
        return battery

    def source(self, name: str) -> Physical:
        """Return the physical or networked battery of a name.

        Raises:
            UnknownBatteryError, NotASourceError: there is none, or it is made of others.
        """
        battery = self.get(name)
        if not isinstance(battery, Physical):
            raise NotASourceError(
                name,
                f"it is made of others ({battery.kind.value}) and cannot be read itself",
                mend="read the physical and networked batteries behind it",
            )
        return battery

    def top(self, name: str) -> Battery:
        """Return the battery of a name, which nobody else is made of.

        Raises:
            UnknownBatteryError, BatteryInUseError: there is none, or it is part of another.
        """
        battery = self.get(name)
        if not battery.is_top:
            raise BatteryInUseError(
                name, f"it is part of {_users(battery)}", mend="use that, or remove it first"
            )
        return battery

    def add(self, battery: Physical) -> None:
        """Take a physical or networked battery."""
        self._check_names([battery.name])
        self._take([battery])

    def join(self, name: str, sources: Iterable[str]) -> Aggregate:
        """Make an aggregate of batteries that are part of no other; nothing is made on refusal."""
        names = list(sources)
        self._check_sources(name, names)
        self._check_names([name])
        batteries = [self.top(source) for source in names]
        aggregate = Aggregate(name, batteries)
        self._check_level(aggregate)
        for battery in batteries:
            battery.aggregate = aggregate
        self._take([aggregate])
        return aggregate

    def split(self, source: str, policy: Policy, shares: Iterable[Share]) -> Splitter:
        """Divide a battery that is part of no other; nothing is made on refusal."""
        wanted = list(shares)
        names = [share.name for share in wanted]
        if source in names:
            raise _cyclic(source)
        self._check_names(names)
        _check_shares(source, wanted)
        battery = self.top(source)
        splitter = Splitter(battery, policy, wanted, self._moment)
        self._check_level(splitter.partitions[0])
        battery.splitter = splitter
        self._take(splitter.partitions)
        return splitter

    def remove(self, battery: Battery) -> None:
        """Take out a top; what it was made of is free again."""
        del self._batteries[battery.name]
        for source in battery.below():
            if isinstance(battery, Aggregate):
                source.aggregate = None
        if isinstance(battery, Partition) and battery.divider.release(battery):
            battery.divider.source.splitter = None
        self._components.clear()

    def component(self, battery: Battery) -> Component:
        """Return the component a battery belongs to."""
        if battery.name not in self._components:
            members = _connected(battery)
            component = _component(members)
            for member in members:
                self._components[member.name] = component
        return self._components[battery.name]

    def _take(self, batteries: Iterable[Battery]) -> None:
        for battery in batteries:
            self._batteries[battery.name] = battery
        self._components.clear()

    def _check_sources(self, name: str, sources: list[str]) -> None:
        if name in sources:
            raise _cyclic(name)
        if not 0 < len(sources) <= SOURCES_MAX:
            raise TopologyError(
                name,
                f"it would have {len(sources)} sources",
                mend=f"name 1 to {SOURCES_MAX} batteries",
            )
        if len(set(sources)) < len(sources):
            raise TopologyError(name, "a source is named twice", mend="name each source once")

    def _check_names(self, names: list[str]) -> None:
        for index, name in enumerate(names):
            if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
                raise BatteryNameError(
                    name[:NAME_LENGTH_MAX],
                    "this cannot be a name",
                    mend=f"use 1 to {NAME_LENGTH_MAX} printable characters",
                )
            if name in self._batteries or name in names[:index]:
                raise NameTakenError(
                    name, "there is one of that name already", mend="choose another name"
                )

    def _check_level(self, battery: Battery) -> None:
        if battery.level > LEVELS_MAX:
            raise TopologyError(
                battery.name,
                f"it would be {battery.level} levels above its sources",
                mend=f"use at most {LEVELS_MAX} levels",
            )


def _cyclic(name: str) -> CyclicTopologyError:
    return CyclicTopologyError(name, "it would be made of itself", mend="name other sources")


def _users(battery: Battery) -> str:
    if battery.aggregate is not None:
        return f'the aggregate "{battery.aggregate.name}"'
    assert battery.splitter is not None, "only asked of what is part of another"
    return "the partitions " + ", ".join(f'"{one.name}"' for one in battery.splitter.partitions)


def _check_shares(source: str, shares: list[Share]) -> None:
    if not 0 < len(shares) <= SOURCES_MAX:
        raise SharesError(
            source, f"split into {len(shares)} partitions", mend=f"name 1 to {SOURCES_MAX}"
        )
    for share in shares:
        if share.share_ppm <= 0:
            raise SharesError(
                share.name, f"its share is {share.share_ppm} ppm", mend="give it more than nothing"
            )
    whole = sum(share.share_ppm for share in shares)
    if whole > PPM:
        raise SharesError(
            source,
            f"its shares are {whole} ppm, more than the whole",
            mend=f"let them add up to at most {PPM} ppm (100 %)",
        )


def _connected(battery: Battery) -> list[Battery]:
    found: dict[str, Battery] = {}
    waiting = [battery]
    while waiting:
        one = waiting.pop()
        if one.name in found:
            continue
        found[one.name] = one
        waiting.extend(one.below())
        if one.aggregate is not None:
            waiting.append(one.aggregate)
        if one.splitter is not None:
            waiting.extend(one.splitter.partitions)
    return list(found.values())


def _component(members: list[Battery]) -> Component:
    ordered = sorted(members, key=lambda one: (-one.level, one.name))
    divided = tuple(
        one for one in ordered if one.is_top or one.splitter is not None or one.level > 0
    )
    splitters = tuple(one.splitter for one in divided if one.splitter is not None)
    return Component(tuple(one for one in ordered if one.is_top), divided, splitters)
