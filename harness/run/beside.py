"""The systems of a run beside the head-end: batteries and their layer, billing."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import trio

from emulator.clock import ScenarioClock
from harness.run.batteries import BatterySystem
from harness.run.billing import BillingSystem
from harness.run.billing_questions import virtual_meters
from harness.run.clients import write_clients
from harness.run.external_billing import ExternalBillingSystem
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.progress import Progress
from harness.run.questions import NoAnswerError
from harness.run.reference import ReferenceTarget
from harness.run.target import Target
from harness.run.virtual_meters import Record, metered
from harness.scenario.billing import Billing, ExternalBilling

LAYER_SOCKET: Final = "bal.sock"
"""What `BatterySystem` calls the layer's control socket."""


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
        external_billing: somebody's own in its place, once it was told what it needs.
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
        self.external_billing: ExternalBillingSystem | None = None
        self._layer_socket = Path()

    async def start(self, target: Target, systems: trio.Nursery, sockets: Path) -> None:
        """Start them and wait until they are up; write what their clients do.

        Raises:
            ProcessFailedError: one did not come up.
            EnvironmentUnfitError: nobody listens where somebody's own is to be.
            ScenarioError: a topology of batteries cannot be read.
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
            self._layer_socket = sockets / LAYER_SOCKET
            await self.batteries.start(systems)
        if scenario.billing is not None:
            await self._start_billing(scenario.billing, target, systems)
        workers = scenario.load_driver.workers
        write_clients(self._prepared, workers, self.batteries, self._bills)

    async def _start_billing(self, billing: Billing, target: Target, systems: trio.Nursery) -> None:
        journal = self._journal
        if isinstance(billing.target, ExternalBilling):
            self.external_billing = ExternalBillingSystem(
                self._prepared, billing, billing.target, doubt=journal.doubt
            )
            await self.external_billing.start()
        elif isinstance(target, ReferenceTarget):
            self.billing = BillingSystem(
                self._prepared,
                billing,
                self._realtime_offset_s,
                started=journal.process_started,
                note=journal.note,
                doubt=journal.doubt,
                say=self._progress.say,
            )
            await self.billing.start(
                systems, target.control_sockets, shared_store=target.shared_store
            )

    @property
    def _bills(self) -> BillingSystem | ExternalBillingSystem | None:
        return self.billing or self.external_billing

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give each the scenario clock."""
        for system in (self.batteries, self.billing):
            if system is not None:
                await system.start_clock(clock)

    async def stop(self) -> None:
        """End them, records and bills complete; the head-end still lives."""
        records = await self._metered()
        if self.batteries is not None:
            await self.batteries.stop()
        if self._bills is not None:
            if records is not None:
                await self._bills.note_virtual_meters(records)
            await self._bills.finish()
        if self.billing is not None:
            await self.billing.stop()

    async def _metered(self) -> list[Record] | None:
        """Return what flowed through virtual meters, where billing is to be told."""
        prepared, billing = self._prepared, self._prepared.scenario.billing
        if billing is None or not (meters := virtual_meters(prepared, billing)):
            return None
        zone = ZoneInfo(billing.time_zone)
        try:
            return await metered(self._layer_socket, meters, prepared.fleet.first_s, zone)
        except NoAnswerError as error:
            self._journal.doubt(f"the battery layer did not say what flowed: {error}")
            return None

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        there = [system for system in (self.batteries, self.billing) if system is not None]
        return {name: pid for system in there for name, pid in system.pids().items()}
