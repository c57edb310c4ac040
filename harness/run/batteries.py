"""Our battery layer over the batteries of a run: started, killed, stopped."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from emulator.clock import ScenarioClock
from harness.bal.api.config import BalApiConfig
from harness.bal.happenings import SCHEDULE
from harness.run.api import TOKEN_OCTETS, write_private
from harness.run.battery_files import FLOWS, FOLDER, bal_config
from harness.run.battery_processes import BatteryProcesses, keep_counts
from harness.run.preparation import Prepared
from harness.run.processes import RunProcess, python
from harness.run.questions import NoAnswerError, ask
from harness.run.revived import RevivedProcess
from harness.run.set_points import SetPoint, give_set_points, set_points
from harness.scenario.bal import Bal


class BatterySystem:
    """Battery processes, the layer and its API, as a run has them.

    Args:
        prepared: the run.
        bal: the layer.
        sockets: folder for its control socket.
        started: told name and process id of everything that starts.
        note: told what is worth a line of the record.
        doubt: told what makes the run prove nothing.
        say: tells people where the API is.
    """

    def __init__(
        self,
        prepared: Prepared,
        bal: Bal,
        sockets: Path,
        *,
        started: Callable[[str, int], None],
        note: Callable[[str], None],
        doubt: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._bal = bal
        self._started = started
        self._note = note
        self._doubt = doubt
        self._say = say
        self._nursery: trio.Nursery | None = None
        self._batteries = BatteryProcesses(prepared, started=started, doubt=doubt)
        self._layer = RevivedProcess(
            "bal",
            partial(python, "harness.bal", str(prepared.folder.path / FOLDER / "bal.json")),
            prepared.folder.logs / "bal.log",
            started=started,
            note=note,
            begun=self._give_clock,
        )
        self._api: RunProcess | None = None
        self._socket = sockets / "bal.sock"
        self._folder = prepared.folder.path / FOLDER
        self._clock: ScenarioClock | None = None
        self.url: str | None = None
        self.token_file = self._folder / "api.token"

    async def start(self, nursery: trio.Nursery) -> None:
        """Start everything and wait until it is up. Raises `ProcessFailedError`."""
        self._nursery = nursery
        self._folder.mkdir(exist_ok=True)
        await self._batteries.start(nursery)
        there = self._batteries
        config = bal_config(self._prepared, self._bal, there.grid, there.fleet, self._socket)
        (self._folder / "bal.json").write_text(config.model_dump_json(indent=1))
        await self._layer.start(nursery)
        if self._bal.api:
            await self._start_api(nursery)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give everybody the scenario clock."""
        self._clock = clock
        await self._batteries.start_clock(clock)
        await self._give_clock()
        if self._bal.schedule and self._nursery is not None:
            points = set_points(self._bal, self._prepared.fleet.first_s)
            give = partial(give_set_points, folder=self._folder, doubt=self._doubt)
            self._nursery.start_soon(partial(give, points, self._schedule, now_s=clock.now_s))

    async def _schedule(self, point: SetPoint) -> str | None:
        details = {
            "name": point.name,
            "current_ma": point.current_ma,
            "start_ms": point.start_ms,
            "end_ms": point.end_ms,
        }
        try:
            await ask(self._socket, "command", kind=SCHEDULE, details=details, id=point.id)
        except NoAnswerError as error:
            return str(error)
        return None

    async def kill(self, restart_after_s: float) -> None:
        """Kill the layer with SIGKILL; it lives again after ``restart_after_s`` real seconds."""
        self._layer.kill(restart_after_s)

    async def stop(self) -> None:
        """End the API, the layer and then the batteries, whose records are then complete."""
        if self._api is not None:
            await self._api.stop()
            self.token_file.unlink(missing_ok=True)
        await self._note_counts()
        await self._note_flows()
        await self._layer.stop()
        await self._batteries.stop()

    async def flows(self, to_ms: int | None = None) -> list[dict[str, Any]]:
        """Return what its virtual meters registered up to a time. Raises `NoAnswerError`."""
        return [*await ask(self._socket, "flows", from_ms=0, to_ms=to_ms)]

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        api = self._api
        own = {api.name: api.pid} if api is not None and api.has_pid else {}
        return self._layer.pids() | self._batteries.pids() | own

    # The layer

    async def _give_clock(self) -> None:
        if self._clock is None:
            return
        try:
            await ask(self._socket, "clock", triple=list(self._clock.triple))
        except NoAnswerError as error:
            # Killed in the meantime: whoever starts it anew gives it the clock.
            self._note(f"bal was not given the clock: {error}")

    async def _note_counts(self) -> None:
        try:
            keep_counts(self._folder, "bal", await ask(self._socket, "counts"))
        except NoAnswerError as error:
            self._note(f"bal does not say what it has counted: {error}")

    async def _note_flows(self) -> None:
        try:
            flows = await self.flows()
        except NoAnswerError as error:
            self._doubt(f"bal does not say what its virtual meters registered: {error}")
        else:
            (self._folder / FLOWS).write_text(json.dumps(flows))

    # Its API

    async def _start_api(self, nursery: trio.Nursery) -> None:
        write_private(self.token_file, secrets.token_urlsafe(TOKEN_OCTETS))
        config = BalApiConfig(token_file=self.token_file, control_socket=self._socket)
        file = self._folder / "api.json"
        file.write_text(config.model_dump_json(indent=1))
        self._api = RunProcess(
            "bal-api",
            python("harness.bal.api", str(file)),
            self._prepared.folder.logs / "bal-api.log",
            ended=lambda _, status: self._doubt(f"bal-api ended with status {status}"),
        )
        ready = await nursery.start(self._api.run)
        self._started("bal-api", self._api.pid)
        self.url = f"http://127.0.0.1:{ready.split()[-1]}"
        self._say(f"battery layer at {self.url}/docs, its token in {self.token_file}")
