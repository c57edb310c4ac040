"""Somebody's own head-end as the target of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import trio

from emulator.clock import ScenarioClock
from harness.run.monitor import Monitor
from harness.run.preparation import Prepared
from harness.scenario import External


class ExternalTarget:
    """A head-end that is not ours: it runs already, and is only watched."""

    stores: tuple[str, ...] = ()

    def __init__(self, prepared: Prepared, target: External) -> None:
        self._prepared = prepared
        self._target = target

    async def start(self, nursery: trio.Nursery) -> None:
        """Nothing to bring up."""

    async def start_clock(self, clock: ScenarioClock) -> None:
        """It has a clock of its own."""

    def pids(self) -> Mapping[str, int]:
        """Return its processes, as the scenario names them."""
        return {f"target-{pid}": pid for pid in self._target.watch.processes}

    async def observe(self, monitor: Monitor) -> None:
        """Nothing to ask it."""

    def missing(self) -> int | None:
        """It cannot say."""
        return None

    def commands_ended(self) -> int:
        """It is given no commands."""
        return 0

    async def stop(self) -> None:
        """Give it time to finish storing."""
        await trio.sleep(self._target.settle)

    def latencies(self) -> list[dict[str, str]]:
        """It measures for itself."""
        return []

    def counts(self) -> Counter[str]:
        """It counts for itself."""
        return Counter()
