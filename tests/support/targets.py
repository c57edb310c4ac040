"""A system under test that does nothing, for tests of what a run does around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import trio

from emulator.clock import ScenarioClock
from harness.run.monitor import Monitor


class FakeTarget:
    """A head-end that lacks and has ended what the test says."""

    stores: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.lacks: int | None = 0
        self.ended = 0
        self.counted: Counter[str] = Counter()

    async def start(self, nursery: trio.Nursery) -> None: ...

    async def start_clock(self, clock: ScenarioClock) -> None: ...

    def pids(self) -> Mapping[str, int]:
        return {}

    async def observe(self, monitor: Monitor) -> None: ...

    def missing(self) -> int | None:
        return self.lacks

    def commands_ended(self) -> int:
        return self.ended

    async def stop(self) -> None: ...

    def counts(self) -> Counter[str]:
        return self.counted

    def latencies(self) -> list[dict[str, str]]:
        return []
