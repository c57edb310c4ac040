"""Whether a snapshot of a battery was of one time: what clients saw against the batteries' records.

A snapshot says of which interval its readings are. What every battery behind it held at the moments
of that interval follows from the battery's own record, so the charge that the snapshot tells lies
between the sum of the least and the sum of the most, as finely as batteries tell their charge.

* A partition's charge is a part of its battery's: no more than that. Where all partitions of a
  battery were seen with one interval, and leave nothing to others, they add up to its charge.
* Who is out of reach adds nothing, and the snapshot says only how many those are: the bounds are
  those of the smallest, or largest, that can be left.
* The interval ends no earlier than it begins, and is no wider than readings may be old, and the
  asker waited, and one reading takes.

A driver may stamp a reading when it asks; the battery took its values between that and the
reading's place in the journal, so the interval is lengthened by the longest such time of each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.bal.journal import Event
from harness.check.batteries import BatteryFinding
from harness.check.battery_parts import Parts, touched
from harness.check.held import Bounds, Held
from harness.load.clients.seen import Seen

LOOKS_MAX: Final = 2_000_000
"""Batteries looked at, all snapshots together; where there are more, every n-th is taken."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a layer was told about readings, in milliseconds of scenario time.

    Attributes:
        staleness_ms: that a reading may be old.
        reading_ms: that one reading may take.
        speed: of scenario time.
    """

    staleness_ms: int
    reading_ms: int
    speed: float


@dataclass(slots=True)
class Snapshots:
    """What was found: how many snapshots were held, and of which what is not so."""

    held: int = 0
    findings: list[BatteryFinding] = field(default_factory=list)


def look_at_snapshots(
    parts: Parts,
    events: Sequence[Event],
    held: Mapping[str, Held],
    seen: Sequence[Seen],
    rules: Rules,
) -> Snapshots:
    """Return which snapshots cannot be of the interval that they name."""
    look = _Look(parts, held, rules)
    changed = touched(events)
    usable = [one for one in seen if look.knows(one.subject, changed)]
    looks = sum(one.sources for one in usable)
    usable = usable[:: -(-looks // LOOKS_MAX) or 1]
    found = Snapshots(held=len(usable))
    together: dict[tuple[str, int, int, int], dict[str, Seen]] = defaultdict(dict)
    for one in usable:
        found.findings += [_finding(one, what) for what in look.at(one)]
        source = look.source_of.get(one.subject)
        if source is not None and one.oldest_ms is not None and one.newest_ms is not None:
            key = (source, one.oldest_ms, one.newest_ms, one.sources_online)
            together[key][one.subject] = one
    for (source, *_), partitions in together.items():
        if source in parts.whole and len(partitions) == len(parts.splitters[source]):
            found.findings += look.together(source, list(partitions.values()))
    return found


class _Look:
    def __init__(self, parts: Parts, held: Mapping[str, Held], rules: Rules) -> None:
        self._parts = parts
        self._held = held
        self._rules = rules
        self.source_of = {
            partition: source
            for source, partitions in parts.splitters.items()
            for partition in partitions
        }
        self._leaves: dict[str, frozenset[str]] = {}

    def knows(self, name: str, changed: frozenset[str]) -> bool:
        """Return whether all batteries behind ``name`` are known, and none came or went."""
        known = self._parts
        if name not in known.plates and name not in known.aggregates and name not in self.source_of:
            return False
        if changed and (name in changed or self._passed(name) & changed):
            return False
        return all(leaf in self._held for leaf in self._behind(name))

    def at(self, seen: Seen) -> Iterable[str]:
        """Yield what is wrong with a snapshot."""
        if not seen.sources_online or seen.oldest_ms is None or seen.newest_ms is None:
            if seen.charge_ma_ms:
                yield f"{seen.charge_ma_ms} mA ms of batteries that are all out of reach"
            return
        width_ms, most_ms = seen.newest_ms - seen.oldest_ms, self._width_ms(seen)
        if not 0 <= width_ms <= most_ms:
            yield f"its readings span {width_ms} ms, and 0 to {most_ms} ms is possible"
        least, most = self._bounds(seen.subject, seen)
        if not least <= seen.charge_ma_ms <= most:
            yield _told(seen.charge_ma_ms, seen, least, most)

    def together(self, source: str, seen: Sequence[Seen]) -> Iterable[BatteryFinding]:
        """Yield what is wrong with snapshots of all partitions of a battery, of one interval."""
        charge = sum(one.charge_ma_ms for one in seen)
        least, most = self._bounds(source, seen[0])
        if not least <= charge <= most:
            what = "its partitions together: " + _told(charge, seen[0], least, most)
            yield BatteryFinding(source, seen[0].newest_ms or 0, what)

    def _width_ms(self, seen: Seen) -> int:
        waited_ms = (seen.answered_us - seen.asked_us) * self._rules.speed / 1_000
        return round(self._rules.staleness_ms + waited_ms + self._rules.reading_ms) + 1

    def _bounds(self, name: str, seen: Seen) -> Bounds:
        """Return the least and the most that ``name`` can hold by the readings of a snapshot."""
        assert seen.oldest_ms is not None, "only asked where there is an interval"
        assert seen.newest_ms is not None, "only asked where there is an interval"
        behind = self._behind(name)
        bounds = {leaf: self._held[leaf].told(seen.oldest_ms, seen.newest_ms) for leaf in behind}
        away = max(0, len(behind) - seen.sources_online)
        certain = sorted(
            (bounds[leaf][0] if leaf in self._whole(name) else 0 for leaf in behind), reverse=True
        )
        possible = sorted(most for _, most in bounds.values())
        return sum(certain[away:]), sum(possible[away:])

    def _whole(self, name: str) -> frozenset[str]:
        """Return the batteries that are behind ``name`` alone, not by a part."""
        return self._parts.below(name)[0]

    def _behind(self, name: str) -> frozenset[str]:
        """Return all batteries behind ``name``."""
        if name not in self._leaves:
            leaves, partitions = self._parts.below(name)
            sources = {self.source_of[partition] for partition in partitions}
            self._leaves[name] = leaves.union(*(self._behind(source) for source in sources))
        return self._leaves[name]

    def _passed(self, name: str) -> frozenset[str]:
        """Return the names on the way down from ``name``."""
        below = set(self._parts.aggregates.get(name, ()))
        if name in self.source_of:
            below.add(self.source_of[name])
        return frozenset(below).union(*(self._passed(one) for one in below))


def _told(charge: int, seen: Seen, least: int, most: int) -> str:
    return (
        f"{charge} mA ms from {seen.oldest_ms} to {seen.newest_ms} ms, and {least} to {most} "
        "was there"
    )


def _finding(seen: Seen, what: str) -> BatteryFinding:
    return BatteryFinding(seen.subject, seen.newest_ms or 0, what)
