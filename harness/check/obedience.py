"""Whether batteries did what clients told the virtual ones, seen from outside a battery layer.

No journal is needed: clients know what was accepted, and every battery has on record what it did.
What is judged is a *component*, the batteries whose currents depend on each other: however a layer
divides, the currents of its batteries together are what its virtual ones were last told together.

* Only where it is certain what they were told last (`harness.check.told`), and until somebody tells
  them something else.
* A layer has a while to bring it about. What is otherwise for longer, without a break, is
  *disobeyed*; what was seen to be so is obeyed. Where neither happened before somebody told
  something else, or where the batteries could not, it is not judged.
* Where a battery was cut off, it is not judged either; where one was nearly full or empty, or its
  limits were near, less of what was told is well, too (`harness.check.ability`).

Which battery did what part, and how charge moves between partitions, is not seen from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from harness.check.batteries import BatteryFinding
from harness.check.battery_parts import Component, Parts
from harness.check.held import Bounds, Held
from harness.check.told import Spell, Told, spells

LOOKS: Final = 4
"""Looks at what batteries could do, in the while that a layer has."""

Could: TypeAlias = Callable[[Spell, int, int], Bounds | None]
"""Returns the least and the most that batteries may do together where a spell wants something of
them, from one moment to another; None where they may do anything."""


@dataclass(slots=True)
class Obedience:
    """What was found.

    Attributes:
        obeyed: things told that were seen to be done.
        unjudged: things told of which that is not known.
        findings: what was not done in time, one for each time in which it is certain what was told.
    """

    obeyed: int = 0
    unjudged: int = 0
    findings: list[BatteryFinding] = field(default_factory=list)


def obedience_of(
    parts: Parts,
    held: Mapping[str, Held],
    told: Mapping[str, Sequence[Told]],
    could: Callable[[Component], Could],
    *,
    within_ms: int,
    left_out: frozenset[str] = frozenset(),
) -> Obedience:
    """Return what batteries did not do.

    Args:
        parts: who is made of whom.
        held: the batteries' records.
        told: what was told, by name of the battery.
        could: makes, of a component, who tells what it could do.
        within_ms: the while that a layer has, scenario time.
        left_out: batteries of which others may have commanded something, or made something.
    """
    found = Obedience()
    for component in parts.components():
        own = {name: told[name] for name in sorted(component.members & told.keys())}
        known = all(leaf in held for leaf in component.leaves) and component.leaves
        if not known or component.members & left_out or own.keys() - set(component.tops):
            found.unjudged += sum(map(len, own.values()))
            continue
        sums = _Sums([held[leaf] for leaf in component.leaves])
        judge = _Judge(component, sums, could(component), within_ms)
        judged = 0
        for spell in spells(own, sums.begin_ms, sums.end_ms):
            fate = judge.judge(spell)
            if isinstance(fate, BatteryFinding):
                found.findings.append(fate)
            elif fate:
                found.obeyed += len(spell.begun_by)
            if fate:
                judged += len(spell.begun_by)
        found.unjudged += sum(map(len, own.values())) - judged
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """A time in which batteries did the same, which together was meant to be so much."""

    from_ms: int
    until_ms: int
    least: int
    most: int

    def agrees(self, least: int, most: int) -> bool:
        """Return whether it can be something between two currents."""
        return self.least <= most and least <= self.most

    def looks(self, step_ms: int) -> Iterator[_Piece]:
        """Yield it in pieces of no more than a length."""
        for at_ms in range(self.from_ms, self.until_ms, step_ms):
            end_ms = min(self.until_ms, at_ms + step_ms)
            yield _Piece(at_ms, end_ms, self.least, self.most)


class _Sums:
    """What batteries can have been meant to do together, over time."""

    def __init__(self, held: Sequence[Held]) -> None:
        self._held = held
        self.begin_ms = max(one.changed_ms[0] for one in held)
        self.end_ms = min(one.end_ms for one in held)

    def pieces(self, from_ms: int, until_ms: int) -> Iterator[_Piece]:
        """Yield times without a change, in order."""
        changes = sorted(
            (one.changed_ms[index], place, index)
            for place, one in enumerate(self._held)
            for index in one.changes(from_ms, until_ms)
        )
        meant = [one.meant(one.index_at(from_ms)) for one in self._held]
        least, most = sum(low for low, _ in meant), sum(high for _, high in meant)
        since_ms = from_ms
        for at_ms, place, index in changes:
            if since_ms < at_ms:
                yield _Piece(since_ms, at_ms, least, most)
                since_ms = at_ms
            was, now = meant[place], self._held[place].meant(index)
            least, most = least + now[0] - was[0], most + now[1] - was[1]
            meant[place] = now
        if since_ms < until_ms:
            yield _Piece(since_ms, until_ms, least, most)


class _Judge:
    def __init__(self, component: Component, sums: _Sums, could: Could, within_ms: int) -> None:
        self._component = component
        self._sums = sums
        self._could = could
        self._within_ms = within_ms
        self._look_ms = max(1, within_ms // LOOKS)

    def judge(self, spell: Spell) -> BatteryFinding | bool:
        """Return whether what a spell wants was done at some time in it, or what was not."""
        wanted_ma = sum(spell.wanted_ma.values())
        obeyed, otherwise = False, list[_Piece]()
        for piece in self._sums.pieces(spell.from_ms, spell.until_ms):
            if not piece.agrees(wanted_ma, wanted_ma):
                otherwise.append(piece)
                continue
            if finding := self._too_long(spell, otherwise):
                return finding
            obeyed, otherwise = True, []
        return self._too_long(spell, otherwise) or obeyed

    def _too_long(self, spell: Spell, otherwise: Sequence[_Piece]) -> BatteryFinding | None:
        """Return what was otherwise for longer than a layer has, though it need not have been."""
        if not otherwise or otherwise[-1].until_ms - otherwise[0].from_ms <= self._within_ms:
            return None
        since_ms = otherwise[0].from_ms
        for look in (look for piece in otherwise for look in piece.looks(self._look_ms)):
            could = self._could(spell, look.from_ms, look.until_ms)
            if could is None or look.agrees(*could):
                since_ms = look.until_ms
            elif look.until_ms - since_ms > self._within_ms:
                return self._finding(spell, since_ms, look)
        return None

    def _finding(self, spell: Spell, since_ms: int, look: _Piece) -> BatteryFinding:
        by = ", ".join(dict.fromkeys(one.by for one in spell.begun_by)) or "nobody"
        parts = ", ".join(f"{name} {ma}" for name, ma in sorted(spell.wanted_ma.items()))
        what = (
            f"{sum(spell.wanted_ma.values())} mA was told ({parts or 'nothing'}; last by {by}), and"
            f" {look.least} to {look.most} mA was done {look.until_ms - since_ms} ms later"
        )
        return BatteryFinding(", ".join(self._component.tops), since_ms, what)
