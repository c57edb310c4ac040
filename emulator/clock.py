"""The scenario clock: scenario seconds as a function of the machine's monotonic clock.

``v = v0 + (monotonic - m0) * rate``. The triple is shared by every process of a run, because
CLOCK_MONOTONIC is common on one host. Protocol timeouts, retries and link delays never use it:
they live on trio's real clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import trio

BEFORE_START_S: Final = -1e12


@dataclass(slots=True)
class ScenarioClock:
    """The triple (m0, v0, rate); before `start` the clock stands long before the first step.

    ``monotonic_s``: CLOCK_MONOTONIC at the reference moment, seconds. ``scenario_s``: the scenario
    time then, POSIX seconds UTC. ``rate``: scenario seconds per real second, > 0.
    """

    monotonic_s: float = 0.0
    scenario_s: float = BEFORE_START_S
    rate: float = 1.0

    def start(self, monotonic_s: float, scenario_s: float, rate: float) -> None:
        """Set the triple, once the run knows it."""
        self.monotonic_s, self.scenario_s, self.rate = monotonic_s, scenario_s, rate

    @property
    def triple(self) -> tuple[float, float, float]:
        """The triple, for other processes."""
        return self.monotonic_s, self.scenario_s, self.rate

    def now_s(self) -> float:
        """Return the scenario time, POSIX seconds UTC."""
        return self.scenario_at(time.monotonic())

    def scenario_at(self, monotonic_s: float) -> float:
        """Return the scenario time at a reading of CLOCK_MONOTONIC."""
        return self.scenario_s + (monotonic_s - self.monotonic_s) * self.rate

    def monotonic_at(self, scenario_s: float) -> float:
        """Return what CLOCK_MONOTONIC reads at a scenario time."""
        return self.monotonic_s + (scenario_s - self.scenario_s) / self.rate

    async def sleep_until(self, scenario_s: float) -> None:
        """Sleep until the scenario time ``scenario_s``; return at once when it has passed."""
        await trio.sleep(max(0.0, self.monotonic_at(scenario_s) - time.monotonic()))
