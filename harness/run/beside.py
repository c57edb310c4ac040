"""The systems of a run beside the head-end: batteries and their layer, billing."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import trio

from emulator.clock import ScenarioClock
from harness.run.batteries import BatterySystem
from harness.run.billing import BillingSystem
from harness.run.billing_questions import virtual_meters
from harness.run.clients import BAL, BILLING, write_clients
from harness.run.external_bal import ExternalBalSystem
from harness.run.external_billing import ExternalBillingSystem
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.progress import Progress
from harness.run.questions import NoAnswerError
from harness.run.reference import ReferenceTarget
from harness.run.target import Target
from harness.run.virtual_meters import Record, metered
from harness.scenario.bal import Bal, ExternalBal
from harness.scenario.billing import Billing, ExternalBilling


class Beside:
    """All of them, as far as the scenario has them.

    Args:
        prepared: the run.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        journal: told of every life and death, and of what makes the run prove nothing.
        progress: tells people where APIs are.

    Attributes:
        batteries: batteries and our layer over them, once they were started.
        external_bal: batteries and somebody's own layer, once it was told what it needs.
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
        self.external_bal: ExternalBalSystem | None = None
        self.billing: BillingSystem | None = None
        self.external_billing: ExternalBillingSystem | None = None

    async def start(self, target: Target, systems: trio.Nursery, sockets: Path) -> None:
        """Start them and wait until they are up; write what their clients do.

        Raises:
            ProcessFailedError: one did not come up.
            EnvironmentUnfitError: nobody listens where somebody's own is to be.
            ScenarioError: a topology of batteries cannot be read.
        """
        scenario = self._prepared.scenario
        if scenario.bal is not None:
            await self._start_bal(scenario.bal, systems, sockets)
        if scenario.billing is not None:
            await self._start_billing(scenario.billing, target, systems)
        there = {BAL: self.batteries or self.external_bal, BILLING: self._bills}
        write_clients(self._prepared, scenario.load_driver.workers, there)

    async def _start_bal(self, bal: Bal, systems: trio.Nursery, sockets: Path) -> None:
        journal = self._journal
        if isinstance(bal.target, ExternalBal):
            self.external_bal = ExternalBalSystem(
                self._prepared,
                bal,
                bal.target,
                self._realtime_offset_s,
                started=journal.process_started,
                note=journal.note,
                doubt=journal.doubt,
            )
            await self.external_bal.start(systems)
        else:
            self.batteries = BatterySystem(
                self._prepared,
                bal,
                sockets,
                started=journal.process_started,
                note=journal.note,
                doubt=journal.doubt,
                say=self._progress.say,
            )
            await self.batteries.start(systems)

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
        for system in (self.batteries, self.external_bal, self.billing):
            if system is not None:
                await system.start_clock(clock)

    async def stop(self) -> None:
        """End them, records and bills complete; the head-end still lives."""
        records = await self._metered()
        for layer in (self.batteries, self.external_bal):
            if layer is not None:
                await layer.stop()
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
        layer, zone = self.batteries or self.external_bal, ZoneInfo(billing.time_zone)
        assert layer is not None, "who has virtual meters has a layer"
        try:
            return await metered(layer.flows, meters, prepared.fleet.first_s, zone)
        except (NoAnswerError, OSError, ValueError, KeyError) as error:
            self._journal.doubt(f"the battery layer did not say what flowed: {error}")
            return None

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        there = (self.batteries, self.external_bal, self.billing)
        found = [system.pids() for system in there if system is not None]
        return {name: pid for own in found for name, pid in own.items()}
