"""The fate of every alarm: what meters raised, held against what was stored.

An alarm rides with the reading of its interval, so it is owed, sent and acknowledged exactly when
that reading is. Definitions:

* *owed*: its reading is owed; otherwise *deferred*;
* *stored*: at least one row, owed or not; *duplicated* counts the rows beyond the first;
* *correct*: owed, stored, and every row of it says when it was raised and with which argument as
  its meter does; *wrong*: owed, and some row of it does not;
* *lost*: owed, its reading offered to the head-end (`harness.ledger.fates`), not stored;
  *unattempted*: owed, its reading never offered, not stored;
* *invented*: a row of an alarm that no meter raises in the whole plan, or a deferred one that is
  not as its meter raises it.

So owed = correct + wrong + lost + unattempted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.meter_events import RaisedEvents
from harness.ledger.fates import BoolArray, Interval
from harness.store.rows import Alarms, StoredAlarms

ALARM_EXAMPLES_MAX: Final = 10

AlarmKind = tuple[int, int]
"""(source, code)."""


@dataclass(slots=True)
class AlarmCounts:
    """Alarms by fate (``duplicated`` and ``invented``: rows)."""

    owed: int = 0
    deferred: int = 0
    unattempted: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    correct: int = 0
    lost: int = 0
    lost_after_acknowledge: int = 0
    duplicated: int = 0
    wrong: int = 0
    invented: int = 0

    def add(self, other: AlarmCounts) -> None:
        """Add ``other`` to this."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(slots=True)
class KindCounts:
    """The alarms of one kind: how many are owed and stored, and when they were raised.

    ``first_s`` and ``last_s`` are POSIX seconds, of all that was raised or stored.
    """

    owed: int = 0
    stored: int = 0
    first_s: int | None = None
    last_s: int | None = None

    def note(self, owed: int, stored: int, raised_at_s: NDArray[np.int64]) -> None:
        """Count alarms raised at these times (at least one)."""
        first_s, last_s = int(raised_at_s.min()), int(raised_at_s.max())
        self.owed += owed
        self.stored += stored
        self.first_s = first_s if self.first_s is None else min(self.first_s, first_s)
        self.last_s = last_s if self.last_s is None else max(self.last_s, last_s)


@dataclass(frozen=True, slots=True)
class AlarmExample:
    """One alarm that failed, for a person to look at."""

    fate: str
    meter: int
    source: int
    code: int
    sequence: int
    raised_at_s: int


@dataclass(slots=True)
class AlarmAccount:
    """What the ledger found about alarms.

    ``owed_per_interval`` and ``stored_per_interval`` (int64, (steps,)) are by the interval in which
    an alarm was raised.
    """

    owed_per_interval: NDArray[np.int64]
    stored_per_interval: NDArray[np.int64]
    counts: AlarmCounts = field(default_factory=AlarmCounts)
    kinds: dict[AlarmKind, KindCounts] = field(default_factory=dict)
    examples: list[AlarmExample] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was raised and nothing stored."""
        return not self.kinds


class AlarmLedger:
    """Holds what is stored against what is raised, interval by interval; then asks for the rest.

    Args:
        stored: all stored alarms, tampered or not.
        steps: how many intervals the plan has.
    """

    def __init__(self, stored: StoredAlarms, steps: int) -> None:
        keys = stored.alarms.keys()
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._alarms = stored.alarms.take(order)
        self._claimed = np.zeros(len(order), np.bool_)
        self._account = AlarmAccount(np.zeros(steps, np.int64), np.zeros(steps, np.int64))

    def judge(self, number: int, interval: Interval, raised: RaisedEvents) -> None:
        """Judge what is raised in interval ``number``, by meters of the whole grid."""
        if not len(raised):
            return
        found, differs = self._find(raised)
        owed = interval.delivery_step[raised.meters] < interval.steps
        sent = interval.sent[raised.meters]
        acknowledged = interval.acknowledged[raised.meters]
        offered, stored = sent | interval.pulled, found > 0
        fates = {
            "lost": owed & offered & ~stored,
            "lost after acknowledge": acknowledged & ~stored,
            "wrong": owed & differs,
            "duplicated": found > 1,
        }
        account = self._account
        account.counts.add(
            AlarmCounts(
                owed=_count(owed),
                deferred=_count(~owed),
                unattempted=_count(owed & ~offered & ~stored),
                sent=_count(sent),
                acknowledged=_count(acknowledged),
                stored=_count(stored),
                correct=_count(owed & stored & ~differs),
                lost=_count(fates["lost"]),
                lost_after_acknowledge=_count(fates["lost after acknowledge"]),
                duplicated=int((found - stored).sum()),
                wrong=_count(fates["wrong"]),
                invented=_count(~owed & differs),
            )
        )
        account.owed_per_interval[number] += _count(owed)
        account.stored_per_interval[number] += _count(stored)
        alarms = _alarms_of(raised)
        self._note_kinds(alarms, owed, stored)
        for fate, which in fates.items():
            self._note_examples(fate, alarms.take(which))

    def finish(self) -> AlarmAccount:
        """Count what nobody raised, and return the account; once, after all intervals."""
        rest = self._alarms.take(~self._claimed)
        self._account.counts.invented += len(rest)
        self._account.counts.stored += len(np.unique(self._keys[~self._claimed]))
        self._note_kinds(rest, np.zeros(len(rest), np.bool_), np.ones(len(rest), np.bool_))
        self._note_examples("invented", rest)
        return self._account

    def _find(self, raised: RaisedEvents) -> tuple[NDArray[np.int64], BoolArray]:
        """Return how many rows there are of each alarm, and of which some row differs."""
        wanted = _alarms_of(raised)
        keys = wanted.keys()
        first = np.searchsorted(self._keys, keys, "left")
        rows = np.searchsorted(self._keys, keys, "right") - first
        owner = np.repeat(np.arange(len(keys)), rows)
        place = np.repeat(first - np.cumsum(rows) + rows, rows) + np.arange(len(owner))
        self._claimed[place] = True
        other = (self._alarms.raised_at_s[place] != wanted.raised_at_s[owner]) | (
            self._alarms.argument[place] != wanted.argument[owner]
        )
        differs = np.bincount(owner[other], minlength=len(keys)) > 0
        return rows, differs

    def _note_kinds(self, alarms: Alarms, owed: BoolArray, stored: BoolArray) -> None:
        kind = alarms.source.astype(np.uint32) << 16 | alarms.code
        for value in np.unique(kind).tolist():
            which = kind == value
            counts = self._account.kinds.setdefault((value >> 16, value & 0xFFFF), KindCounts())
            counts.note(_count(owed[which]), _count(stored[which]), alarms.raised_at_s[which])

    def _note_examples(self, fate: str, alarms: Alarms) -> None:
        examples = self._account.examples
        for row in range(min(len(alarms), ALARM_EXAMPLES_MAX - len(examples))):
            examples.append(
                AlarmExample(
                    fate,
                    int(alarms.meter[row]),
                    int(alarms.source[row]),
                    int(alarms.code[row]),
                    int(alarms.sequence[row]),
                    int(alarms.raised_at_s[row]),
                )
            )


def _alarms_of(raised: RaisedEvents) -> Alarms:
    return Alarms(
        meter=raised.meters.astype(np.uint32),
        source=raised.source,
        code=raised.code,
        sequence=raised.sequence,
        raised_at_s=raised.raised_at_s,
        argument=raised.argument,
    )


def _count(column: BoolArray) -> int:
    return int(np.count_nonzero(column))
