"""What has arrived and what is missing: one bit a reading, and the gaps that follow from it.

A head-end knows the rhythm of its meters, so it knows which readings there should be. A reading
that is not there ``after_s`` after its capture is a gap; it is fetched at most ``attempts`` times,
because a meter that its concentrator does not hear is not brought back by asking. When the meter
is heard again, what it missed may be fetched anew: only now can the concentrator have it. What was
forgotten on purpose is no gap, and neither is what is older than readings are kept.

Beside the bits there is the number missing of each concentrator at each capture, kept up to date as
readings arrive: looking for gaps reads those numbers only, however many meters are silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.headend.config import GapFillingRules
from harness.store.rows import Rows

TRIES_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings missing behind one concentrator, captured in [from_s, to_s]."""

    concentrator: int
    from_s: int
    to_s: int
    missing: int


class Presence:
    """Arrival of the readings of one shard's meters.

    It takes ``steps`` x (meters / 8 + 5 x concentrators) + 8 x meters octets: 45 MB for 288
    captures of 700,000 meters behind 10,000 concentrators.

    Args:
        first_meter: int64 (concentrators + 1): meters of each concentrator, in the grid's numbers.
        first_concentrator: number of the first concentrator.
        first_s: capture time of the first reading expected, POSIX seconds; kept as attribute.
        step_s: the rhythm, seconds.
        steps: how many captures are expected.
    """

    def __init__(
        self,
        first_meter: NDArray[np.int64],
        first_concentrator: int,
        *,
        first_s: int,
        step_s: int,
        steps: int,
    ) -> None:
        counts = np.diff(first_meter)
        self._first_meter = int(first_meter[0])
        self._first_concentrator = first_concentrator
        self.first_s = first_s
        self._step_s = step_s
        self._steps = steps
        self._owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._newest = np.full(len(self._owner), -1, np.int32)
        self._arrived = np.zeros((steps, (len(self._owner) + 7) // 8), np.uint8)
        # A concentrator a row: its captures lie together, and gaps are spans of captures.
        self._missing = np.repeat(counts.astype(np.int32)[:, np.newaxis], steps, axis=1)
        self._tries = np.zeros((len(counts), steps), np.uint8)
        self._counts = counts.astype(np.int32)
        self._kept = 0
        """The first capture that was not forgotten on purpose."""

    @property
    def octets(self) -> int:
        """How many octets of memory its captures take."""
        return self._arrived.nbytes + self._missing.nbytes + self._tries.nbytes

    def load(self, captured_at_s: int, present: NDArray[np.bool_]) -> None:
        """Take over what the store holds of one capture time, bool (meters,)."""
        slot, off = divmod(captured_at_s - self.first_s, self._step_s)
        if off or not 0 <= slot < self._steps:
            return
        self._arrived[slot] = np.packbits(present)
        absent = self._owner[~present]
        self._missing[:, slot] = np.bincount(absent, minlength=len(self._missing))
        np.maximum(self._newest, slot, out=self._newest, where=present)

    def note(self, rows: Rows) -> None:
        """Note rows that are durable now; those that nobody expects change nothing."""
        slot, off = np.divmod(rows.captured_at_s - self.first_s, self._step_s)
        meter = rows.meter.astype(np.int64) - self._first_meter
        expected = (off == 0) & (slot >= 0) & (slot < self._steps)
        expected &= (meter >= 0) & (meter < len(self._owner))
        slot, meter = slot[expected], meter[expected]
        bits = (128 >> (meter & 7)).astype(np.uint8)
        fresh = self._arrived[slot, meter >> 3] & bits == 0
        # Of readings that one commit brings twice, the second is not fresh.
        unique = np.unique(slot[fresh] * len(self._owner) + meter[fresh])
        slot, meter = np.divmod(unique, len(self._owner))
        bits = (128 >> (meter & 7)).astype(np.uint8)
        np.bitwise_or.at(self._arrived, (slot, meter >> 3), bits)
        np.subtract.at(self._missing, (self._owner[meter], slot), 1)
        self._hear(slot, meter)

    def gaps(self, now_s: float, rules: GapFillingRules) -> list[Gap]:
        """Return, per concentrator, the span of what is overdue and may still be fetched."""
        due = self._captured_by(now_s - rules.after_s)
        kept = max(self._kept, self._captured_by(now_s - rules.within_s))
        if due <= kept:
            return []
        missing = self._missing[:, kept:due]
        wanted = (missing > 0) & (self._tries[:, kept:due] < rules.attempts)
        index = np.flatnonzero(wanted.any(axis=1))
        wanted = wanted[index]
        first = kept + wanted.argmax(axis=1)
        last = due - 1 - wanted[:, ::-1].argmax(axis=1)
        count = np.where(wanted, missing[index], 0).sum(axis=1)
        spans = zip(index.tolist(), first.tolist(), last.tolist(), count.tolist(), strict=True)
        return [
            Gap(
                concentrator=self._first_concentrator + number,
                from_s=self.first_s + begins * self._step_s,
                to_s=self.first_s + ends * self._step_s,
                missing=readings,
            )
            for number, begins, ends, readings in spans
        ]

    def missing(self, gap: Gap) -> list[int]:
        """Return the meters, within their concentrator, that something of ``gap`` is missing of."""
        number = gap.concentrator - self._first_concentrator
        members = slice(*np.searchsorted(self._owner, (number, number + 1)))
        slots = slice(
            (gap.from_s - self.first_s) // self._step_s,
            (gap.to_s - self.first_s) // self._step_s + 1,
        )
        # Whole octets of bits, of which the first and the last may hold others' meters too.
        octets = slice(members.start >> 3, (members.stop + 7) >> 3)
        bits = np.unpackbits(self._arrived[slots, octets], axis=1)
        first = members.start - octets.start * 8
        arrived = bits[:, first : first + members.stop - members.start]
        absent: list[int] = np.flatnonzero(~arrived.astype(np.bool_).all(axis=0)).tolist()
        return absent

    def tried(self, gap: Gap) -> None:
        """Note that ``gap`` was fetched, whatever came of it."""
        begins = (gap.from_s - self.first_s) // self._step_s
        ends = (gap.to_s - self.first_s) // self._step_s
        tries = self._tries[gap.concentrator - self._first_concentrator, begins : ends + 1]
        np.add(tries, 1, out=tries, where=tries < TRIES_MAX)

    def missing_total(self, now_s: float) -> int:
        """Return how many readings captured up to now, and not forgotten, have not arrived."""
        return int(self._missing[:, self._kept : self._captured_by(now_s)].sum(dtype=np.int64))

    def forget(self, before_s: int) -> None:
        """Expect nothing any more that was captured before then: it was forgotten on purpose."""
        self._kept = max(self._kept, self._captured_by(before_s - 1))

    def lose(self, before_s: int) -> None:
        """Take what was captured before then as never arrived, and never asked for."""
        lost = self._captured_by(before_s - 1)
        self._arrived[:lost] = 0
        self._missing[:, :lost] = self._counts[:, np.newaxis]
        self._tries[:, :lost] = 0

    def _hear(self, slot: NDArray[np.int64], meter: NDArray[np.int64]) -> None:
        """Let what meters missed before ``slot`` be tried anew, where they were silent."""
        begins = self._newest[meter].astype(np.int64) + 1
        back = slot > begins
        owners, begins, ends = self._owner[meter[back]], begins[back], slot[back]
        spans = zip(owners.tolist(), begins.tolist(), ends.tolist(), strict=True)
        for owner, begin, end in set(spans):
            self._tries[owner, begin:end] = 0
        np.maximum.at(self._newest, meter, slot.astype(np.int32))

    def _captured_by(self, now_s: float) -> int:
        """Return how many captures have happened by then."""
        elapsed = (now_s - self.first_s) // self._step_s + 1
        return int(max(0, min(elapsed, self._steps)))
