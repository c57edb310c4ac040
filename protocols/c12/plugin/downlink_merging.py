"""What many meters answered to a reading of the interval buffer, as one batch.

Nearly every meter answered with blocks and nothing else: these are read together, as columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter import DirectBlocks, DirectFetch, Gathered
from protocols.c12.plugin.downlink_pipeline import Task
from protocols.errors import CodecError
from protocols.readings import EventBatch, EventSource, ReadingBatch


def merged(fetch: DirectFetch, concentrator: bytes, tasks: Sequence[Task[Any]]) -> ReadingBatch:
    """Return the readings of all meters by time of capture, then meter, and events with them.

    A task whose blocks cannot be read has failed and is left out.
    """
    parts = [_gathered(fetch, concentrator, tasks)]
    for number, task in enumerate(tasks):
        if isinstance(task.result, ReadingBatch):
            batch = task.result
            owner, of_events = (np.full(len(it), number) for it in (batch, batch.events))
            parts.append(Gathered(batch, owner, of_events))
    readings = [part.readings for part in parts]
    owner = np.concatenate([part.owner for part in parts])
    times = np.concatenate([part.captured_at_s for part in readings])
    order = np.lexsort((owner, times))
    events = EventBatch.concatenate([part.events for part in readings])
    of_events = np.concatenate([part.of_events for part in parts])
    if len(events):
        with_s = _came_with(events, of_events, owner[order], times[order])
        keys = (events.code, events.sequence, events.source, of_events, with_s)
        events = events.take(np.lexsort(keys))
    return ReadingBatch(
        concentrator,
        np.concatenate([part.meter_ids for part in readings])[order],
        times[order],
        np.concatenate([part.status for part in readings])[order],
        np.concatenate([part.values for part in readings])[order],
        events,
    )


def _gathered(fetch: DirectFetch, concentrator: bytes, tasks: Sequence[Task[Any]]) -> Gathered:
    """Return what came as blocks; a task whose blocks cannot be read fails."""
    try:
        return fetch.gathered(concentrator, _blocks(tasks))
    except CodecError:
        for number, blocks in _blocks(tasks).items():
            try:
                fetch.gathered(concentrator, {number: blocks})
            except CodecError as error:
                tasks[number].result = None
                tasks[number].failure = f"an answer that is none: {error}"
        return fetch.gathered(concentrator, _blocks(tasks))


def _blocks(tasks: Sequence[Task[Any]]) -> dict[int, DirectBlocks]:
    results = enumerate(task.result for task in tasks)
    return {number: result for number, result in results if isinstance(result, DirectBlocks)}


def _came_with(
    events: EventBatch,
    of_events: NDArray[np.intp],
    owner: NDArray[np.intp],
    times: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the time of the capture that each event came with; ``times`` ascend."""
    with_s = events.sequence.astype(np.int64)
    for number in np.unique(of_events).tolist():
        own = times[owner == number]
        logged = np.flatnonzero((of_events == number) & (events.source == EventSource.LOG))
        at = np.searchsorted(own, events.raised_at_s[logged])
        with_s[logged] = own[np.minimum(at, len(own) - 1)]
    return with_s
