"""What befalls meters: which events each raises and when, a pure function of scenario and seed.

An event raised after one capture, and no later than the next, belongs to the interval of the next
and is delivered with its reading; what happens after the last capture is never raised. A meter's
log counts its entries from 1 in the order of time. A status bit is raised once in the interval in
which it was newly set; while one event holds it up, another that would set it raises nothing.

Readings take no notice of events: a meter without power registers its planned consumption, so that
the truth stays a function of its own (docs/explanation/fidelity.md).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.event_kinds import TRACES, Ending, MeterEventKind
from emulator.fleet_config import MeterEventSpan
from emulator.grid import PROTOCOLS, Grid
from emulator.parameters import WHOLE_PPM, apportion
from emulator.plan import Plan
from netem.draws import mix, stream_key
from protocols.readings import EventBatch, EventSource

BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]

FOREVER_S: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class RaisedEvents:
    """Events as columns of n rows, by what was asked, then source, then sequence and code."""

    rows: Int64Array
    """Which of the readings asked about each belongs to."""
    meters: Int64Array
    """Numbers of the meters."""
    source: NDArray[np.uint8]
    """`EventSource`."""
    code: NDArray[np.uint16]
    """Code of the log entry, or number of the status bit."""
    sequence: NDArray[np.uint32]
    """Number of the log entry, from 1; of a bit the capture time, POSIX seconds."""
    raised_at_s: Int64Array
    """POSIX seconds; of a bit the capture time, which is when it can be seen."""
    argument: NDArray[np.uint32]
    """Which event of the scenario's timeline it was, from 1; of a bit 0."""

    def __len__(self) -> int:
        """The number of events."""
        return len(self.rows)

    def batch(self, meter_ids: NDArray[np.bytes_]) -> EventBatch:
        """Return them for the wire; ``meter_ids`` (n,) S16 are the names of ``meters``."""
        return EventBatch(
            meter_ids, self.source, self.code, self.sequence, self.raised_at_s, self.argument
        )

    @classmethod
    def _of(cls, meters: Int64Array, parts: Sequence[_Part]) -> RaisedEvents:
        """Return what ``parts`` tell of ``meters``, in order."""
        total = sum(len(part.rows) for part in parts)
        columns = {name: np.empty(total, kind) for name, kind in _COLUMNS.items()}
        begin = 0
        for part in parts:
            end = begin + len(part.rows)
            for name, column in columns.items():
                column[begin:end] = getattr(part, name)
            begin = end
        keys = [columns[name] for name in ("code", "sequence", "source", "rows")]
        order = np.lexsort(keys)
        sorted_columns = {name: column[order] for name, column in columns.items()}
        return cls(meters=meters[sorted_columns["rows"]], **sorted_columns)


@dataclass(frozen=True, slots=True)
class _Part:
    """Events that have all but rows, and perhaps their sequence, in common."""

    rows: Int64Array
    source: EventSource
    code: int
    sequence: NDArray[np.uint32] | int
    raised_at_s: int
    argument: int


_COLUMNS: Final[dict[str, Any]] = {
    "rows": np.int64,
    "source": np.uint8,
    "code": np.uint16,
    "sequence": np.uint32,
    "raised_at_s": np.int64,
    "argument": np.uint32,
}
_NOTHING: Final = RaisedEvents._of(np.zeros(0, np.int64), ())


@dataclass(frozen=True, slots=True)
class _Entry:
    """A log entry that everybody hit by one span writes."""

    at_s: int
    span: int
    code: int
    interval: int


@dataclass(frozen=True, slots=True)
class _Hold:
    """The time over which one span holds up a status bit or a mode."""

    starts_s: int
    ends_s: int
    span: int
    interval: int


class MeterEvents:
    """The events of one run.

    Args:
        spans: what the scenario lets happen to meters.
        plan: the plan of the run; its grid says which meters speak ANSI C12, which are the only
            ones that raise events.
    """

    def __init__(self, spans: Sequence[MeterEventSpan], plan: Plan) -> None:
        self._spans = tuple(spans)
        self._plan = plan
        self._hits = _hits(self._spans, plan.grid, plan.seed)
        self._entries = self._log_entries()
        self._entry_intervals = [entry.interval for entry in self._entries]
        self._written = self._entries_by_span()
        self._holds = self._status_holds()
        rises = {hold.interval for holds in self._holds.values() for hold in holds}
        self.intervals = sorted({*self._entry_intervals, *rises})
        """The intervals in which anything is raised, ascending."""

    def of(self, meters: Int64Array, intervals: Int64Array) -> RaisedEvents:
        """Return what is delivered with readings, element by element; (n,) each.

        Of no readings, or where nothing is raised in their intervals: empty, at next to no cost.
        """
        if not self.intervals or not len(intervals):
            return _NOTHING
        first, last = int(intervals.min()), int(intervals.max())
        parts: list[_Part] = []
        for at in _between(self.intervals, first, last):
            interval = self.intervals[at]
            here = np.flatnonzero(intervals == interval)
            hit = self._hits[meters[here]]
            if hit.any():
                parts += self._logged(interval, here, hit)
                parts += self._risen(interval, here, hit)
        return RaisedEvents._of(meters, parts) if parts else _NOTHING

    def of_interval(self, interval: int, first_meter: int, last_meter: int) -> RaisedEvents:
        """Return what ``first_meter`` .. ``last_meter - 1`` raise in one interval.

        ``rows`` counts from ``first_meter``.
        """
        if not _between(self.intervals, interval, interval):
            return _NOTHING
        meters = np.arange(first_meter, last_meter)
        return self.of(meters, np.full(len(meters), interval))

    def total(self) -> int:
        """Return the number of all events of the run."""
        meters = self._plan.grid.meters
        return sum(len(self.of_interval(interval, 0, meters)) for interval in self.intervals)

    def status_bits(self, meter: int, at_s: float) -> int:
        """Return the first status word (Standard Table 3) of a meter at a POSIX time."""
        if not self._spans:
            return 0
        since_s, hit = at_s - self._plan.first_s, self._hits[meter]
        bits = 0
        for bit, holds in self._holds.items():
            if any(hit[hold.span] and hold.starts_s <= since_s < hold.ends_s for hold in holds):
                bits |= 1 << bit
        return bits

    def under_way(self, meter: int, at_s: float) -> frozenset[MeterEventKind]:
        """Return what a meter is in the middle of at a POSIX time."""
        since_s = at_s - self._plan.first_s
        return frozenset(
            span.kind
            for number, span in enumerate(self._spans)
            if span.starts_s <= since_s < _ends_s(span) and bool(self._hits[meter, number])
        )

    def __len__(self) -> int:
        """The number of events in the scenario."""
        return len(self._spans)

    def _interval(self, since_first_s: int) -> int:
        """Return the interval that ends at or after a moment."""
        return -(-since_first_s // self._plan.step_s)

    def _log_entries(self) -> list[_Entry]:
        """Return the entries that are raised before the last capture, in order of time."""
        entries = []
        for number, span in enumerate(self._spans):
            trace, ends_s = TRACES[span.kind], _ends_s(span)
            for at_s, codes in ((span.starts_s, trace.begins), (ends_s, trace.ends)):
                interval = self._interval(at_s)
                if interval < self._plan.steps:
                    entries += [_Entry(at_s, number, code, interval) for code in codes]
        return sorted(entries, key=lambda entry: (entry.at_s, entry.span))

    def _entries_by_span(self) -> NDArray[np.uint32]:
        """Return (entries, spans): how many of each span's entries there are up to each."""
        one = np.zeros((len(self._entries), len(self._spans)), np.uint32)
        one[np.arange(len(one)), [entry.span for entry in self._entries]] = 1
        return np.cumsum(one, axis=0, dtype=np.uint32)

    def _status_holds(self) -> dict[int, list[_Hold]]:
        """Return who holds up which status bit, each in order of time."""
        holds: dict[int, list[_Hold]] = {}
        for number, span in enumerate(self._spans):
            interval = self._interval(span.starts_s)
            if interval < self._plan.steps:
                hold = _Hold(span.starts_s, _ends_s(span), number, interval)
                for bit in TRACES[span.kind].status_bits:
                    holds.setdefault(bit, []).append(hold)
        return {bit: sorted(found, key=lambda hold: hold.starts_s) for bit, found in holds.items()}

    def _logged(self, interval: int, rows: Int64Array, hit: BoolArray) -> Iterator[_Part]:
        """Yield the log entries of one interval; ``hit`` (n, spans) is about ``rows``."""
        for at in _between(self._entry_intervals, interval, interval):
            entry = self._entries[at]
            mine = np.flatnonzero(hit[:, entry.span])
            if len(mine):
                number = hit[mine] @ self._written[at]
                raised_at_s = self._plan.first_s + entry.at_s
                argument = self._spans[entry.span].number + 1
                yield _Part(rows[mine], EventSource.LOG, entry.code, number, raised_at_s, argument)

    def _risen(self, interval: int, rows: Int64Array, hit: BoolArray) -> Iterator[_Part]:
        """Yield the status bits newly set in one interval."""
        captured_at_s = self._plan.first_s + interval * self._plan.step_s
        for bit, holds in self._holds.items():
            if any(hold.interval == interval for hold in holds):
                mine = np.flatnonzero(_newly_set(hit, holds, interval))
                if len(mine):
                    yield _Part(
                        rows[mine], EventSource.STATUS, bit, captured_at_s, captured_at_s, 0
                    )


def _between(ascending: Sequence[int], first: int, last: int) -> range:
    """Return the places of the numbers that are within ``first`` .. ``last``, both included."""
    return range(bisect_left(ascending, first), bisect_right(ascending, last))


def _newly_set(hit: BoolArray, holds: Sequence[_Hold], interval: int) -> BoolArray:
    """Return (n,) whose bit was set in an interval while nothing held it up before."""
    rose = np.zeros(len(hit), np.bool_)
    held_until_s = np.zeros(len(hit), np.int64)
    for hold in holds:
        holding = hit[:, hold.span]
        if hold.interval == interval:
            rose |= holding & (held_until_s <= hold.starts_s)
        np.maximum(held_until_s, hold.ends_s, out=held_until_s, where=holding)
    return rose


def _ends_s(span: MeterEventSpan) -> int:
    if TRACES[span.kind].ending is Ending.NEVER:
        return span.starts_s
    return FOREVER_S if span.lasts_s is None else span.starts_s + span.lasts_s


def _hits(spans: Sequence[MeterEventSpan], grid: Grid, seed: int) -> BoolArray:
    """Return (meters, spans): who is hit; exact shares of the ANSI meters, seeded order."""
    hits = np.zeros((grid.meters if spans else 0, len(spans)), np.bool_)
    speaks_c12 = grid.protocol == PROTOCOLS.index("c12")
    candidates = np.flatnonzero(np.repeat(speaks_c12, np.diff(grid.first_meter)))
    for number, span in enumerate(spans):
        chosen = apportion(len(candidates), [span.share_ppm, WHOLE_PPM - span.share_ppm])[0]
        draws = mix(stream_key(seed, "meter event", span.number), candidates)
        hits[candidates[np.argsort(draws, kind="stable")[:chosen]], number] = True
    return hits
