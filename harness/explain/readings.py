"""The readings that a check is about, found by the ledger itself: nothing is judged twice.

`Trace` watches the ledger, interval by interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.check.recorded import RecordedRun
from harness.ledger.fates import BoolArray, Fates, Interval
from harness.ledger.reconcile import Ledger, Reconciliation
from harness.store.interface import StoredReader
from harness.store.rows import StoredRows

CHOSEN: Final[Mapping[str, Callable[[Fates], BoolArray]]] = {
    "lost": lambda fates: fates.lost,
    "lost_acknowledged": lambda fates: fates.acknowledged & ~fates.stored,
    "unattempted": lambda fates: fates.unattempted,
    "late": lambda fates: fates.late,
    "wrong": lambda fates: fates.differs,
    "duplicated": lambda fates: fates.extra_rows > 0,
    "invented": lambda fates: fates.invented,
    "deferred": lambda fates: ~fates.owed,
    "owed": lambda fates: fates.owed & ~fates.stored,
    "sent": lambda fates: fates.owed & ~fates.offered,
    "acknowledged": lambda fates: fates.owed & ~fates.acknowledged,
    "stored": lambda fates: fates.owed & ~fates.stored,
    "correct": lambda fates: fates.owed & ~fates.correct,
    "preloaded": lambda fates: ~fates.correct,
    "preloaded_wrong": lambda fates: ~fates.correct,
}
"""Which readings a check of ``readings.<name>`` is about: of something wanted, those without it."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of a reading: POSIX microseconds (0: unknown), status, registers."""

    stored_at_us: int
    status: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoundReading:
    """One reading that a check is about.

    ``expected`` are status and registers as the meter registered them; ``rows`` what is stored,
    ``conflicts`` what was kept aside.
    """

    meter: int
    interval: int
    captured_at_s: int
    sent: bool
    acknowledged: bool
    expected: tuple[int, ...]
    rows: tuple[StoredRow, ...] = ()
    conflicts: tuple[StoredRow, ...] = ()


@dataclass(slots=True)
class Concerned:
    """All readings that a check is about: how many, whose, when, and the first few.

    ``by_concentrator`` and ``by_interval`` count them; ``acknowledged`` those that were. ``first``
    are of different concentrators, ``next`` are not.
    """

    first: list[FoundReading] = field(default_factory=list)
    next: list[FoundReading] = field(default_factory=list)
    count: int = 0
    acknowledged: int = 0
    sent: int = 0
    by_concentrator: dict[int, int] = field(default_factory=dict)
    by_interval: dict[int, int] = field(default_factory=dict)
    meters: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Trace:
    """Takes in what the ledger judges and remembers the readings of one fate, ``most`` closely."""

    run: RecordedRun
    reader: StoredReader
    fate: str
    most: int
    concerned: Concerned = field(default_factory=Concerned)

    def note(self, interval: int, known: Interval, fates: Fates) -> None:
        """Count those of an interval. Raises `StoreError` when the store cannot be read."""
        chosen = np.flatnonzero(CHOSEN[self.fate](fates))
        if not len(chosen):
            return
        found = self.concerned
        found.count += len(chosen)
        found.sent += int(fates.sent[chosen].sum())
        found.acknowledged += int(fates.acknowledged[chosen].sum())
        found.by_interval[interval] = len(chosen)
        found.meters.update(chosen.tolist())
        owners, firsts, counts = np.unique(
            self.run.grid.concentrator_of(chosen), return_index=True, return_counts=True
        )
        for owner, first, count in zip(
            owners.tolist(), firsts.tolist(), counts.tolist(), strict=True
        ):
            seen = owner in found.by_concentrator
            found.by_concentrator[owner] = found.by_concentrator.get(owner, 0) + count
            for meter in chosen[first : first + min(count, self.most)].tolist():
                where = found.next if seen else found.first
                seen = True
                if len(where) < self.most:
                    where.append(self._closely(meter, interval, fates))

    def _closely(self, meter: int, interval: int, fates: Fates) -> FoundReading:
        truth = self.run.truth
        values, status = truth.registers(np.array([meter]), interval)
        captured_at_s = int(self.run.schedule.plan.captured_at(np.array([interval]))[0])
        slot = self.reader.rows(captured_at_s)
        mine = (slot.rows.meter == meter) & (slot.rows.profile == truth.profile.number)
        return FoundReading(
            meter,
            interval,
            captured_at_s,
            bool(fates.sent[meter]),
            bool(fates.acknowledged[meter]),
            (int(status[0]), *values[0].tolist()),
            rows_of(slot, mine),
        )


def rows_of(stored: StoredRows, chosen: BoolArray) -> tuple[StoredRow, ...]:
    """Return the chosen rows, one by one."""
    return tuple(
        StoredRow(
            int(stored.stored_at_us[place]),
            int(stored.rows.status[place]),
            tuple(stored.rows.values[place].tolist()),
        )
        for place in np.flatnonzero(chosen)
    )


def trace(
    run: RecordedRun, reader: StoredReader, fate: str, most: int
) -> tuple[Concerned, Reconciliation]:
    """Return the readings of one fate, and all else that the ledger found.

    Raises:
        StoreError: the store cannot be read.
    """
    traced = Trace(run, reader, fate, most)
    ledger = Ledger(
        grid=run.grid,
        schedule=run.schedule,
        truth=run.truth,
        records=run.delivery_records(),
        reader=reader,
        profile=run.truth.profile.number,
        times=run.times(),
        steps_opened=run.steps_opened(),
        events=run.events,
        watch=traced.note,
    )
    found = ledger.reconcile()
    return traced.concerned, found


def conflicting(run: RecordedRun, reader: StoredReader, most: int) -> Concerned:
    """Return the readings of which a later arrival said something else. Raises `StoreError`."""
    aside, found = reader.conflicts(), Concerned()
    first_s = int(run.schedule.plan.captured_at(np.array([0]))[0])
    known = {
        (int(meter), int(at_s))
        for meter, at_s in zip(aside.rows.meter, aside.rows.captured_at_s, strict=True)
        if meter < run.grid.meters
    }
    found.count = len(aside)
    for meter, at_s in sorted(known, key=lambda it: (it[1], it[0])):
        interval = (at_s - first_s) // run.schedule.plan.step_s
        owner = int(run.grid.concentrator_of(np.array([meter]))[0])
        found.meters.add(meter)
        found.by_concentrator[owner] = found.by_concentrator.get(owner, 0) + 1
        found.by_interval[interval] = found.by_interval.get(interval, 0) + 1
        if len(found.first) < most and 0 <= interval < run.schedule.plan.steps:
            found.first.append(_conflict(run, reader, aside, meter, interval, at_s))
    return found


def _conflict(
    run: RecordedRun, reader: StoredReader, aside: StoredRows, meter: int, interval: int, at_s: int
) -> FoundReading:
    values, status = run.truth.registers(np.array([meter]), interval)
    slot = reader.rows(at_s)
    same = (aside.rows.meter == meter) & (aside.rows.captured_at_s == at_s)
    return FoundReading(
        meter,
        interval,
        at_s,
        True,
        True,
        (int(status[0]), *values[0].tolist()),
        rows_of(slot, slot.rows.meter == meter),
        rows_of(aside, same),
    )
