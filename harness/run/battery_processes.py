"""The emulated batteries of a run: their processes started, given the clock, and stopped."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import trio

from emulator.batteries.config import BATTERIES_FILE, FOLDER
from emulator.batteries.grid import generate_batteries
from emulator.clock import ScenarioClock
from emulator.messages import MessageStream
from harness.run.battery_files import COUNTS, battery_fleet
from harness.run.battery_files import FOLDER as BAL_FOLDER
from harness.run.preparation import Prepared, free_ports
from harness.run.processes import ProcessFailedError, RunProcess, python

BATTERIES_A_PROCESS: Final = 4_000
"""Listeners of one process share a socket; its lines are what costs."""
ANSWER_S: Final = 60.0


class BatteryProcesses:
    """All batteries of a run, whoever keeps them.

    Args:
        prepared: the run.
        started: told name and process id of everything that starts.
        doubt: told what makes the run prove nothing.

    Attributes:
        fleet: what the processes are told.
        grid: the batteries.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        started: Callable[[str, int], None],
        doubt: Callable[[str], None],
    ) -> None:
        scenario = prepared.scenario
        assert scenario.batteries is not None, "there is no layer without batteries"
        self._run = prepared.folder.path
        self._logs = prepared.folder.logs
        self._started = started
        self._doubt = doubt
        self._running: list[tuple[RunProcess, MessageStream]] = []
        count = -(-scenario.batteries.count // BATTERIES_A_PROCESS)
        ports = _ports_beside(count, prepared.fleet.listen_ports)
        self.fleet = battery_fleet(scenario, prepared.fleet.first_s, ports)
        self.grid = generate_batteries(scenario.batteries, scenario.seed)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start them and wait until they listen. Raises `ProcessFailedError`."""
        (self._run / FOLDER).mkdir(exist_ok=True)
        (self._run / BATTERIES_FILE).write_text(self.fleet.model_dump_json(indent=1))
        for process in range(len(self.fleet.listen_ports)):
            await self._start_one(process, nursery)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give them the scenario clock."""
        for _, messages in self._running:
            await messages.send({"do": "start", "clock": list(clock.triple)})

    async def stop(self) -> None:
        """End them; their records are then complete."""
        for process, messages in self._running:
            await self._stop_one(process, messages)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {one.name: one.pid for one, _ in self._running if one.has_pid}

    async def _start_one(self, number: int, nursery: trio.Nursery) -> None:
        ours, theirs = socket.socketpair()
        name = f"batteries-{number}"
        with theirs:
            process = RunProcess(
                name,
                python("emulator.batteries", str(self._run), str(number), str(theirs.fileno())),
                self._logs / f"{name}.log",
                says_ready=False,
                pass_fds=[theirs.fileno()],
                ended=self._died,
            )
            await nursery.start(process.run)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        messages = MessageStream(stream)
        self._running.append((process, messages))
        with trio.move_on_after(ANSWER_S):
            ready = await messages.receive()
            if ready is not None and ready["state"] == "ready":
                self._started(name, process.pid)
                return
        raise ProcessFailedError(f"{name} did not start; its log says why")

    def _died(self, process: RunProcess, status: int) -> None:
        self._doubt(f"{process.name} ended with status {status}: its batteries were gone")

    async def _stop_one(self, process: RunProcess, messages: MessageStream) -> None:
        process.stopping = True
        try:
            await messages.send({"do": "stop"})
            with trio.move_on_after(ANSWER_S):
                told = await messages.receive()
                while told is not None and told["state"] != "stopped":
                    told = await messages.receive()
                keep_counts(self._run / BAL_FOLDER, process.name, dict(told or {}))
        except trio.BrokenResourceError:
            self._doubt(f"{process.name} was gone before it was told to stop")
        await messages.aclose()
        await process.stop(ask=lambda: None)


def _ports_beside(count: int, taken: Collection[int]) -> list[int]:
    """Return free ports, none of them ``taken``: nobody listens there yet, or not on this side."""
    while set(ports := free_ports(count)).intersection(taken):
        pass
    return ports


def keep_counts(folder: Path, name: str, counts: dict[str, Any]) -> None:
    """Add what one process has counted to those of the run."""
    path = folder / COUNTS
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(kept | {name: counts}, indent=1))
