"""What a run needs of its target, whether it is ours or somebody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import trio

from emulator.clock import ScenarioClock
from harness.run.monitor import Monitor


class Target(Protocol):
    """The system under test, as a run starts, watches and ends it."""

    stores: tuple[str, ...]
    """Addresses of the stores to read back; empty where the scenario says how to read back."""

    async def start(self, nursery: trio.Nursery) -> None:
        """Bring it up, its processes in ``nursery``; returns when it can be talked to."""

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Tell it that the scenario clock runs."""

    def pids(self) -> Mapping[str, int]:
        """Return the processes to sample, by component."""

    async def observe(self, monitor: Monitor) -> None:
        """Ask it how it is, and record what it says."""

    def missing(self) -> int | None:
        """Return how many captured readings it lacks, as it last said; ``None``: it cannot say."""

    def commands_ended(self) -> int:
        """Return how many commands it has brought to an end, as it last said."""

    async def stop(self) -> None:
        """Let it finish and bring it down; then everything it stored can be read."""

    def counts(self) -> Counter[str]:
        """Return its counters."""

    def latencies(self) -> list[dict[str, str]]:
        """Return what it measured of itself: series, link and encoded histogram, each."""
