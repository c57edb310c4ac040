"""Registrations of nodes: what happened to them, and how outages ended for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.schedule import Outage
from harness.check.recorded import RecordedRun
from harness.headend.nodes import BEYOND_RATE, STRANGER
from harness.store.rows import RegistrationKind
from harness.store.rows import Registrations as Changes
from reports.recording import Registrations, Storm

REFUSED: Final = (BEYOND_RATE, STRANGER)
"""The counters of the head-end's registration table that tell of refused registrations.

What its listener counts beside them are the same refusals once more."""
RETRIED: Final = "registrations retried"
"""The counter of the fleet that tells of registrations sent again."""
MOST: Final = 0.99
_US: Final = 1_000_000


def count_registrations(run: RecordedRun, changes: Changes) -> Registrations | None:
    """Return the account of registrations; None where no node ever tried to register."""
    refused = sum(run.facts.head_end.get(name, 0) for name in REFUSED)
    retried = sum(summary["counts"].get(RETRIED, 0) for summary in run.summaries())
    if not len(changes) and not refused and not retried:
        return None
    kinds = Counter(changes.kind.tolist())
    return Registrations(
        nodes=len(np.unique(_nodes(changes))),
        registered=kinds[RegistrationKind.REGISTERED],
        renewed=kinds[RegistrationKind.RE_REGISTERED],
        deregistered=kinds[RegistrationKind.DEREGISTERED],
        expired=kinds[RegistrationKind.EXPIRED],
        refused=refused,
        retried=retried,
        storms=tuple(_storms(run, changes)),
    )


def _nodes(changes: Changes) -> NDArray[np.uint64]:
    """Return one number for each node."""
    return changes.concentrator.astype(np.uint64) << np.uint64(32) | changes.meter


def _storms(run: RecordedRun, changes: Changes) -> Iterator[Storm]:
    outages = sorted(run.schedule.outages, key=lambda outage: outage.starts_s)
    for number, outage in enumerate(outages, 1):
        later = [
            other
            for other in outages
            if other.starts_s >= outage.ends_s and (other.hits & outage.hits).any()
        ]
        storm = _storm(run, changes, (number, outage), later)
        if storm.nodes:
            yield storm


def _storm(
    run: RecordedRun, changes: Changes, numbered: tuple[int, Outage], later: Iterable[Outage]
) -> Storm:
    number, outage = numbered
    hit = outage.hits[np.minimum(changes.concentrator, len(outage.hits) - 1)]
    began_us, ended_us = _at_us(run, outage.starts_s), _at_us(run, outage.ends_s)
    closes_us = min((_at_us(run, other.starts_s) for other in later), default=None)
    nodes = _registered(changes.take(hit & (changes.at_us < began_us)))
    back = hit & (changes.at_us >= ended_us) & (changes.kind <= RegistrationKind.RE_REGISTERED)
    if closes_us is not None:
        back &= changes.at_us < closes_us
    after = changes.take(back)
    again, first = np.unique(_nodes(after), return_index=True)
    took_s = np.sort((after.at_us[first[np.isin(again, nodes)]] - ended_us) / _US)
    half, most = (int(np.ceil(share * len(nodes))) for share in (0.5, MOST))
    return Storm(
        number=number,
        began_s=run.wall_s(outage.starts_s),
        ended_s=run.wall_s(outage.ends_s),
        nodes=len(nodes),
        again=len(took_s),
        half_s=_nth(took_s, half),
        most_s=_nth(took_s, most),
        last_s=_nth(took_s, len(nodes)),
    )


def _registered(changes: Changes) -> NDArray[np.uint64]:
    """Return the nodes whose last change left them registered."""
    # The first of the reversed is the last; changes come in order of time.
    nodes, last = np.unique(_nodes(changes)[::-1], return_index=True)
    kinds = changes.kind[::-1][last]
    return nodes[kinds <= RegistrationKind.RE_REGISTERED]


def _nth(took_s: NDArray[np.float64], count: int) -> float | None:
    """Return how long it took until ``count`` had registered."""
    return float(took_s[count - 1]) if 0 < count <= len(took_s) else None


def _at_us(run: RecordedRun, since_first_s: float) -> int:
    """Return a scenario moment as POSIX microseconds, the time that registrations bear."""
    at_s = run.facts.scenario_clock.monotonic_at(run.fleet.first_s + since_first_s)
    return int((at_s + run.facts.realtime_offset_s) * _US)
