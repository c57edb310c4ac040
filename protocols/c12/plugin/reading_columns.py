"""Readings as columns: some of them, several as one, and in the order that a push has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from protocols.readings import EventBatch, ReadingBatch


def without_events(rows: ReadingBatch, which: NDArray[np.intp] | NDArray[np.bool_]) -> ReadingBatch:
    """Return some readings, without events."""
    return ReadingBatch(
        rows.concentrator,
        rows.meter_ids[which],
        rows.captured_at_s[which],
        rows.status[which],
        rows.values[which],
    )


def in_order(rows: ReadingBatch) -> ReadingBatch:
    """Return readings by meter and time, and their events by meter, source, sequence and code."""
    events = rows.events
    of_events = np.lexsort((events.code, events.sequence, events.source, events.meter_ids))
    taken = without_events(rows, np.lexsort((rows.captured_at_s, rows.meter_ids)))
    return replace(taken, events=events.take(of_events))


def joined(concentrator: bytes, parts: Sequence[ReadingBatch]) -> ReadingBatch:
    """Return readings and events of one concentrator, one part behind the other."""
    if len(parts) == 1:
        return parts[0]
    return ReadingBatch(
        concentrator,
        np.concatenate([part.meter_ids for part in parts]),
        np.concatenate([part.captured_at_s for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.values for part in parts]),
        EventBatch.concatenate([part.events for part in parts]),
    )
