"""The billing back end of a run: started, killed, and asked for its bills in the end."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from emulator.clock import ScenarioClock
from harness.billing.config import BillingConfig
from harness.run.api import TOKEN_OCTETS, write_private
from harness.run.billed_months import AFTER_S, billed_months, ended_days
from harness.run.billing_questions import batched, keep_records, virtual_meters
from harness.run.http import asked
from harness.run.preparation import Prepared, free_ports
from harness.run.processes import python
from harness.run.revived import RevivedProcess
from harness.run.virtual_meters import Record
from harness.scenario.billing import Billing

FOLDER: Final = "billing"
BILLS: Final = "bills.parquet"
FINISHED: Final = "finished.json"
STATISTICS: Final = "statistics.parquet"
AGAIN_S: Final = 5.0
"""Real seconds until bills that lack readings are tried again."""


class BillingSystem:
    """The billing process, as a run has it.

    Args:
        prepared: the run.
        billing: its tariffs.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        started: told name and process id whenever it starts.
        note: told what is worth a line of the record.
        doubt: told what makes the run prove nothing.
        say: tells people where its API is.
    """

    def __init__(
        self,
        prepared: Prepared,
        billing: Billing,
        realtime_offset_s: float,
        *,
        started: Callable[[str, int], None],
        note: Callable[[str], None],
        doubt: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._billing = billing
        self._realtime_offset_s = realtime_offset_s
        self._note = note
        self._doubt = doubt
        self._say = say
        self._folder = prepared.folder.path / FOLDER
        self._config: BillingConfig | None = None
        self._clock: ScenarioClock | None = None
        self._process = RevivedProcess(
            "billing",
            self._command,
            prepared.folder.logs / "billing.log",
            started=started,
            note=note,
        )
        self._meters: dict[str, int] = {}
        self.token_file = self._folder / "api.token"
        (port,) = free_ports(1)
        # The same port in every life: whoever asks it finds it again.
        self._port = port
        self.url = f"http://127.0.0.1:{port}"

    @property
    def months(self) -> list[str]:
        """The months that end while the run goes on, or before it."""
        return billed_months(self._prepared, self._billing)

    async def start(
        self, nursery: trio.Nursery, control_sockets: Sequence[Path], *, shared_store: bool
    ) -> None:
        """Start it and wait until it listens.

        Raises `ProcessFailedError`; `ScenarioError` if the topology of batteries cannot be read.
        """
        self._meters = virtual_meters(self._prepared, self._billing)
        self._folder.mkdir(exist_ok=True)
        write_private(self.token_file, secrets.token_urlsafe(TOKEN_OCTETS))
        self._config = BillingConfig(
            port=self._port,
            token_file=self.token_file,
            provisioning=self._prepared.provisioning,
            tariffs=self._billing.tariffs,
            book=str(self._folder / "book.duckdb"),
            control_sockets=tuple(control_sockets),
            shared_store=shared_store,
            virtual_meters=self._meters,
            folder=self._folder / "exports",
            realtime_offset_s=self._realtime_offset_s,
            after_s=AFTER_S,
            again_s=AGAIN_S,
        )
        await self._process.start(nursery)
        self._say(f"billing at {self.url}/docs, its token in {self.token_file}")

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give it the scenario clock."""
        self._clock = clock
        await self._give_clock()

    async def kill(self, restart_after_s: float) -> None:
        """Kill it with SIGKILL; it lives again after ``restart_after_s`` real seconds."""
        self._process.kill(restart_after_s)

    async def note_virtual_meters(self, records: Sequence[Record]) -> None:
        """Bring it what flowed through virtual meters, and have the days noted that have ended."""
        keep_records(self._folder, records, self._meters)
        first, end = ended_days(self._prepared, self._billing)
        try:
            for batch in batched(records):
                await self._ask("POST", "/virtual-meters", {"records": batch})
            if first < end:
                days = {"first": first.isoformat(), "end": end.isoformat()}
                await self._ask("POST", "/statistics", days)
            path = f"/export?what=statistics&day={end.isoformat()}"
            (self._folder / STATISTICS).write_bytes(await self._ask("GET", path))
        except OSError as error:
            self._doubt(f"billing did not take the virtual meters: {error}")

    async def finish(self) -> None:
        """Have every month billed that has ended, and keep the bills in the run folder."""
        try:
            for month in self.months:
                await self._ask("POST", "/bills", {"month": month})
            status = json.loads(await self._ask("GET", "/status"))
            bills = await self._ask("GET", "/export?what=bills")
        except OSError as error:
            self._doubt(f"billing did not say its bills: {error}")
            return
        (self._folder / BILLS).write_bytes(bills)
        made = {one["month"]: one["made_s"] for one in status["months"]}
        taken = [made[month] for month in self.months if made[month] is not None]
        finished = {"months": self.months, "made_s": sum(taken) if taken else None}
        (self._folder / FINISHED).write_text(json.dumps(finished))

    async def stop(self) -> None:
        """End it."""
        await self._process.stop()
        self.token_file.unlink(missing_ok=True)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return self._process.pids()

    def _command(self) -> list[str]:
        """Return how it is started, told all that is known by now."""
        assert self._config is not None, "it was started"
        config = self._config
        if self._clock is not None:
            config = config.model_copy(update={"clock": self._clock.triple})
        file = self._folder / "billing.json"
        file.write_text(config.model_dump_json(indent=1))
        return python("harness.billing", str(file))

    async def _give_clock(self) -> None:
        if self._clock is None:
            return
        try:
            await self._ask("POST", "/clock", {"triple": list(self._clock.triple)})
        except OSError as error:
            # Killed in the meantime: its next life is told the clock when it starts.
            self._note(f"billing was not given the clock: {error}")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Return the answer to a request. Raises `OSError`."""
        return await asked(self.url + path, self.token_file, method, body)
