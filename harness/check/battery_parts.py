"""Which battery is made of which: the topology as a run's own file says it, for those who check.

Read from the TOML file of the run folder without the layer's model, so that a layer is not held
against itself. Whatever was made of batteries or removed while the layer lived is *touched*: who
was made of whom then depends on when, and it is left out of what is checked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bal.happenings import MAKE_AGGREGATOR, MAKE_SPLITTER, REMOVE
from harness.bal.journal import Event
from netem.units import SHARE_PPM, parse_quantity

WHOLE_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Component:
    """Batteries whose orders depend on each other: the leaves, and the tops that are commanded."""

    members: frozenset[str]
    leaves: tuple[str, ...]
    tops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """A topology.

    Attributes:
        plates: the voltage (mV) that each battery made of no other is made for.
        aggregates: what each aggregate is made of.
        splitters: the partitions of each battery that is divided.
        whole: batteries whose partitions are all of them, nothing left.
    """

    plates: Mapping[str, int]
    aggregates: Mapping[str, tuple[str, ...]]
    splitters: Mapping[str, tuple[str, ...]]
    whole: frozenset[str]

    def below(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the batteries and the partitions whose currents add up to that of ``name``."""
        leaves, partitions = set(), set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one in self.aggregates:
                waiting += self.aggregates[one]
            elif one in self.plates:
                leaves.add(one)
            else:
                partitions.add(one)
        return frozenset(leaves), frozenset(partitions)

    def components(self) -> tuple[Component, ...]:
        """Return the components, each battery in one."""
        near: dict[str, set[str]] = {name: set() for name in self.plates}
        for whole, pieces in (*self.aggregates.items(), *self.splitters.items()):
            for piece in pieces:
                near.setdefault(whole, set()).add(piece)
                near.setdefault(piece, set()).add(whole)
        used = {piece for pieces in self.aggregates.values() for piece in pieces}
        used |= self.splitters.keys()
        found, seen = [], set[str]()
        for name in near:
            if name in seen:
                continue
            members, waiting = set[str](), [name]
            while waiting:
                one = waiting.pop()
                if one not in members:
                    members.add(one)
                    waiting += near[one]
            seen |= members
            leaves = tuple(sorted(members & self.plates.keys()))
            found.append(Component(frozenset(members), leaves, tuple(sorted(members - used))))
        return tuple(found)


def read_parts(path: Path) -> Parts:
    """Return the topology of a file.

    Raises:
        OSError, ValueError, KeyError: it cannot be read, or is none.
    """
    content: dict[str, Any] = tomllib.loads(path.read_text())
    splitters = content.get("splitter", [])
    return Parts(
        plates={one["name"]: one["voltage_mv"] for one in content.get("battery", [])},
        aggregates={one["name"]: tuple(one["sources"]) for one in content.get("aggregate", [])},
        splitters={
            one["source"]: tuple(part["name"] for part in one["partitions"]) for one in splitters
        },
        whole=frozenset(
            one["source"]
            for one in splitters
            if sum(parse_quantity(part["share"], SHARE_PPM) for part in one["partitions"])
            == WHOLE_PPM
        ),
    )


def touched(events: Iterable[Event]) -> frozenset[str]:
    """Return the batteries that were made into others, or removed, while the layer lived."""
    names: set[str] = set()
    for event in events:
        if event.kind == MAKE_AGGREGATOR:
            names |= {event.details["name"], *event.details["sources"]}
        elif event.kind == MAKE_SPLITTER:
            names |= {event.details["source"], *(name for name, _ in event.details["shares"])}
        elif event.kind == REMOVE:
            names.add(event.details["name"])
    return frozenset(names)
