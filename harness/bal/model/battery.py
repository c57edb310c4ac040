"""What all batteries have in common: a name, a place in the topology, a snapshot that is kept.

A snapshot is computed from the snapshots below and kept until something below changes. The rule
that makes this cheap: where a battery has no snapshot, nobody above it has one either, so that
forgetting stops at the first that is forgotten already.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from harness.bal.model.values import Kind, Status

if TYPE_CHECKING:
    from harness.bal.model.aggregate import Aggregate
    from harness.bal.model.partition import Splitter
    from harness.bal.model.physical import Physical


class Moment:
    """The time up to which everything is settled, shared by all batteries of a topology."""

    __slots__ = ("now_ms",)

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms


class Above(Protocol):
    """What is made of a battery: an aggregate or a splitter."""

    def forget(self) -> None:
        """Drop what was computed from the sources."""


class Battery(ABC):
    """One battery of a topology; see `Kind` for which there are.

    Attributes:
        level: 0 for a source of readings, else one more than the highest source.
        ordered_ma: what it is to do now as a part of the whole; positive when discharging.
        aggregate: the aggregate it is a source of.
        splitter: what divides it.
    """

    __slots__ = ("_status", "aggregate", "level", "name", "ordered_ma", "splitter")

    kind: Kind

    def __init__(self, name: str, level: int) -> None:
        self.name = name
        self.level = level
        self.ordered_ma = 0
        self.aggregate: Aggregate | None = None
        self.splitter: Splitter | None = None
        self._status: Status | None = None

    @property
    def is_top(self) -> bool:
        """Whether it is nobody's source, so that people command it directly."""
        return self.aggregate is None and self.splitter is None

    def status(self) -> Status:
        """Return the snapshot; the expected current is left at 0, see `full_status`."""
        if self._status is None:
            self._status = self._look()
        return self._status

    def full_status(self) -> Status:
        """Return the snapshot with the current that is ordered as the expected one."""
        status = self.status()
        return replace(status, expected=replace(status.expected, current_ma=self.ordered_ma))

    def forget(self) -> None:
        """Drop the snapshot here and above: something it was made of has changed."""
        if self._status is not None:
            self._status = None
            for above in (self.aggregate, self.splitter):
                if above is not None:
                    above.forget()

    @abstractmethod
    def below(self) -> Iterable[Battery]:
        """Return the batteries it is directly made of."""

    def note_leaf(self, found: dict[str, Physical]) -> None:  # noqa: B027 - most are none
        """Add itself to ``found`` if it is a physical or networked battery."""

    @abstractmethod
    def ready(self) -> bool:
        """Return whether every source behind it was read once, so that its charge is known."""

    @abstractmethod
    def _look(self) -> Status:
        """Return a snapshot made now of what lies below."""


def leaves(battery: Battery) -> list[Physical]:
    """Return the physical and networked batteries behind ``battery``, each once, by name."""
    found: dict[str, Physical] = {}
    seen: set[str] = set()
    waiting = [battery]
    while waiting:
        one = waiting.pop()
        if one.name in seen:
            continue
        seen.add(one.name)
        one.note_leaf(found)
        waiting.extend(one.below())
    return [found[name] for name in sorted(found)]
