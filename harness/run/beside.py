"""The systems of a run beside the head-end: batteries and their layer, billing."""

from __future__ import annotations

from pathlib import Path

import trio

from emulator.clock import ScenarioClock
from harness.run.batteries import BatterySystem
from harness.run.billing import BillingSystem
from harness.run.clients import write_clients
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.progress import Progress
from harness.run.reference import ReferenceTarget
from harness.run.target import Target


class Beside:
    """All of them, as far as the scenario has them.

    Args:
        prepared: the run.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        journal: told of every life and death, and of what makes the run prove nothing.
        progress: tells people where APIs are.

    Attributes:
        batteries: batteries and the layer over them, once they were started.
        billing: the billing back end, once it was started.
    """

    def __init__(
        self, prepared: Prepared, realtime_offset_s: float, journal: Journal, progress: Progress
    ) -> None:
        self._prepared = prepared
        self._realtime_offset_s = realtime_offset_s
        self._journal = journal
        self._progress = progress
        self.batteries: BatterySystem | None = None
        self.billing: BillingSystem | None = None

    async def start(self, target: Target, systems: trio.Nursery, sockets: Path) -> None:
        """Start them and wait until they are up; write what their clients do.

        Raises `ProcessFailedError`.
        """
        scenario, journal = self._prepared.scenario, self._journal
        if scenario.bal is not None:
            self.batteries = BatterySystem(
                self._prepared,
                scenario.bal,
                sockets,
                started=journal.process_started,
                note=journal.note,
                doubt=journal.doubt,
                say=self._progress.say,
            )
            await self.batteries.start(systems)
        if scenario.billing is not None and isinstance(target, ReferenceTarget):
            self.billing = BillingSystem(
                self._prepared,
                scenario.billing,
                self._realtime_offset_s,
                started=journal.process_started,
                note=journal.note,
                doubt=journal.doubt,
                say=self._progress.say,
            )
            await self.billing.start(
                systems, target.control_sockets, shared_store=target.shared_store
            )
        workers = scenario.load_driver.workers
        write_clients(self._prepared, workers, self.batteries, self.billing)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give each the scenario clock."""
        for system in (self.batteries, self.billing):
            if system is not None:
                await system.start_clock(clock)

    async def stop(self) -> None:
        """End them, records and bills complete; the head-end still lives."""
        if self.batteries is not None:
            await self.batteries.stop()
        if self.billing is not None:
            await self.billing.finish()
            await self.billing.stop()

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        there = [system for system in (self.batteries, self.billing) if system is not None]
        return {name: pid for system in there for name, pid in system.pids().items()}
