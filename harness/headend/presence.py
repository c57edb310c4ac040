"""What has arrived and what is missing: one bit a reading, and the gaps that follow from it.

A head-end knows the rhythm of its meters, so it knows which readings there should be. A reading
that is not there ``after_s`` after its capture is a gap; it is fetched at most ``attempts`` times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.headend.config import GapFillingRules
from harness.store.rows import Rows


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings missing behind one concentrator, captured in [from_s, to_s]."""

    concentrator: int
    from_s: int
    to_s: int
    missing: int


class Presence:
    """Arrival of the readings of one shard's meters.

    Args:
        first_meter: int64 (concentrators + 1): meters of each concentrator, in the grid's numbers.
        first_concentrator: number of the first concentrator.
        first_s: capture time of the first reading expected, POSIX seconds.
        step_s: the rhythm, seconds.
    """

    def __init__(
        self,
        first_meter: NDArray[np.int64],
        first_concentrator: int,
        *,
        first_s: int,
        step_s: int,
    ) -> None:
        self._first_meter = first_meter
        self._first_concentrator = first_concentrator
        self._first_s = first_s
        self._step_s = step_s
        self._meters = int(first_meter[-1] - first_meter[0])
        self._arrived: dict[int, NDArray[np.uint8]] = {}
        self._attempts: dict[int, NDArray[np.uint8]] = {}

    def load(self, captured_at_s: int, present: NDArray[np.bool_]) -> None:
        """Take over what the store holds of one capture time, bool (meters,)."""
        self._arrived[self._slot(captured_at_s)] = np.packbits(present)

    def note(self, rows: Rows) -> None:
        """Note rows that are durable now."""
        for captured_at_s in np.unique(rows.captured_at_s):
            arrived = self._of(self._slot(int(captured_at_s)))
            meters = rows.meter[rows.captured_at_s == captured_at_s].astype(np.int64)
            position = meters - self._first_meter[0]
            bits = (128 >> (position & 7)).astype(np.uint8)
            np.bitwise_or.at(arrived, position >> 3, bits)

    def gaps(self, now_s: float, rules: GapFillingRules) -> list[Gap]:
        """Return, per concentrator, the span of what is overdue and may still be fetched."""
        last = int((now_s - rules.after_s - self._first_s) // self._step_s)
        found: dict[int, Gap] = {}
        for slot in range(last + 1):
            missing = self._missing(slot)
            missing[self._tries(slot) >= rules.attempts] = 0
            captured_at_s = self._first_s + slot * self._step_s
            for index in np.flatnonzero(missing):
                number = self._first_concentrator + int(index)
                before = found.get(number)
                found[number] = Gap(
                    number,
                    before.from_s if before else captured_at_s,
                    captured_at_s,
                    int(missing[index]) + (before.missing if before else 0),
                )
        return list(found.values())

    def tried(self, gap: Gap) -> None:
        """Note that ``gap`` was fetched, whatever came of it."""
        index = gap.concentrator - self._first_concentrator
        for slot in range(self._slot(gap.from_s), self._slot(gap.to_s) + 1):
            tries = self._tries(slot)
            tries[index] = min(255, int(tries[index]) + 1)

    def oldest_missing_s(self, concentrator: int, now_s: float) -> int | None:
        """Return the oldest capture time up to now at which anything of it is missing."""
        index = concentrator - self._first_concentrator
        last = int((now_s - self._first_s) // self._step_s)
        first, end = self._first_meter[index : index + 2] - self._first_meter[0]
        for slot in range(last + 1):
            bits = np.unpackbits(self._of(slot)[first >> 3 : (end + 7) >> 3])
            if not bits[first & 7 : (first & 7) + end - first].all():
                return self._first_s + slot * self._step_s
        return None

    def missing_total(self, now_s: float) -> int:
        """Return how many readings captured up to now have not arrived."""
        last = int((now_s - self._first_s) // self._step_s)
        return sum(
            self._meters - int(np.bitwise_count(self._of(slot)).sum()) for slot in range(last + 1)
        )

    def _slot(self, captured_at_s: int) -> int:
        return (captured_at_s - self._first_s) // self._step_s

    def _of(self, slot: int) -> NDArray[np.uint8]:
        if slot not in self._arrived:
            self._arrived[slot] = np.zeros((self._meters + 7) // 8, np.uint8)
        return self._arrived[slot]

    def _tries(self, slot: int) -> NDArray[np.uint8]:
        if slot not in self._attempts:
            self._attempts[slot] = np.zeros(len(self._first_meter) - 1, np.uint8)
        return self._attempts[slot]

    def _missing(self, slot: int) -> NDArray[np.int64]:
        bits = np.unpackbits(self._of(slot), count=self._meters)
        starts = self._first_meter[:-1] - self._first_meter[0]
        missing: NDArray[np.int64] = np.add.reduceat(1 - bits.astype(np.int64), starts)
        return missing
