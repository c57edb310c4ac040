"""The batteries of a run and the battery abstraction layer over them: started, killed, stopped."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from emulator.batteries.config import BATTERIES_FILE, FOLDER
from emulator.batteries.grid import generate_batteries
from emulator.clock import ScenarioClock
from emulator.messages import MessageStream
from harness.bal.api.config import BalApiConfig
from harness.bal.happenings import SCHEDULE
from harness.run.api import TOKEN_OCTETS, write_private
from harness.run.battery_files import FOLDER as BAL_FOLDER
from harness.run.battery_files import bal_config, battery_fleet
from harness.run.preparation import Prepared, free_ports
from harness.run.processes import ProcessFailedError, RunProcess, python
from harness.run.questions import NoAnswerError, ask
from harness.run.revived import RevivedProcess
from harness.scenario.bal import Bal

BATTERIES_A_PROCESS: Final = 4_000
"""Listeners of one process share a socket; its lines are what costs."""
ANSWER_S: Final = 60.0
COUNTS: Final = "counts.json"
FLOWS: Final = "flows.json"
"""What the virtual meters registered, from the begin to the end of the run."""


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
        scenario = prepared.scenario
        assert scenario.batteries is not None, "there is no layer without batteries"
        self._prepared = prepared
        self._bal = bal
        self._started = started
        self._note = note
        self._doubt = doubt
        self._say = say
        self._nursery: trio.Nursery | None = None
        self._parks: list[tuple[RunProcess, MessageStream]] = []
        self._layer = RevivedProcess(
            "bal",
            partial(python, "harness.bal", str(prepared.folder.path / BAL_FOLDER / "bal.json")),
            prepared.folder.logs / "bal.log",
            started=started,
            note=note,
            begun=self._give_clock,
        )
        self._api: RunProcess | None = None
        self._socket = sockets / "bal.sock"
        self._folder = prepared.folder.path / BAL_FOLDER
        self._clock: ScenarioClock | None = None
        self.url: str | None = None
        self.token_file = self._folder / "api.token"
        count = -(-scenario.batteries.count // BATTERIES_A_PROCESS)
        ports = free_ports(count)
        self._fleet = battery_fleet(scenario, prepared.fleet.first_s, ports)
        self._grid = generate_batteries(scenario.batteries, scenario.seed)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start everything and wait until it is up. Raises `ProcessFailedError`."""
        self._nursery = nursery
        run = self._prepared.folder.path
        (run / FOLDER).mkdir(exist_ok=True)
        self._folder.mkdir(exist_ok=True)
        (run / BATTERIES_FILE).write_text(self._fleet.model_dump_json(indent=1))
        for process in range(len(self._fleet.listen_ports)):
            await self._start_park(process, nursery)
        config = bal_config(self._prepared, self._bal, self._grid, self._fleet, self._socket)
        (self._folder / "bal.json").write_text(config.model_dump_json(indent=1))
        await self._layer.start(nursery)
        if self._bal.api:
            await self._start_api(nursery)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give everybody the scenario clock."""
        self._clock = clock
        for _, messages in self._parks:
            await messages.send({"do": "start", "clock": list(clock.triple)})
        await self._give_clock()
        if self._bal.schedule and self._nursery is not None:
            self._nursery.start_soon(self._give_set_points)

    async def _give_set_points(self) -> None:
        """Schedule what the scenario says; a set point that is not taken is in doubt."""
        first_s = self._prepared.fleet.first_s
        for number, point in enumerate(self._bal.schedule):
            details = {
                "name": point.battery,
                "current_ma": point.current,
                "start_ms": round((first_s + point.at) * 1_000),
                "end_ms": round((first_s + point.at + point.lasts) * 1_000),
            }
            try:
                await ask(
                    self._socket,
                    "command",
                    kind=SCHEDULE,
                    details=details,
                    id=f"set-point-{number}",
                )
            except NoAnswerError as error:
                self._doubt(f"set point {number} of {point.battery} was not scheduled: {error}")

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
        for park, messages in self._parks:
            await self._stop_park(park, messages)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        others = [*(park for park, _ in self._parks), self._api]
        return self._layer.pids() | {
            one.name: one.pid for one in others if one is not None and one.has_pid
        }

    # Batteries

    async def _start_park(self, number: int, nursery: trio.Nursery) -> None:
        ours, theirs = socket.socketpair()
        name = f"batteries-{number}"
        with theirs:
            process = RunProcess(
                name,
                python(
                    "emulator.batteries",
                    str(self._prepared.folder.path),
                    str(number),
                    str(theirs.fileno()),
                ),
                self._prepared.folder.logs / f"{name}.log",
                says_ready=False,
                pass_fds=[theirs.fileno()],
                ended=self._park_died,
            )
            await nursery.start(process.run)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        messages = MessageStream(stream)
        self._parks.append((process, messages))
        with trio.move_on_after(ANSWER_S):
            ready = await messages.receive()
            if ready is not None and ready["state"] == "ready":
                self._started(name, process.pid)
                return
        raise ProcessFailedError(f"{name} did not start; its log says why")

    def _park_died(self, process: RunProcess, status: int) -> None:
        self._doubt(f"{process.name} ended with status {status}: its batteries were gone")

    async def _stop_park(self, park: RunProcess, messages: MessageStream) -> None:
        park.stopping = True
        try:
            await messages.send({"do": "stop"})
            with trio.move_on_after(ANSWER_S):
                told = await messages.receive()
                while told is not None and told["state"] != "stopped":
                    told = await messages.receive()
                self._keep(park.name, dict(told or {}))
        except trio.BrokenResourceError:
            self._doubt(f"{park.name} was gone before it was told to stop")
        await messages.aclose()
        await park.stop(ask=lambda: None)

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
            self._keep("bal", await ask(self._socket, "counts"))
        except NoAnswerError as error:
            self._note(f"bal does not say what it has counted: {error}")

    async def _note_flows(self) -> None:
        try:
            flows = await ask(self._socket, "flows", from_ms=0)
        except NoAnswerError as error:
            self._doubt(f"bal does not say what its virtual meters registered: {error}")
        else:
            (self._folder / FLOWS).write_text(json.dumps(flows))

    def _keep(self, name: str, counts: dict[str, Any]) -> None:
        path = self._folder / COUNTS
        kept = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(kept | {name: counts}, indent=1))

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
