"""The fate of every reading of one interval.

Definitions (ARCHITECTURE.md, "What is counted"):

* *owed*: its delivery window opens before the drain begins; otherwise *deferred*;
* *stored*: at least one row, owed or not; *duplicated* counts the rows beyond the first;
* *correct*: owed, stored, and every row of it equals the truth; *wrong*: owed, and some row of it
  does not;
* *lost*: owed, handed to a link at least once, not stored; *unattempted*: owed, never handed to a
  link, not stored. Where the head-end pulls, a reading that lay ready in its concentrator's buffer
  counts as handed over, whether or not anybody asked: not asking is the head-end's fault;
* *late*: owed and first stored after its deadline, the opening of its window plus one step;
  *untimed*: owed and stored by a store that does not say when, so that nobody knows;
* *invented*: a row of no meter or capture profile of the plan, a reading nobody sent, or a deferred
  reading with values that its meter never registered;
* *preloaded*: captured before the run and in the store as its meter registered it; *preloaded
  wrong*: captured before the run, and missing or not so. Of such readings only rows too many are
  counted besides, as *duplicated* and *invented*.

So owed = correct + wrong + lost + unattempted, in every run.
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
    untimed: int = 0
    lost: int = 0
    lost_after_acknowledge: int = 0
    duplicated: int = 0
    wrong: int = 0
    invented: int = 0
    preloaded: int = 0
    preloaded_wrong: int = 0

    def add(self, other: Counts) -> None:
        """Add ``other`` to this."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of one interval before it is judged; every array has one element per meter.

    Attributes:
        delivery_step: int32, the step at which its window opens; ``steps`` or more: deferred.
        steps: how many steps had opened before the drain began.
        sent: handed to a link.
        acknowledged: acknowledged by the head-end.
        deadline_us: int64, POSIX microseconds by which it must be stored.
        pulled: whether the head-end has to ask for it.
    """

    delivery_step: NDArray[np.int32]
    steps: int
    sent: BoolArray
    acknowledged: BoolArray
    deadline_us: NDArray[np.int64]
    pulled: bool = False

    @classmethod
    def of_history(cls, meters: int) -> Interval:
        """Return an interval that the store was given before the run: all of it must be there."""
        return cls(
            delivery_step=np.zeros(meters, np.int32),
            steps=1,
            sent=np.ones(meters, np.bool_),
            acknowledged=np.zeros(meters, np.bool_),
            deadline_us=np.full(meters, np.iinfo(np.int64).max),
        )


@dataclass(frozen=True, slots=True)
class Fates:
    """The fate of each reading: bool per meter; ``extra_rows`` int64 per meter.

    ``offered``: handed to a link or, where the head-end pulls, ready to be. ``differs``: some row
    of it is not what the meter registered. ``first_stored_at_us`` is int64 per meter, 0 where
    nothing is stored or the store does not say when.
    """

    owed: BoolArray
    sent: BoolArray
    offered: BoolArray
    acknowledged: BoolArray
    stored: BoolArray
    differs: BoolArray
    late: BoolArray
    extra_rows: NDArray[np.int64]
    first_stored_at_us: NDArray[np.int64]

    @property
    def correct(self) -> BoolArray:
        """Owed and stored as its meter registered it."""
        return self.owed & self.stored & ~self.differs

    @property
    def wrong(self) -> BoolArray:
        """Owed and stored with other values."""
        return self.owed & self.differs

    @property
    def untimed(self) -> BoolArray:
        """Owed and stored, nobody knows when."""
        untimed: BoolArray = self.owed & self.stored & (self.first_stored_at_us == 0)
        return untimed

    @property
    def lost(self) -> BoolArray:
        """Owed, offered, not stored."""
        return self.owed & self.offered & ~self.stored

    @property
    def unattempted(self) -> BoolArray:
        """Owed, never offered, not stored."""
        return self.owed & ~self.offered & ~self.stored

    @property
    def invented(self) -> BoolArray:
        """Stored, though nobody sent it or no meter ever made it."""
        return (self.stored & ~self.sent) | (self.differs & ~self.owed)

    def counts(self, among: BoolArray | slice = slice(None)) -> Counts:
        """Count the fates of the meters ``among``; rows off the plan belong to no meter."""
        return Counts(
            owed=_count(self.owed[among]),
            deferred=_count(~self.owed[among]),
            unattempted=_count(self.unattempted[among]),
            sent=_count(self.sent[among]),
            acknowledged=_count(self.acknowledged[among]),
            stored=_count(self.stored[among]),
            correct=_count(self.correct[among]),
            late=_count(self.late[among]),
            untimed=_count(self.untimed[among]),
            lost=_count(self.lost[among]),
            lost_after_acknowledge=_count((self.acknowledged & ~self.stored)[among]),
            duplicated=int(self.extra_rows[among].sum()),
            wrong=_count(self.wrong[among]),
            invented=_count(self.invented[among]),
        )


def _count(column: BoolArray) -> int:
    return int(np.count_nonzero(column))


def judge(interval: Interval, on_plan: StoredRows, equal: BoolArray) -> Fates:
    """Return the fate of every reading of one interval.

    Args:
        interval: what was planned and recorded.
        on_plan: its stored rows of known meters and profile, by meter, then time of storing.
        equal: for each of those rows, whether it equals the truth.
    """
    meters = len(interval.delivery_step)
    meter = on_plan.rows.meter.astype(np.int64)
    distinct, first, rows = np.unique(meter, return_index=True, return_counts=True)
    stored, differs = np.zeros(meters, np.bool_), np.zeros(meters, np.bool_)
    stored[distinct] = True
    differs[meter[~equal]] = True
    extra = np.zeros(meters, np.int64)
    extra[distinct] = rows - 1
    first_stored_at = np.zeros(meters, np.int64)
    first_stored_at[distinct] = on_plan.stored_at_us[first]
    owed = interval.delivery_step < interval.steps
    late = owed & stored & (first_stored_at > interval.deadline_us)
    return Fates(
        owed=owed,
        sent=interval.sent,
        offered=interval.sent | interval.pulled,
        acknowledged=interval.acknowledged,
        stored=stored,
        differs=differs,
        late=late,
        extra_rows=extra,
        first_stored_at_us=first_stored_at,
    )
