"""What the clients of a battery layer told each virtual battery, and since when that is certain.

Seen from outside: a command that was accepted took effect at some moment between being sent and
being answered. One that was refused at its only attempt did nothing. One whose outcome nobody knows
may take effect at any time, so nothing is certain of its battery any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, TypeAlias

from harness.load.clients.commanded import Commanded
from harness.run.set_points import SetPoint

NEVER_MS: Final = 1 << 62
REFUSALS: Final = range(400, 500)


@dataclass(frozen=True, slots=True)
class Told:
    """A current that a battery is to do, from a moment between two on.

    Attributes:
        by: whose word that is, for people.
        until_ms: `NEVER_MS`: it may come at any time.
    """

    by: str
    from_ms: int
    until_ms: int
    current_ma: int


def told_by_clients(
    commanded: Iterable[Commanded],
    points: Iterable[SetPoint],
    scenario_ms: Callable[[int], int],
) -> Mapping[str, list[Told]]:
    """Return what each battery was told, in the order in which that began.

    Args:
        commanded: commands of clients.
        points: set points of the scenario.
        scenario_ms: turns microseconds since clients began into scenario time.
    """
    told: dict[str, list[Told]] = defaultdict(list)
    for one in commanded:
        if one.status in REFUSALS and one.attempts == 1:
            continue
        until_ms = scenario_ms(one.answered_us) + 1 if one.accepted else NEVER_MS
        told[one.subject].append(
            Told(one.command, scenario_ms(one.due_us), until_ms, int(one.body["current_ma"]))
        )
    by_battery: dict[str, list[SetPoint]] = defaultdict(list)
    for point in points:
        by_battery[point.name].append(point)
    for name, own in by_battery.items():
        commanded_too = name in told
        told[name] += _of_set_points(own, commanded=commanded_too)
    return {name: sorted(own, key=lambda one: one.from_ms) for name, own in told.items()}


def _of_set_points(points: Sequence[SetPoint], *, commanded: bool) -> Iterator[Told]:
    """Yield what set points ask for where their windows begin and end; a later one wins.

    Nothing is certain where one was not taken before its window began, or where clients command the
    battery as well: then it matters which came last.
    """
    if commanded or any(one.taken_ms is None or one.taken_ms > one.start_ms for one in points):
        first_ms = min(one.start_ms for one in points)
        yield Told(points[0].id, first_ms, NEVER_MS, points[0].current_ma)
        return
    cuts = sorted({moment for one in points for moment in (one.start_ms, one.end_ms)})
    for start_ms, _ in pairwise([*cuts, NEVER_MS]):
        inside = [one for one in points if one.start_ms <= start_ms < one.end_ms]
        by = inside[-1].id if inside else "the end of its windows"
        yield Told(by, start_ms, start_ms, inside[-1].current_ma if inside else 0)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which it is certain what several batteries are to do together.

    Attributes:
        begun_by: what was told last, at its begin; nothing, where nobody told anything yet.
        wanted_ma: of each battery that does something.
    """

    from_ms: int
    until_ms: int
    begun_by: tuple[Told, ...]
    wanted_ma: Mapping[str, int]


def spells(told: Mapping[str, Sequence[Told]], from_ms: int, until_ms: int) -> Iterator[Spell]:
    """Yield the times between two moments in which all is certain that batteries are told."""
    batteries = {name: _Battery() for name in told}
    moments = sorted(
        (
            _moment(one, name, begins)
            for name, own in told.items()
            for one in own
            for begins in _BOTH
        ),
        key=lambda moment: moment[:2],
    )
    begun_by: tuple[Told, ...] = ()
    since_ms: int | None = from_ms
    for at_ms, group in groupby(moments, key=lambda moment: moment[0]):
        if at_ms > until_ms:
            break
        if since_ms is not None and since_ms < at_ms:
            yield Spell(since_ms, at_ms, begun_by, _wanted(batteries))
        ended = [one for _, _, name, one, begins in group if batteries[name].take(one, begins)]
        certain = all(battery.certain for battery in batteries.values())
        since_ms, begun_by = (at_ms if certain else None), tuple(ended)
    if since_ms is not None and since_ms < until_ms:
        yield Spell(since_ms, until_ms, begun_by, _wanted(batteries))


_BOTH: Final = (True, False)
_Moment: TypeAlias = tuple[int, int, str, Told, bool]


def _moment(one: Told, name: str, begins: bool) -> _Moment:
    """Return begin or end; of one moment, ends come first, but nothing ends before it began."""
    if begins:
        return one.from_ms, 1, name, one, True
    return one.until_ms, 0 if one.from_ms < one.until_ms else 2, name, one, False


def _wanted(batteries: Mapping[str, _Battery]) -> dict[str, int]:
    found = {name: battery.current_ma for name, battery in batteries.items()}
    return {name: current_ma for name, current_ma in found.items() if current_ma}


class _Battery:
    """What one battery may have been told last."""

    def __init__(self) -> None:
        self._open = 0
        self._latest_ms = 0
        self._last: list[Told] = []

    def take(self, one: Told, begins: bool) -> bool:
        """Take the begin or the end of something told; return whether it was the end."""
        if begins:
            self._open += 1
            return False
        self._open -= 1
        self._latest_ms = max(self._latest_ms, one.from_ms)
        # Who was over before the latest of them began is not the last.
        self._last = [
            other
            for other in (*self._last, one)
            if other.until_ms > self._latest_ms or other.from_ms == self._latest_ms
        ]
        return True

    @property
    def certain(self) -> bool:
        """Whether it is certain what it is to do."""
        return not self._open and len({one.current_ma for one in self._last}) <= 1

    @property
    def current_ma(self) -> int:
        """What it is to do, where that is certain."""
        return self._last[-1].current_ma if self._last else 0
