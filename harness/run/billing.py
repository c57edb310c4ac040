"""The billing back end of a run: started, killed, and asked for its bills in the end."""

from __future__ import annotations

import json
import secrets
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import trio

from emulator.clock import ScenarioClock
from harness.billing.calendar import month_span
from harness.billing.config import BillingConfig
from harness.run.api import TOKEN_OCTETS, write_private
from harness.run.preparation import Prepared, free_ports
from harness.run.processes import ProcessFailedError, RunProcess, python
from harness.scenario.billing import Billing

FOLDER: Final = "billing"
BILLS: Final = "bills.parquet"
FINISHED: Final = "finished.json"
ANSWER_S: Final = 1_800.0
"""Real seconds that billing a month may take."""
AFTER_S: Final = 60.0
"""Scenario seconds after a month's end at which it is billed for the first time."""
AGAIN_S: Final = 5.0
"""Real seconds until bills that lack readings are tried again."""
RESTART_S: Final = 1.0
STARTS_MAX: Final = 5
"""Attempts to start billing that has died before the run ends with an error."""


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
        self._started = started
        self._note = note
        self._doubt = doubt
        self._say = say
        self._folder = prepared.folder.path / FOLDER
        self._config: BillingConfig | None = None
        self._clock: ScenarioClock | None = None
        self._nursery: trio.Nursery | None = None
        self._process: RunProcess | None = None
        self._restart_after_s = RESTART_S
        self._stopping = False
        self.token_file = self._folder / "api.token"
        (port,) = free_ports(1)
        # The same port in every life: whoever asks it finds it again.
        self._port = port
        self.url = f"http://127.0.0.1:{port}"

    @property
    def months(self) -> list[str]:
        """The months that end while the run goes on, or before it."""
        zone, fleet = ZoneInfo(self._billing.time_zone), self._prepared.fleet
        last_s = fleet.first_s + (fleet.behaviour.steps - 1) * fleet.behaviour.step_s
        first_s = fleet.first_s - fleet.behaviour.preloaded * fleet.behaviour.step_s
        spans = {str(rates.month): month_span(rates.month, zone) for rates in self._billing.rates}
        return [name for name, span in spans.items() if first_s <= span[0] and span[1] <= last_s]

    def begins_s(self) -> float:
        """Return the real seconds after the first step at which the first of `months` ends."""
        zone, fleet = ZoneInfo(self._billing.time_zone), self._prepared.fleet
        ends = [
            month_span(rates.month, zone)[1]
            for rates in self._billing.rates
            if str(rates.month) in self.months
        ]
        ended_s = min(ends, default=fleet.first_s) + AFTER_S - fleet.first_s
        return max(0.0, ended_s / self._prepared.scenario.speed)

    async def start(
        self, nursery: trio.Nursery, control_sockets: Sequence[Path], *, shared_store: bool
    ) -> None:
        """Start it and wait until it listens. Raises `ProcessFailedError`."""
        self._nursery = nursery
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
            folder=self._folder / "exports",
            realtime_offset_s=self._realtime_offset_s,
            after_s=AFTER_S,
            again_s=AGAIN_S,
        )
        await self._live()
        self._say(f"billing at {self.url}/docs, its token in {self.token_file}")

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give it the scenario clock."""
        self._clock = clock
        await self._give_clock()

    async def kill(self, restart_after_s: float) -> None:
        """Kill it with SIGKILL; it lives again after ``restart_after_s`` real seconds."""
        self._restart_after_s = restart_after_s
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    async def finish(self) -> None:
        """Have every month billed that has ended, and keep the bills in the run folder."""
        began = time.monotonic()
        try:
            for month in self.months:
                await self._ask("POST", "/bills", {"month": month})
            made_s = time.monotonic() - began
            bills = await self._ask("GET", "/export?what=bills")
        except OSError as error:
            self._doubt(f"billing did not say its bills: {error}")
            return
        (self._folder / BILLS).write_bytes(bills)
        finished = {"months": self.months, "made_s": made_s}
        (self._folder / FINISHED).write_text(json.dumps(finished))

    async def stop(self) -> None:
        """End it."""
        self._stopping = True
        if self._process is not None:
            await self._process.stop()
        self.token_file.unlink(missing_ok=True)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        process = self._process
        return {process.name: process.pid} if process is not None and process.has_pid else {}

    async def _live(self) -> None:
        assert self._nursery is not None, "it was started"
        assert self._config is not None, "it was started"
        config = self._config
        if self._clock is not None:
            config = config.model_copy(update={"clock": self._clock.triple})
        file = self._folder / "billing.json"
        file.write_text(config.model_dump_json(indent=1))
        process = RunProcess(
            "billing",
            python("harness.billing", str(file)),
            self._prepared.folder.logs / "billing.log",
            ended=self._died,
        )
        await self._nursery.start(process.run)
        self._process = process
        self._started("billing", process.pid)

    def _died(self, process: RunProcess, status: int) -> None:
        self._note(f"billing ended with status {status}")
        if not self._stopping and self._nursery is not None:
            self._nursery.start_soon(self._resurrect)

    async def _resurrect(self) -> None:
        """Start it again until it is up, or the run stops."""
        for last in (*(False,) * (STARTS_MAX - 1), True):
            await trio.sleep(self._restart_after_s)
            if self._stopping:
                return
            try:
                await self._live()
            except ProcessFailedError:
                if last:
                    raise
            else:
                return

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
        return await trio.to_thread.run_sync(
            partial(_asked, self.url + path, method, self.token_file.read_text().strip(), body)
        )


def _asked(url: str, method: str, token: str, body: dict[str, Any] | None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            told: bytes = answer.read()
            return told
    except urllib.error.HTTPError as error:
        raise OSError(f"{method} {url}: {error.code}: {error.read(2_000).decode()}") from error


def day_of(posix_s: int, zone: str) -> str:
    """Return the day of a moment in a zone, as ISO 8601 has it."""
    return datetime.fromtimestamp(posix_s, UTC).astimezone(ZoneInfo(zone)).date().isoformat()
