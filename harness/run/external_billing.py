"""Somebody's own billing system in a run: told what it needs, its bills read back in the end."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Sequence
from typing import Final

import trio

from harness.run.billed_months import billed_months
from harness.run.billing import BILLS, FINISHED, FOLDER
from harness.run.billing_questions import batched, keep_records, virtual_meters
from harness.run.http import asked
from harness.run.listening import url_listens
from harness.run.preparation import Prepared
from harness.run.virtual_meters import Record
from harness.scenario.billing import Billing, ExternalBilling

TARIFFS_FILE: Final = "tariffs.json"
VIRTUAL_METERS_FILE: Final = "virtual-meters.csv"


class ExternalBillingSystem:
    """A billing system that is not ours.

    Args:
        prepared: the run.
        billing: its tariffs.
        target: where it is, and where its bills will be.
        doubt: told what makes the run prove nothing.
    """

    def __init__(
        self,
        prepared: Prepared,
        billing: Billing,
        target: ExternalBilling,
        *,
        doubt: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._billing = billing
        self._target = target
        self._doubt = doubt
        self._folder = prepared.folder.path / FOLDER
        self._meters = virtual_meters(prepared, billing)
        self._began_s = time.time()
        self.url = None if target.url is None else target.url.rstrip("/")
        self.token_file = target.token_file

    async def start(self) -> None:
        """Export tariffs and virtual meters, and wait until its API accepts a connection.

        Raises:
            EnvironmentUnfitError: nobody accepts one within 30 s.
            OSError: the export cannot be written.
        """
        self._folder.mkdir(exist_ok=True)
        folder = self._prepared.provisioning
        (folder / TARIFFS_FILE).write_text(self._billing.tariffs.model_dump_json(indent=1) + "\n")
        with (folder / VIRTUAL_METERS_FILE).open("w", newline="") as file:
            csv.writer(file).writerows([("name", "meter"), *self._meters.items()])
        if self.url is not None:
            await url_listens(self.url, who="billing system", key="billing.target.url")

    async def note_virtual_meters(self, records: Sequence[Record]) -> None:
        """Keep what flowed through virtual meters, and bring it to its API if there is one."""
        keep_records(self._folder, records, self._meters)
        if self.url is None:
            return
        try:
            for batch in batched(records):
                url = f"{self.url}/virtual-meters"
                await asked(url, self.token_file, "POST", {"records": batch})
        except OSError as error:
            self._doubt(f"billing did not take the virtual meters: {error}")

    async def finish(self) -> None:
        """Give it time to finish, and keep its bills in the run folder."""
        await trio.sleep(self._target.settle)
        try:
            await self._take_bills()
        except OSError as error:
            self._doubt(f"billing did not say its bills: {error}")
            return
        finished = {"months": billed_months(self._prepared, self._billing), "made_s": None}
        (self._folder / FINISHED).write_text(json.dumps(finished))

    async def _take_bills(self) -> None:
        kept = self._folder / BILLS
        if self._target.bills_url is not None:
            kept.write_bytes(await asked(self._target.bills_url, self.token_file))
            return
        assert self._target.bills is not None, "one of the two is said"
        source = self._prepared.fleet.pattern_folder / self._target.bills
        if source.stat().st_mtime < self._began_s:
            raise OSError(f"{source} was not written since the run began")
        kept.with_suffix(source.suffix).write_bytes(source.read_bytes())
