"""What batteries surely could have done, whoever divides a current among them.

From the batteries' own records alone. Layers divide a current by the charge that batteries hold,
by their capacity, or evenly; what all of these ways allow, less a margin, a layer surely could do.
What is beyond that may have been done or not, so it counts as anything from nothing to all of it.

* Near the end of its charge a battery may count as full or empty already.
* A partition has an account, of which is known what it can have moved at most: what was told it.
* What is cut off does what it did before.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from harness.check.battery_parts import Component, Parts
from harness.check.held import Bounds, Held
from harness.check.told import NEVER_MS, Spell, Told
from netem.units import SHARE_PPM, parse_quantity

PPM: Final = 1_000_000
NEAR_PPM: Final = 20_000
"""Share of its capacity that is near the end of a battery's charge."""
MARGIN_PPM: Final = 50_000
"""Share of what could be done that is not relied on: readings are rounded, and of a while ago."""

Span: TypeAlias = tuple[int, int]
Limits: TypeAlias = tuple[int, int]
"""What may flow in, and out: magnitudes, mA."""


@dataclass(frozen=True, slots=True)
class Split:
    """A partition: of whom, its share, that of those before it, and whether lacks are shared."""

    source: str
    share_ppm: int
    before_ppm: int
    proportional: bool


def read_splits(path: Path) -> dict[str, Split]:
    """Return the partitions of a topology's file by name. Raises as `read_parts`."""
    splits = {}
    for splitter in tomllib.loads(path.read_text()).get("splitter", []):
        before_ppm = 0
        for part in splitter["partitions"]:
            share_ppm = int(parse_quantity(part["share"], SHARE_PPM))
            proportional = splitter.get("policy", "proportional") == "proportional"
            splits[part["name"]] = Split(splitter["source"], share_ppm, before_ppm, proportional)
            before_ppm += share_ppm
    return splits


class Ability:
    """What the batteries of one component could do.

    Args:
        parts: the topology.
        splits: its partitions.
        held: the batteries' records.
        component: whose.
        told: what was told, by name; in order.
        away: when a battery of it may have been cut off, or the layer away; scenario time.
    """

    def __init__(
        self,
        parts: Parts,
        splits: Mapping[str, Split],
        held: Mapping[str, Held],
        component: Component,
        told: Mapping[str, Sequence[Told]],
        away: Sequence[Span],
    ) -> None:
        self._parts = parts
        self._splits = splits
        self._held = held
        self._component = component
        self._moving = {name: _moving(told[name]) for name in component.tops if name in told}
        self._away = away

    def __call__(self, spell: Spell, from_ms: int, until_ms: int) -> Bounds | None:
        """Return the least and the most that is well; None: anything."""
        if any(begin <= until_ms and from_ms <= end for begin, end in self._away):
            return None
        least = most = 0
        for name, wanted_ma in spell.wanted_ma.items():
            sure_ma = min(self._sure_ma(name, wanted_ma, at_ms) for at_ms in (from_ms, until_ms))
            ends = sorted((wanted_ma, min(sure_ma, abs(wanted_ma)) * (1 if wanted_ma > 0 else -1)))
            least, most = least + ends[0], most + ends[1]
        return least, most

    def _sure_ma(self, name: str, wanted_ma: int, at_ms: int) -> int:
        """Return how much of a current one that is commanded surely can do, a magnitude."""
        if any(self._near_end(leaf, at_ms) for leaf in self._component.leaves):
            return 0
        if not all(self._has_account(one, at_ms) for one in self._partitions(name)):
            return 0
        limit_ma = self._limits(name, at_ms)[wanted_ma > 0]
        return limit_ma * (PPM - MARGIN_PPM) // PPM

    def _near_end(self, leaf: str, at_ms: int) -> bool:
        one = self._held[leaf]
        near = one.begun.capacity_ma_ms * NEAR_PPM // PPM
        return not near <= one.charge_at(at_ms) <= one.begun.capacity_ma_ms - near

    # Limits

    def _limits(self, name: str, at_ms: int) -> Limits:
        if name in self._parts.plates:
            begun = self._held[name].begun
            return begun.charge_ma_max, begun.discharge_ma_max
        if name in self._splits:
            return self._of_partition(self._splits[name], at_ms)
        sources = self._parts.aggregates[name]
        limits = [self._limits(source, at_ms) for source in sources]
        if any(source in self._splits for source in sources):
            # What it holds is not known so exactly: one could have to do it all.
            return min(charge for charge, _ in limits), min(give for _, give in limits)
        charges = [self._charge(source, at_ms) for source in sources]
        capacities = [self._capacity(source) for source in sources]
        rooms = [capacity - held for capacity, held in zip(capacities, charges, strict=True)]
        return (
            _divided([charge for charge, _ in limits], rooms, capacities),
            _divided([give for _, give in limits], charges, capacities),
        )

    def _of_partition(self, split: Split, at_ms: int) -> Limits:
        """Return what a partition has for certain: layers disagree on what is expected of it."""
        there = self._limits(split.source, at_ms)
        if split.proportional:
            return _share(there, split.share_ppm)
        least, most = self._expected(split.source)
        charge, give = (
            max(0, min(has - high * split.before_ppm // PPM, low * split.share_ppm // PPM))
            for has, low, high in zip(there, least, most, strict=True)
        )
        return charge, give

    def _expected(self, name: str) -> tuple[Limits, Limits]:
        """Return the least and the most that can be expected of a battery all of which is well."""
        if name in self._parts.plates:
            limits = self._limits(name, 0)
            return limits, limits
        if name in self._splits:
            split = self._splits[name]
            least, most = self._expected(split.source)
            return _share(least, split.share_ppm), _share(most, split.share_ppm)
        sources = self._parts.aggregates[name]
        own = [self._expected(source) for source in sources]
        capacities = [self._capacity(source) for source in sources]
        charge, give = (
            _divided([least[way] for least, _ in own], capacities, capacities) for way in (0, 1)
        )
        return (charge, give), (sum(most[0] for _, most in own), sum(most[1] for _, most in own))

    # Charges

    def _charge(self, name: str, at_ms: int) -> int:
        if name in self._parts.plates:
            return self._held[name].charge_at(at_ms)
        if name in self._splits:
            split = self._splits[name]
            return self._charge(split.source, at_ms) * split.share_ppm // PPM
        return sum(self._charge(source, at_ms) for source in self._parts.aggregates[name])

    def _capacity(self, name: str) -> int:
        if name in self._parts.plates:
            return self._held[name].begun.capacity_ma_ms
        if name in self._splits:
            split = self._splits[name]
            return self._capacity(split.source) * split.share_ppm // PPM
        return sum(self._capacity(source) for source in self._parts.aggregates[name])

    # Accounts

    def _partitions(self, name: str) -> Iterator[str]:
        """Yield the partitions that what flows at ``name`` flows through."""
        if name in self._splits:
            yield name
            yield from self._partitions(self._splits[name].source)
        for source in self._parts.aggregates.get(name, ()):
            yield from self._partitions(source)

    def _has_account(self, partition: str, at_ms: int) -> bool:
        """Return whether the account of a partition is surely neither full nor empty."""
        capacity = self._capacity(partition)
        opened = self._charge(partition, self._held[self._component.leaves[0]].changed_ms[0])
        through = [partition] if partition in self._moving else list(self._moving)
        moved = [self._moved(name, at_ms) for name in through]
        out, into = sum(out for out, _ in moved), sum(into for _, into in moved)
        if through != [partition]:
            out = into = out + into
        near = capacity * NEAR_PPM // PPM
        return near <= opened - out and opened + into <= capacity - near

    def _moved(self, name: str, at_ms: int) -> tuple[int, int]:
        """Return what a battery can have given and taken at most up to a moment, mA ms."""
        out = into = 0
        for from_ms, until_ms, current_ma in self._moving[name]:
            length = max(0, min(at_ms, until_ms) - from_ms)
            out += length * max(0, current_ma)
            into += length * max(0, -current_ma)
        return out, into


def _moving(told: Sequence[Told]) -> list[tuple[int, int, int]]:
    """Return from when to when, at most, each thing told was in force, and its current."""
    begins = [one.from_ms for one in told]
    moving = []
    for one in told:
        after = bisect_left(begins, max(one.until_ms, one.from_ms + 1))
        ends = [later.until_ms for later in told[after : after + 1]]
        moving.append((one.from_ms, min(ends, default=NEVER_MS), one.current_ma))
    return moving


def _share(limits: Limits, share_ppm: int) -> Limits:
    return limits[0] * share_ppm // PPM, limits[1] * share_ppm // PPM


def _divided(limits: Sequence[int], held: Sequence[int], capacities: Sequence[int]) -> int:
    """Return what batteries can do together, divided by what they hold, by capacity, or evenly."""
    found = [min(limits) * len(limits)]
    for weights in (held, capacities):
        if all(weights):
            whole = sum(weights)
            found.append(min(a * whole // w for a, w in zip(limits, weights, strict=True)))
    return min(found)
