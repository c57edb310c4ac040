"""The set points of a scenario: given to a battery layer as a run begins, and kept for its check.

What was taken, and when, is kept as ``bal/set-points.json``: a layer's own word on it is not needed
to judge whether batteries did it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from harness.scenario.bal import Bal

SET_POINTS: Final = "set-points.json"
MILLISECONDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class SetPoint:
    """A current that a battery is to do from ``start_ms`` to ``end_ms``, scenario time.

    Attributes:
        id: name of its command, in its order.
        taken_ms: when the layer had said that it takes it; None: it did not.
    """

    id: str
    name: str
    current_ma: int
    start_ms: int
    end_ms: int
    taken_ms: int | None = None


Tell: TypeAlias = Callable[[SetPoint], Awaitable[str | None]]
"""Gives one to a layer; returns why it was not taken, None where it was."""


def set_points(bal: Bal, first_s: int) -> Iterator[SetPoint]:
    """Yield the set points of a scenario that begins at ``first_s``, POSIX seconds."""
    for number, point in enumerate(bal.schedule):
        start_s = first_s + point.at
        yield SetPoint(
            id=f"set-point-{number}",
            name=point.battery,
            current_ma=point.current,
            start_ms=round(start_s * MILLISECONDS),
            end_ms=round((start_s + point.lasts) * MILLISECONDS),
        )


async def give_set_points(
    points: Iterator[SetPoint],
    tell: Tell,
    *,
    folder: Path,
    now_s: Callable[[], float],
    doubt: Callable[[str], None],
) -> None:
    """Give set points to a layer, one after the other; one that is not taken is in doubt.

    Args:
        points: in their order.
        tell: gives one.
        folder: where is kept what was taken.
        now_s: the scenario clock.
        doubt: told what makes the run prove nothing.
    """
    kept: list[SetPoint] = []
    for point in points:
        why = await tell(point)
        taken_ms = None if why else round(now_s() * MILLISECONDS)
        if why:
            doubt(f"{point.id} of {point.name} was not scheduled: {why}")
        kept.append(replace(point, taken_ms=taken_ms))
        (folder / SET_POINTS).write_text(json.dumps([asdict(one) for one in kept], indent=1))


def read_set_points(folder: Path) -> list[SetPoint]:
    """Return the set points that were given. Raises `ValueError`, `TypeError`: they are none."""
    path = folder / SET_POINTS
    return [SetPoint(**one) for one in json.loads(path.read_text())] if path.is_file() else []
