"""Readings of before the run: what the store was given, held against what it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from emulator.identity import concentrator_name, meter_name
from harness.check.recorded import RecordedRun
from harness.explain.reading_story import Known, when
from harness.explain.readings import Concerned, FoundReading, Trace
from harness.explain.story import Subject
from harness.ledger.fates import Interval, judge
from harness.store.interface import StoredReader
from harness.store.rows import StoredRows

IN_HISTORY: Final = ("preloaded", "preloaded_wrong")
"""Measures of readings that no link carried."""


def of_history(run: RecordedRun, reader: StoredReader, most: int) -> Concerned:
    """Return the readings of before the run that are not there as their meters registered them.

    Raises `StoreError`: the store cannot be read.
    """
    traced = Trace(run, reader, "preloaded_wrong", most)
    meters, truth = run.grid.meters, run.truth
    known = Interval.of_history(meters)
    for interval in range(truth.intervals.start, 0):
        captured_at_s = int(run.schedule.plan.captured_at(np.array([interval]))[0])
        slot = reader.rows(captured_at_s)
        mine = (slot.rows.meter < meters) & (slot.rows.profile == truth.profile.number)
        slot = StoredRows(slot.rows.take(mine), slot.stored_at_us[mine])
        values, status = truth.registers(slot.rows.meter.astype(np.int64), interval)
        equal = (slot.rows.values == values).all(axis=1) & (slot.rows.status == status)
        traced.note(interval, known, judge(known, slot, equal))
    return traced.concerned


def history_story(known: Known, found: FoundReading) -> Subject:
    """Return what became of a reading that the store was given before the run began."""
    owner = concentrator_name(known.concentrator_of(found.meter)).decode()
    return Subject(
        f"{meter_name(found.meter).decode()} behind {owner}, captured at "
        f"{when(found.captured_at_s)} ({-found.interval} intervals before the run)",
        (
            f"meter {found.meter}; the store was given it before the run, so no link carried it",
            *_compared(known.run, found),
        ),
    )


def _compared(run: RecordedRun, found: FoundReading) -> Iterator[str]:
    if not found.rows:
        yield "the store has no row of it: it was never written, or was taken away since"
    for row in found.rows:
        has = (row.status, *row.values)
        names = ("status", *run.truth.profile.names)
        for name, registered, stored in zip(names, found.expected, has, strict=True):
            if registered != stored:
                yield f"{name}: registered {registered}, stored {stored}"
