"""Capacity that several connections share: the air of a cell, a power line, a delivery trace.

Theory of operation. A medium is one queue, served in the order of arrival: a packet begins when
it is there and the one before it is through. Transfers are worked out ahead of time, so a packet
may be told of after another that arrives later, such as the second round trip of a neighbour's
upload. It takes its turn by its time of arrival all the same; whatever comes behind it is put off,
and every packet told of later meets that. Times already told are not taken back: an upload that
takes more than a round trip does not feel a neighbour that begins after it.

A queue counts in nanoseconds where the medium has a rate (a packet takes the time it is sent for),
and in octets of delivery opportunities where it follows a trace: its *places*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

from netem.draws import stream_key
from netem.profiles import Direction, LinkDirection, LinkProfile
from netem.traces import MILLISECOND_NS, OPPORTUNITY_OCTETS, DeliveryTrace, read_trace
from netem.turns import Turns

_BITS_NS: Final = 8 * 1_000_000_000
_FORGET_BEYOND: Final = 32


class CellSplitError(ValueError):
    """The concentrators of one process begin or end within a cell, which must be in one process."""

    def __init__(self, profile: str, cell: int, numbers: range) -> None:
        self.profile = profile
        self.cell = cell
        self.numbers = numbers
        super().__init__(
            f"link profile {profile}: concentrators {numbers.start} to {numbers.stop - 1} of one"
            f" fleet shard are no whole cells of {cell}; shards must be of whole cells"
        )


def check_whole_cells(profiles: Iterable[LinkProfile], numbers: range, total: int) -> None:
    """Raise where the concentrators of a process are not whole cells.

    Args:
        profiles: of the fleet's links.
        numbers: the concentrators that are in one process.
        total: of all processes; the last cell may be smaller.

    Raises:
        CellSplitError: a cell would have its capacity twice, once in each of two processes.
    """
    for profile in profiles:
        if numbers.start % profile.cell or (numbers.stop % profile.cell and numbers.stop != total):
            raise CellSplitError(profile.name, profile.cell, numbers)


class Capacity(Protocol):
    """What a medium can carry, as places in its queue."""

    def place(self, at_ns: int) -> int:
        """Return the first place a packet can take that arrives at ``at_ns``."""

    def length(self, octets: int) -> int:
        """Return how many places a packet takes."""

    def time_ns(self, end: int) -> int:
        """Return when a packet is through whose places end before ``end``."""


@dataclass(frozen=True, slots=True)
class ConstantRate:
    """A rate in bits per second; places are nanoseconds."""

    rate: int

    def place(self, at_ns: int) -> int:
        """Return the time itself."""
        return at_ns

    def length(self, octets: int) -> int:
        """Return for how long the packet is sent."""
        return octets * _BITS_NS // self.rate

    def time_ns(self, end: int) -> int:
        """Return the time itself."""
        return end


@dataclass(frozen=True, slots=True)
class Opportunities:
    """The opportunities of a trace that was begun ``offset_ns`` from its start; places are octets.

    The octets of opportunity n are the places from 1500 n on.
    """

    trace: DeliveryTrace
    offset_ns: int

    def place(self, at_ns: int) -> int:
        """Return the first octet of the next opportunity."""
        return self.trace.first_after(at_ns + self.offset_ns) * OPPORTUNITY_OCTETS

    def length(self, octets: int) -> int:
        """Return the octets themselves."""
        return octets

    def time_ns(self, end: int) -> int:
        """Return the time of the opportunity that carries the last octet."""
        return self.trace.time_ns((end - 1) // OPPORTUNITY_OCTETS) - self.offset_ns


@dataclass(slots=True)
class MediumStatistics:
    """What was carried over a medium, or over several that count as one."""

    packets: int = 0
    octets: int = 0
    dropped: int = 0
    """Packets that found the queue full."""
    used: int = 0
    """Places taken, nanoseconds or octets; see `utilisation`."""
    offered: int = 0
    """Places from the first packet to the end of the last."""
    delay_sum_us: int = 0
    """From arrival to the end of sending, added up."""
    delay_most_us: int = 0

    @property
    def utilisation(self) -> float:
        """Share of the capacity that was used between the first packet and the last, 0..1."""
        return self.used / self.offered if self.offered else 0.0

    def merge(self, other: MediumStatistics) -> None:
        """Add the counts of ``other``."""
        most_us = max(self.delay_most_us, other.delay_most_us)
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.delay_most_us = most_us


class Cell:
    """The queue that the connections of one cell share, and since when."""

    __slots__ = ("began_ns", "statistics", "turns", "until")

    def __init__(self, statistics: MediumStatistics) -> None:
        self.turns = Turns()
        self.statistics = statistics
        self.began_ns: int | None = None
        """When its first packet came: time 0 of a trace."""
        self.until = 0
        """Where its last packet so far ends."""


class Medium:
    """One connection's way into a cell, in one direction.

    Args:
        cell: what it shares with others.
        capacity: what the cell can carry of this connection's packets.
        queue_octets: a packet is dropped that finds more than this waiting, itself included.
    """

    __slots__ = ("_capacity", "_most", "cell")

    def __init__(self, cell: Cell, capacity: Capacity, queue_octets: int) -> None:
        self.cell = cell
        self._capacity = capacity
        self._most = capacity.length(queue_octets)

    def carry(self, at_ns: int, octets: int) -> int | None:
        """Return when a packet that arrives at ``at_ns`` is through, None where it is dropped.

        ``octets`` is its size on the line.
        """
        cell, capacity, counts = self.cell, self._capacity, self.cell.statistics
        began_ns = cell.began_ns
        if began_ns is None:
            began_ns = cell.began_ns = at_ns
            cell.until = capacity.place(0)
        length = capacity.length(octets)
        end = cell.turns.take(capacity.place(at_ns - began_ns), length, self._most)
        if end is None:
            counts.dropped += 1
            return None
        through_ns = began_ns + capacity.time_ns(end)
        delay_us = (through_ns - at_ns) // 1_000
        counts.packets += 1
        counts.octets += octets
        counts.used += length
        counts.offered += max(0, cell.turns.end - cell.until)
        counts.delay_sum_us += delay_us
        counts.delay_most_us = max(counts.delay_most_us, delay_us)
        cell.until = max(cell.until, cell.turns.end)
        return through_ns

    def forget(self, before_ns: int) -> None:
        """Drop what was over before ``before_ns``; no packet arrives before that any more."""
        cell = self.cell
        if cell.began_ns is not None and len(cell.turns) > _FORGET_BEYOND:
            cell.turns.forget(self._capacity.place(before_ns - cell.began_ns))


@dataclass(slots=True)
class Media:
    """The media of all links of one class in this process.

    Attributes:
        statistics: by medium: ``up cell 3``, and ``up trace`` for all concentrators together,
            because each of them has its trace to itself.
    """

    statistics: dict[str, MediumStatistics] = field(default_factory=dict)
    _cells: dict[tuple[str, str, int], Cell] = field(
        default_factory=dict, compare=False, repr=False
    )

    def medium(
        self, direction: Direction, way: LinkDirection, seed: int, concentrator: int
    ) -> Medium | None:
        """Return the medium of a concentrator's connections in one direction, None without one.

        Raises:
            TraceError: the trace cannot be read.
        """
        if way.shared is not None:
            number = concentrator // way.shared.cell
            cell = self._cell(direction, f"cells of {way.shared.cell}", number, f"cell {number}")
            return Medium(cell, ConstantRate(way.shared.rate), way.shared.queue)
        if way.trace is not None:
            trace = read_trace(Path(way.trace.file))
            cell = self._cell(direction, way.trace.file, concentrator, "trace")
            capacity = Opportunities(trace, trace_offset_ns(trace, seed, concentrator))
            return Medium(cell, capacity, way.trace.queue)
        return None

    def merge(self, other: Media) -> None:
        """Add the counts of ``other``, which may come from another process."""
        for name, statistics in other.statistics.items():
            self.statistics.setdefault(name, MediumStatistics()).merge(statistics)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for msgpack or JSON."""
        return {
            name: {key: getattr(counts, key) for key in counts.__slots__}
            for name, counts in self.statistics.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `as_dict` wrote, to be read and merged."""
        return cls({name: MediumStatistics(**counts) for name, counts in values.items()})

    def _cell(self, direction: str, kind: str, number: int, name: str) -> Cell:
        key = (direction, kind, number)
        cell = self._cells.get(key)
        if cell is None:
            statistics = self.statistics.setdefault(f"{direction} {name}", MediumStatistics())
            cell = self._cells[key] = Cell(statistics)
        return cell


def trace_offset_ns(trace: DeliveryTrace, seed: int, concentrator: int) -> int:
    """Return where in a trace a concentrator's link begins, in whole milliseconds.

    The same for both directions, so that traces recorded together stay together.
    """
    return stream_key(seed, "trace", concentrator) % trace.length_ms * MILLISECOND_NS
