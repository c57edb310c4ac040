"""The fate of every reading of one interval.

Definitions (ARCHITECTURE.md, "What is counted"):

* *owed*: its delivery window opens before the drain begins; otherwise *deferred*;
* *stored*: at least one row; *correct*: every row of it equals the truth; *wrong*: some row does
  not; *duplicated* counts the rows beyond the first;
* *lost*: owed, handed to a link at least once, not stored; *unattempted*: owed, never handed to a
  link, not stored;
* *late*: owed and first stored after its deadline, the opening of its window plus one step;
* *invented*: a row of no meter or capture profile of the plan, or of a reading nobody sent.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import StoredRows

BoolArray = NDArray[np.bool_]


@dataclass(slots=True)
class Counts:
    """Readings by fate (``duplicated`` and ``invented``: rows)."""

    owed: int = 0
    deferred: int = 0
    unattempted: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    correct: int = 0
    late: int = 0
    lost: int = 0
    lost_after_acknowledge: int = 0
    duplicated: int = 0
    wrong: int = 0
    invented: int = 0

    def add(self, other: Counts) -> None:
        """Add ``other`` to this."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of one interval before it is judged; every array has one element per meter.

    Attributes:
        delivery_step: int32, the step at which its window opens; ``steps`` or more: never.
        steps: number of steps of the plan.
        sent: handed to a link.
        acknowledged: acknowledged by the head-end.
        deadline_us: int64, POSIX microseconds by which it must be stored.
    """

    delivery_step: NDArray[np.int32]
    steps: int
    sent: BoolArray
    acknowledged: BoolArray
    deadline_us: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fates:
    """The fate of each reading: bool per meter; ``extra_rows`` int64 per meter.

    ``first_stored_at_us`` is int64 per meter, 0 where nothing is stored. ``rows_off_the_plan``
    counts rows of unknown meters or profiles. ``wrong_rows`` indexes the judged rows that differ.
    """

    owed: BoolArray
    sent: BoolArray
    acknowledged: BoolArray
    stored: BoolArray
    wrong: BoolArray
    late: BoolArray
    extra_rows: NDArray[np.int64]
    first_stored_at_us: NDArray[np.int64]
    rows_off_the_plan: int

    @property
    def lost(self) -> BoolArray:
        """Owed, handed to a link, not stored."""
        return self.owed & self.sent & ~self.stored

    @property
    def unattempted(self) -> BoolArray:
        """Owed, never handed to a link, not stored."""
        return self.owed & ~self.sent & ~self.stored

    @property
    def invented(self) -> BoolArray:
        """Stored, though nobody sent it."""
        return self.stored & ~self.sent

    def counts(self, among: BoolArray | slice = slice(None)) -> Counts:
        """Count the fates of the meters ``among``; rows off the plan belong to no meter."""
        return Counts(
            owed=_count(self.owed[among]),
            deferred=_count(~self.owed[among]),
            unattempted=_count(self.unattempted[among]),
            sent=_count(self.sent[among]),
            acknowledged=_count(self.acknowledged[among]),
            stored=_count(self.stored[among]),
            correct=_count((self.stored & ~self.wrong)[among]),
            late=_count(self.late[among]),
            lost=_count(self.lost[among]),
            lost_after_acknowledge=_count((self.acknowledged & ~self.stored)[among]),
            duplicated=int(self.extra_rows[among].sum()),
            wrong=_count(self.wrong[among]),
            invented=_count(self.invented[among]),
        )


def _count(column: BoolArray) -> int:
    return int(np.count_nonzero(column))


def judge(interval: Interval, on_plan: StoredRows, equal: BoolArray, off_plan: int) -> Fates:
    """Return the fate of every reading of one interval.

    Args:
        interval: what was planned and recorded.
        on_plan: its stored rows of known meters and profile, by meter, then time of storing.
        equal: for each of those rows, whether it equals the truth.
        off_plan: how many further rows the slot holds.
    """
    meters = len(interval.delivery_step)
    meter = on_plan.rows.meter.astype(np.int64)
    distinct, first, rows = np.unique(meter, return_index=True, return_counts=True)
    stored, wrong = np.zeros(meters, np.bool_), np.zeros(meters, np.bool_)
    stored[distinct] = True
    wrong[meter[~equal]] = True
    extra = np.zeros(meters, np.int64)
    extra[distinct] = rows - 1
    first_stored_at = np.zeros(meters, np.int64)
    first_stored_at[distinct] = on_plan.stored_at_us[first]
    owed = interval.delivery_step < interval.steps
    late = owed & stored & (first_stored_at > interval.deadline_us)
    return Fates(
        owed=owed,
        sent=interval.sent,
        acknowledged=interval.acknowledged,
        stored=stored,
        wrong=wrong,
        late=late,
        extra_rows=extra,
        first_stored_at_us=first_stored_at,
        rows_off_the_plan=off_plan,
    )
