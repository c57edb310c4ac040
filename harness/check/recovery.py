"""How the readings that a cut held back came in after it, as it follows from plan and store.

Exact, reading by reading, while the ledger walks the plan: what each cut held back, when the last
of it was stored, and how little and how much was stored in the steps that it touched and after it.
A loss of storage is told the same way: what was captured before some time, and was stored after the
loss or never, was lost by it or had not come by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.check.recorded import RecordedRun
from harness.ledger.fates import BoolArray, Fates, Interval
from harness.ledger.reconcile import BUCKETS_PER_STEP, Reconciliation
from harness.scenario import Flap, Freeze, Kill, Lose, Outage, Partition, Reference, occurrences
from netem.conditions import whom_it_hits
from reports.recording import Recovery, RunTime

CUTS_MAX: Final = 100
"""Cuts beyond these are not told: a line that flaps every night of a year is one story."""
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cut:
    """One time at which concentrators were cut off, scenario seconds since the first step.

    ``hits`` is bool (concentrators,). ``first_step`` to ``last_step - 1`` are the steps it touches.
    ``lost_before``, where storage was lost instead: captures before this interval are gone.
    """

    fault: str
    begins_s: float
    ends_s: float
    hits: BoolArray
    first_step: int
    last_step: int
    lost_before: int | None = None


class RecoveryAccount:
    """Takes in every interval as the ledger judges it."""

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        self._times = run.times()
        owner = run.grid.concentrator_of(np.arange(run.grid.meters))
        self._entries = [_Entry(cut, cut.hits[owner]) for cut in islice(_cuts(run), CUTS_MAX)]
        self._last_us = 0
        self.planned_per_step: NDArray[np.int64] = np.zeros(run.schedule.plan.steps, np.int64)
        """Readings that the plan without a timeline has in each step, int64 (steps,)."""

    def note(self, interval: int, known: Interval, fates: Fates) -> None:
        """Count what an interval shows; each once."""
        plan = self._run.schedule.plan
        due = known.delivery_step
        if self._run.schedule.outages:
            due = plan.delivery_step_block(interval, 0, self._run.grid.meters)
        self.planned_per_step += np.bincount(due, minlength=plan.steps + 1)[: plan.steps]
        stored = fates.owed & fates.stored
        self._last_us = max(self._last_us, int(fates.first_stored_at_us[stored].max(initial=0)))
        self.note_history(interval, fates)
        for entry in self._entries:
            if entry.cut.lost_before is None and interval < entry.cut.last_step:
                entry.note(due, known.steps, fates, self._at_us(entry.cut.ends_s))

    def note_history(self, interval: int, fates: Fates) -> None:
        """Count what was lost of an interval, be it one of before the run."""
        for entry in self._entries:
            if entry.cut.lost_before is not None and interval < entry.cut.lost_before:
                entry.hold(entry.meters, fates, self._at_us(entry.cut.ends_s))

    def recoveries(self, found: Reconciliation) -> tuple[Recovery, ...]:
        """Return what became of each cut; nothing where nobody knows what was stored when."""
        if found.counts.untimed:
            return ()
        # The last bucket holds what came more than a step after the last step.
        stored = found.stored_per_bucket[:-1].reshape(-1, BUCKETS_PER_STEP).sum(axis=1)
        return tuple(self._recovery(entry, stored) for entry in self._entries)

    def last_stored(self, found: Reconciliation) -> RunTime | None:
        """Return when the last owed reading was stored; None: none was, or nobody knows when."""
        return self._moment(self._last_us) if self._last_us and not found.counts.untimed else None

    def _recovery(self, entry: _Entry, stored: NDArray[np.int64]) -> Recovery:
        cut, last = entry.cut, self._moment(entry.last_us) if entry.last_us else None
        step_s = self._run.fleet.behaviour.step_s
        touched = [at for at in range(cut.first_step, cut.last_step) if self._planned(at)]
        lowest = min(touched, key=lambda at: stored[at] / self._planned(at), default=None)
        after = slice(
            int(cut.ends_s // step_s),
            int((cut.ends_s if last is None else last.scenario_s) // step_s) + 1,
        )
        return Recovery(
            fault=cut.fault,
            began=self._planned_moment(cut.begins_s),
            ended=self._planned_moment(cut.ends_s),
            concentrators=int(np.count_nonzero(cut.hits)),
            held_back=entry.held_back,
            arrived=entry.arrived,
            deferred=entry.deferred,
            last_stored=last,
            lowest=0 if lowest is None else int(stored[lowest]),
            lowest_planned=0 if lowest is None else self._planned(lowest),
            highest=int(stored[after].max(initial=0)),
        )

    def _planned(self, step: int) -> int:
        opened = min(len(self.planned_per_step), self._run.steps_opened())
        return int(self.planned_per_step[step]) if step < opened else 0

    def _at_us(self, since_first_s: float) -> int:
        step_s = self._run.fleet.behaviour.step_s
        return int(self._times.start_us + since_first_s / step_s * self._times.step_us)

    def _planned_moment(self, since_first_s: float) -> RunTime:
        return RunTime(scenario_s=since_first_s, wall_s=self._run.wall_s(since_first_s))

    def _moment(self, stored_at_us: int) -> RunTime:
        steps = (stored_at_us - self._times.start_us) / self._times.step_us
        return self._planned_moment(steps * self._run.fleet.behaviour.step_s)


@dataclass(slots=True)
class _Entry:
    """A cut and what was counted of it; ``meters`` is bool, those behind whom it hit."""

    cut: Cut
    meters: BoolArray
    held_back: int = 0
    arrived: int = 0
    deferred: int = 0
    last_us: int = 0

    def note(self, due: NDArray[np.int32], opened: int, fates: Fates, ends_us: int) -> None:
        touched = self.meters & (due >= self.cut.first_step) & (due < self.cut.last_step)
        missing = self.hold(touched, fates, ends_us)
        self.deferred += int(np.count_nonzero(missing & ~fates.owed & (due < opened)))

    def hold(self, touched: BoolArray, fates: Fates, ends_us: int) -> BoolArray:
        """Count which of ``touched`` came later than ``ends_us``; return those, owed or not."""
        missing = touched & ~(fates.stored & (fates.first_stored_at_us < ends_us))
        held_back = missing & fates.owed
        arrived = held_back & fates.stored
        self.held_back += int(np.count_nonzero(held_back))
        self.arrived += int(np.count_nonzero(arrived))
        self.last_us = max(self.last_us, int(fates.first_stored_at_us[arrived].max(initial=0)))
        return missing


def _cuts(run: RecordedRun) -> Iterator[Cut]:
    """Yield every time at which the timeline cut somebody off before the drain, in its order."""
    hits, step_s = _whom(run), run.fleet.behaviour.step_s
    for number, event in enumerate(run.scenario.timeline):
        spans: tuple[tuple[float, float], ...] = ()
        match event:
            case Outage() | Flap() | Partition() if event.of == "concentrators":
                spans = occurrences(event, run.scenario.behaviour)
            case Kill(part="headend") if isinstance(run.scenario.target, Reference):
                spans = ((event.at, event.at + event.restart_after * run.scenario.speed),)
            case Freeze():
                spans = ((event.at, event.at + event.lasts * run.scenario.speed),)
            case Lose() if event.at < run.steps_opened() * step_s:
                everybody = np.ones(run.grid.concentrators, np.bool_)
                before = int(-(-event.before // step_s))
                yield Cut(f"{event.do} {number}", event.at, event.at, everybody, 0, 0, before)
        for begins_s, ends_s in spans:
            if begins_s < run.steps_opened() * step_s:
                first, last = int(begins_s // step_s), int(-(-ends_s // step_s))
                everybody = np.ones(run.grid.concentrators, np.bool_)
                whom = hits.get(number, everybody)
                yield Cut(f"{event.do} {number}", begins_s, ends_s, whom, first, last)


def _whom(run: RecordedRun) -> Mapping[int, BoolArray]:
    """Return whom the events of the network hit, by their place in the timeline."""
    names = [link.profile for link in run.fleet.grid.links]
    hits = {
        span.number: outage.hits
        for span, outage in zip(run.fleet.outages, run.schedule.outages, strict=True)
    }
    for span in run.fleet.conditions:
        hits[span.number] = whom_it_hits(span, names, run.grid.link_category, run.fleet.seed)
    return hits
