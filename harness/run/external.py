"""Somebody's own head-end as the target of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import trio

from emulator.clock import ScenarioClock
from harness.provisioning import export_plan
from harness.run.listening import address_listens
from harness.run.monitor import Monitor
from harness.run.preparation import Prepared
from harness.run.watching import LogFollower, Scraper
from harness.scenario import External

SOURCE: Final = "target"
"""What the record calls it; its processes are ``target-<process id>``."""
MATCHES: Final = "log_lines_matched_total"
FAILED: Final = "scrapes_failed_total"


class ExternalTarget:
    """A head-end that is not ours: it runs already, and is only watched.

    Args:
        prepared: the run.
        target: where it is, and what of it to watch.
    """

    stores: tuple[str, ...] = ()

    def __init__(self, prepared: Prepared, target: External) -> None:
        folder = prepared.fleet.pattern_folder
        self._prepared = prepared
        self._target = target
        url = target.watch.prometheus
        self._scraper = None if url is None else Scraper(url)
        self._logs = [LogFollower(folder / log.file, log.count) for log in target.watch.logs]

    async def start(self, nursery: trio.Nursery) -> None:
        """Export the plan, and wait until the push address accepts a connection.

        Raises:
            EnvironmentUnfitError: nobody accepts one within 30 s.
            OSError: the plan cannot be written.
        """
        prepared = self._prepared
        await trio.to_thread.run_sync(
            export_plan, prepared.provisioning, prepared.schedule, prepared.truth
        )
        if prepared.fleet.behaviour.mode == "push" and self._target.push is not None:
            push = self._target.push
            await address_listens(push.host, push.port, who="head-end", key="target.push")
        if self._scraper is not None:
            nursery.start_soon(self._scraper.run)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """It has a clock of its own."""

    def pids(self) -> Mapping[str, int]:
        """Return its processes, as the scenario names them."""
        return {f"{SOURCE}-{pid}": pid for pid in self._target.watch.processes}

    async def observe(self, monitor: Monitor) -> None:
        """Record what its endpoint said since the last time, and how many log lines matched."""
        if self._scraper is not None:
            for scraped in self._scraper.take():
                monitor.put(SOURCE, scraped.metric, scraped.value, label=scraped.label)
            monitor.put(SOURCE, FAILED, self._scraper.failures.total())
        for log in self._logs:
            count = await trio.to_thread.run_sync(log.follow)
            monitor.put(SOURCE, MATCHES, count, label=f"{log.path.name}: {log.pattern}")

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
        """Return how many lines of its logs matched, and why its endpoint was not read."""
        counts = Counter(
            {f"log lines: {log.path.name}: {log.pattern}": log.count for log in self._logs}
        )
        if self._scraper is not None:
            failures = self._scraper.failures.items()
            counts.update({f"scrapes failed: {reason}": count for reason, count in failures})
        return counts
