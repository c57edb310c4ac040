"""Counting a run's events into the tables of its verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from reports.recording import (
    CommandCounts,
    CommandDone,
    Event,
    FailureCause,
    FramesRefused,
    new_histogram,
    percentiles,
    record_latency,
)

__all__ = ["tally_commands", "tally_refused"]


def tally_commands(events: Iterable[Event], *, repeated: int = 0) -> tuple[CommandCounts, ...]:
    """Count finished commands: one line for each kind and link class, and one for all at the end.

    ``repeated`` goes to the line for all: how many commands the devices executed more than once.
    """
    done: dict[tuple[str, str], list[CommandDone]] = defaultdict(list)
    for event in events:
        if isinstance(event, CommandDone):
            done[event.command, event.link].append(event)
    if not done:
        return ()
    lines = [_count(kind, link, group, 0) for (kind, link), group in sorted(done.items())]
    everything = [event for group in done.values() for event in group]
    return (*lines, _count("all", "", everything, repeated))


def _count(kind: str, link: str, group: list[CommandDone], repeated: int) -> CommandCounts:
    executed = [event for event in group if event.outcome == "executed"]
    histogram: Any = new_histogram()
    for event in executed:
        record_latency(histogram, event.latency_s)
    return CommandCounts(
        kind=kind,
        link=link,
        issued=len(group),
        executed=len(executed),
        repeated=repeated,
        failed=len(group) - len(executed),
        latency_s=percentiles(histogram) if executed else None,
    )


def tally_refused(events: Iterable[Event]) -> tuple[FailureCause, ...]:
    """Count refused frames by side and cause, most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if isinstance(event, FramesRefused):
            counts[event.where, event.cause] += event.count
            times[event.where, event.cause].append(event.at.wall_s)
    return tuple(
        FailureCause(
            cause=cause,
            where=where,
            count=count,
            first_s=min(times[where, cause]),
            last_s=max(times[where, cause]),
        )
        for (where, cause), count in counts.most_common()
    )
