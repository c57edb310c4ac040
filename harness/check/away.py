"""When batteries may have been cut off from their layer, or the layer was away itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from emulator.batteries.config import BatteryFleetConfig
from harness.bal.happenings import LOST, READ
from harness.bal.journal import Event
from harness.check.ability import Span
from harness.check.told import NEVER_MS
from harness.scenario import Scenario
from harness.scenario.timeline import Kill

MILLISECONDS: Final = 1_000
BACK_WITHIN_S: Final = 120.0
"""Real seconds that TCP waits at most until it tries again; never longer than what held it up."""


def cut_off(fleet: BatteryFleetConfig, speed: float) -> list[Span]:
    """Return when the timeline did something to the network of batteries, of some or of all.

    Octets that hung until then come some time after: as long again, at most.
    """
    times = [(one.starts_s, one.starts_s + one.lasts_s) for one in fleet.outages]
    times += [time for one in fleet.conditions for time in one.occurrences]
    return [
        _span(fleet.first_s + begin_s, end_s - begin_s, min(end_s - begin_s, BACK_WITHIN_S * speed))
        for begin_s, end_s in times
    ]


def killed(scenario: Scenario, first_s: int) -> list[Span]:
    """Return when the timeline killed the layer, until it was to be started again."""
    return [
        _span(first_s + event.at, event.restart_after * scenario.speed, 0.0)
        for event in scenario.timeline
        if isinstance(event, Kill) and event.part == "bal"
    ]


def said_lost(events: Iterable[Event], before_ms: int) -> Mapping[str, Sequence[Span]]:
    """Return when our layer could not reach each battery, from its journal.

    It may have tried for ``before_ms`` until it said so.
    """
    spans: dict[str, list[Span]] = defaultdict(list)
    since_ms: dict[str, int] = {}
    for event in events:
        if event.kind == LOST:
            since_ms.setdefault(event.details["name"], event.at_ms)
        elif event.kind == READ and event.details["name"] in since_ms:
            name = event.details["name"]
            spans[name].append((since_ms.pop(name) - before_ms, event.at_ms))
    for name, begin_ms in since_ms.items():
        spans[name].append((begin_ms - before_ms, NEVER_MS))
    return spans


def away_for(
    leaves: Iterable[str], everybody: Sequence[Span], each: Mapping[str, Sequence[Span]]
) -> list[Span]:
    """Return when one of some batteries may have been out of reach."""
    return [*everybody, *_of(leaves, each)]


def _of(leaves: Iterable[str], each: Mapping[str, Sequence[Span]]) -> Iterator[Span]:
    for leaf in leaves:
        yield from each.get(leaf, ())


def _span(begin_s: float, lasts_s: float, longer_s: float) -> Span:
    end_s = begin_s + lasts_s + longer_s
    return round(begin_s * MILLISECONDS), round(end_s * MILLISECONDS)
