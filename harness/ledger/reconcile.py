"""Walk the plan interval by interval and sort every reading and alarm into its fate.

Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.delivery_record import DeliveryRecord, Mark
from emulator.grid import Grid
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.schedule import Schedule
from harness.ledger.alarms import AlarmAccount, AlarmLedger
from harness.ledger.fates import BoolArray, Counts, Fates, Interval, judge
from harness.ledger.fingerprint import Fingerprint, SlotPrint
from harness.store.interface import EventReader, StoredReader
from harness.store.rows import StoredRows

UInt32Array = NDArray[np.uint32]

EXAMPLES_MAX: Final = 20
BUCKETS_PER_STEP: Final = 60


@dataclass(frozen=True, slots=True)
class Example:
    """One reading that failed, for a person to look at.

    ``expected`` and ``found`` are status and registers; empty where there is none.
    """

    fate: str
    meter: int
    captured_at_s: int
    expected: tuple[int, ...] = ()
    found: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of meters to count apart: bool (meters,)."""

    kind: str
    name: str
    meters: BoolArray


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When scenario moments happened, POSIX microseconds (UTC).

    Attributes:
        start_us: when step 0 was due.
        step_us: the real length of a step, microseconds.
    """

    start_us: int
    step_us: float

    def step_opens_us(self, steps: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return when each step opened."""
        return (self.start_us + steps.astype(np.float64) * self.step_us).astype(np.int64)


@dataclass(slots=True)
class Reconciliation:
    """What the ledger found.

    ``stored_per_bucket`` (int64) counts owed readings by the time they were first stored, in
    buckets of 1/60 step from the start, the last bucket holding all that came later.
    ``owed_per_step``, ``planned_per_step``, ``heard_per_step`` (int64, (steps,)): readings due in
    each step, meters the plan makes reachable in it, and meters whose newest reading was stored
    before it ended. ``fingerprint`` is that of all readings the store holds. ``alarms`` is None
    where the store is not one of ours: nobody knows what alarms it has.
    """

    counts: Counts
    by_group: dict[tuple[str, str], Counts]
    examples: list[Example]
    stored_per_bucket: NDArray[np.int64]
    owed_per_step: NDArray[np.int64]
    planned_per_step: NDArray[np.int64]
    heard_per_step: NDArray[np.int64]
    fingerprint: Fingerprint = field(default_factory=dict)
    alarms: AlarmAccount | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything needed to judge a recorded run.

    Attributes:
        records: the delivery records of the fleet shards; a shard without one sent nothing.
        profile: number of the capture profile of the run.
        steps_opened: how many steps had opened before the drain began: fewer than the plan has
            when the run was cut short.
        groups: named sets of meters to count apart.
        events: what befalls meters.
        progress: called with each interval before it is judged, those of history (negative) first.
        watch: called with each interval of the run once it is judged.
        watch_history: the same for those of before the run.
    """

    grid: Grid
    schedule: Schedule
    truth: Truth
    records: Sequence[DeliveryRecord]
    reader: StoredReader
    profile: int
    times: RunTimes
    steps_opened: int
    groups: Sequence[Group] = ()
    events: MeterEvents | None = None
    progress: Callable[[int], None] = field(default=lambda interval: None)
    watch: Callable[[int, Interval, Fates], None] = field(default=lambda *found: None)
    watch_history: Callable[[int, Fates], None] = field(default=lambda *found: None)

    @property
    def _plan(self) -> Plan:
        return self.schedule.plan

    def reconcile(self) -> Reconciliation:
        """Judge every reading. Raises `StoreError` when the store cannot be read."""
        steps = self._plan.steps
        found = Reconciliation(
            counts=Counts(),
            by_group={(group.kind, group.name): Counts() for group in self.groups},
            examples=[],
            stored_per_bucket=np.zeros((steps + 1) * BUCKETS_PER_STEP + 1, np.int64),
            owed_per_step=np.zeros(steps, np.int64),
            planned_per_step=np.zeros(steps, np.int64),
            heard_per_step=np.zeros(steps, np.int64),
        )
        alarms = self._alarms()
        for interval in range(self.truth.intervals.start, 0):
            self.progress(interval)
            self._judge_history(interval, found)
        for interval in range(steps):
            self.progress(interval)
            known = self._interval(interval)
            self._judge_interval(interval, known, found)
            if alarms is not None and self.events is not None:
                raised = self.events.of_interval(interval, 0, self.grid.meters)
                alarms.judge(interval, known, raised)
        self._judge_other_slots(found)
        found.alarms = None if alarms is None else alarms.finish()
        return found

    def _alarms(self) -> AlarmLedger | None:
        if not isinstance(self.reader, EventReader):
            return None
        return AlarmLedger(self.reader.alarms(), self._plan.steps)

    def _judge_history(self, interval: int, found: Reconciliation) -> None:
        """Judge an interval of before the run, whose readings the store was given."""
        counts, fates = self._judge_slot(interval, Interval.of_history(self.grid.meters), found)
        self.watch_history(interval, fates)
        found.counts.add(
            Counts(
                preloaded=counts.correct,
                preloaded_wrong=counts.wrong + counts.lost,
                duplicated=counts.duplicated,
                invented=counts.invented,
            )
        )

    def _judge_interval(self, interval: int, known: Interval, found: Reconciliation) -> None:
        counts, fates = self._judge_slot(interval, known, found)
        found.counts.add(counts)
        for group in self.groups:
            found.by_group[group.kind, group.name].add(fates.counts(group.meters))
        self._note_times(interval, known, fates, found)

    def _judge_slot(
        self, interval: int, known: Interval, found: Reconciliation
    ) -> tuple[Counts, Fates]:
        """Return the counts and fates of one interval; note its fingerprint and examples."""
        captured_at_s = int(self._plan.captured_at(np.array([interval]))[0])
        slot = self.reader.rows(captured_at_s)
        found.fingerprint[captured_at_s] = SlotPrint.of(slot)
        on_plan, off_plan = self._split(slot)
        equal, expected = self._equal(on_plan, interval)
        fates = judge(known, on_plan, equal)
        counts = fates.counts()
        counts.invented += off_plan
        self._note_examples(captured_at_s, fates, (on_plan, equal, expected), found.examples)
        return counts, fates

    def _interval(self, interval: int) -> Interval:
        meters = self.grid.meters
        delivery = self.schedule.delivery_step_block(interval, 0, meters)
        return Interval(
            delivery_step=delivery,
            steps=self.steps_opened,
            sent=self._marks(Mark.SENT, interval),
            acknowledged=self._marks(Mark.ACKNOWLEDGED, interval),
            deadline_us=self.times.step_opens_us(delivery + 1),
            pulled=self._plan.behaviour.mode == "pull",
        )

    def _marks(self, mark: Mark, interval: int) -> BoolArray:
        marks: BoolArray = np.zeros(self.grid.meters, np.bool_)
        for record in self.records:
            first, last = record.layout.first_meter[[0, -1]]
            marks[first:last] = record.of_interval(mark, interval)
        return marks

    def _split(self, slot: StoredRows) -> tuple[StoredRows, int]:
        known = (slot.rows.meter < self.grid.meters) & (slot.rows.profile == self.profile)
        on_plan = StoredRows(slot.rows.take(known), slot.stored_at_us[known])
        return on_plan, len(slot) - len(on_plan)

    def _equal(self, stored: StoredRows, interval: int) -> tuple[BoolArray, UInt32Array]:
        """Return which rows are as their meters registered them, and what those registered."""
        meter = stored.rows.meter
        if 2 * len(meter) > self.grid.meters:
            # Most of a slot: computing all of it is quicker than picking meters.
            block, no_event = self.truth.block(0, self.grid.meters, interval)
            values, status = block[meter], no_event[meter]
        else:
            values, status = self.truth.registers(meter.astype(np.int64), interval)
        equal = (stored.rows.values == values).all(axis=1) & (stored.rows.status == status)
        return equal, np.column_stack([status, values])

    def _note_times(
        self, interval: int, known: Interval, fates: Fates, found: Reconciliation
    ) -> None:
        steps = self._plan.steps
        found.owed_per_step += np.bincount(known.delivery_step[fates.owed], minlength=steps)[:steps]
        when = fates.first_stored_at_us[fates.owed & fates.stored]
        width_us = self.times.step_us / BUCKETS_PER_STEP
        bucket = ((when - self.times.start_us) / width_us).astype(np.int64)
        last = len(found.stored_per_bucket) - 1
        found.stored_per_bucket += np.bincount(bucket.clip(0, last), minlength=last + 1)
        found.planned_per_step[interval] = np.count_nonzero(known.delivery_step == interval)
        ends_us = self.times.step_opens_us(np.array([interval + 1]))[0]
        fresh = fates.stored & (fates.first_stored_at_us < ends_us)
        found.heard_per_step[interval] = np.count_nonzero(fresh)
        self.watch(interval, known, fates)

    def _note_examples(
        self,
        captured_at_s: int,
        fates: Fates,
        judged: tuple[StoredRows, BoolArray, UInt32Array],
        examples: list[Example],
    ) -> None:
        stored, equal, expected = judged
        for row in np.flatnonzero(~equal)[: EXAMPLES_MAX - len(examples)]:
            seen = (stored.rows.status[row], *stored.rows.values[row])
            examples.append(
                Example(
                    "wrong",
                    int(stored.rows.meter[row]),
                    captured_at_s,
                    tuple(map(int, expected[row])),
                    tuple(map(int, seen)),
                )
            )
        columns = {
            "lost": fates.lost,
            "unattempted": fates.unattempted,
            "duplicated": fates.extra_rows > 0,
            "invented": fates.invented,
        }
        for fate, column in columns.items():
            chosen = np.flatnonzero(column)[: max(0, EXAMPLES_MAX - len(examples))]
            examples.extend(Example(fate, int(meter), captured_at_s) for meter in chosen)

    def _judge_other_slots(self, found: Reconciliation) -> None:
        """Count what is stored of capture times that the plan does not have: all invented."""
        planned = self._plan.captured_at(np.array(self.truth.intervals))
        for captured_at_s in np.setdiff1d(self.reader.slots(), planned).tolist():
            slot = self.reader.rows(captured_at_s)
            found.fingerprint[captured_at_s] = SlotPrint.of(slot)
            found.counts.invented += len(slot)
