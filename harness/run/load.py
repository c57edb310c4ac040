"""Locust and the fleet, as the run sees them: orders over one socket, reports back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio

from emulator.clock import ScenarioClock
from emulator.messages import MessageStream
from harness.load.names import CLIENTS_VARIABLE, CONTROL_VARIABLE
from harness.run.clients import asks_systems
from harness.run.preparation import Prepared, free_ports
from harness.run.processes import RunProcess, python
from protocols.framing import Message

LOCUSTFILE: Final = Path(__file__).parent.parent / "load" / "locustfile.py"
CONNECT_S: Final = 120.0
STATISTICS: Final = "locust"


class LoadFailedError(Exception):
    """Locust did not come up, or went away; says what was awaited and where the log is."""


class Load:
    """The control connection to Locust's coordinating process.

    Args:
        control_socket: where this run listens for it.
        lost: called with (shard, exit code) when a fleet shard dies.
    """

    def __init__(self, control_socket: Path, lost: Callable[[int, int], None]) -> None:
        self.path = control_socket
        self._lost = lost
        self._messages: MessageStream | None = None
        self._reached: dict[str, trio.Event] = {}
        self.pids: dict[str, int] = {}
        self.gone = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen, take the one connection there is, and note its reports until it closes."""
        bound = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        with bound:
            await bound.bind(str(self.path))
            bound.listen(1)
            task_status.started()
            connected, _ = await bound.accept()
        async with trio.SocketStream(connected) as stream:
            self._messages = MessageStream(stream)
            while (report := await self._next()) is not None:
                self._note(report)
        self.gone.set()

    async def reach(self, state: str, *, timeout_s: float) -> None:
        """Wait until Locust reports ``state``.

        Raises:
            LoadFailedError: it did not in time, or went away first.
        """
        reached = self._event(state)
        with trio.move_on_after(timeout_s):
            await first_of(reached, self.gone)
        if not reached.is_set():
            why = "it went away" if self.gone.is_set() else f"not within {timeout_s:g} s"
            raise LoadFailedError(f"Locust did not report {state!r}: {why}; see its log")

    def reached(self, state: str) -> bool:
        """Tell whether Locust has reported ``state``."""
        return self._event(state).is_set()

    async def prepare(self, prepared: Prepared) -> None:
        """Have the shards started; returns when all of them listen. Raises `LoadFailedError`."""
        await self.reach("load", timeout_s=CONNECT_S)
        await self._order(
            {
                "do": "prepare",
                "run": str(prepared.folder.path),
                "shards": prepared.fleet.shards,
                "slices": prepared.fleet.slices,
            }
        )
        await self.reach("ready", timeout_s=CONNECT_S)

    async def start(self, clock: ScenarioClock) -> None:
        """Give every shard the scenario clock."""
        await self._order(
            {"do": "start", "clock": [clock.monotonic_s, clock.scenario_s, clock.rate]}
        )

    async def quiesce(self) -> None:
        """Have every concentrator finish what is under way and begin nothing more.

        Raises:
            LoadFailedError: Locust is gone.
        """
        await self._order({"do": "quiesce"})

    async def stop(self, *, timeout_s: float) -> None:
        """Have every shard end, its last counts taken. Raises `LoadFailedError`."""
        await self._order({"do": "stop"})
        await self.reach("ended", timeout_s=timeout_s)

    async def _order(self, order: dict[str, Any]) -> None:
        try:
            if self._messages is not None:
                await self._messages.send(order)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise LoadFailedError(f"Locust is gone: {order['do']} was not delivered") from error

    async def _next(self) -> Message | None:
        assert self._messages is not None
        try:
            return await self._messages.receive()
        except trio.BrokenResourceError:
            return None

    def _note(self, report: Message) -> None:
        if report["state"] == "gone":
            self._lost(report["shard"], report["code"])
            return
        self.pids |= report.get("pids", {})
        self._event(report["state"]).set()

    def _event(self, state: str) -> trio.Event:
        return self._reached.setdefault(state, trio.Event())


async def first_of(*events: trio.Event) -> None:
    """Wait until one of ``events`` is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


def locust_processes(
    prepared: Prepared,
    control_socket: Path,
    *,
    ui_port: int | None,
    ended: Callable[[RunProcess, int], None],
) -> list[RunProcess]:
    """Return Locust's processes, not started: one, or a master and its workers."""
    # A worker without a shard would only wait.
    workers = min(prepared.scenario.load_driver.workers, prepared.fleet.shards)
    environment = dict(os.environ) | {CONTROL_VARIABLE: str(control_socket)}
    environment.pop("METERSTORM_SCENARIO", None)
    folder = prepared.folder
    clients = max(1, workers) if asks_systems(prepared.scenario) else 0
    environment[CLIENTS_VARIABLE] = str(clients)
    users = prepared.fleet.shards * prepared.fleet.slices + clients
    main = [*python("locust", "-f", str(LOCUSTFILE)), "--users", str(users)]
    main += ["--spawn-rate", str(users), "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    main += ["--csv", str(folder.path / STATISTICS), "--csv-full-history"]
    main += ["--json-file", str(folder.path / STATISTICS)]
    main += ["--headless", "--only-summary"] if ui_port is None else _web(ui_port)
    others: list[list[str]] = []
    if workers:
        (port,) = free_ports(1)
        bind = ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        main += ["--master", *bind, "--expect-workers", str(workers)]
        worker = [*python("locust", "-f", str(LOCUSTFILE)), "--worker", "--loglevel", "WARNING"]
        worker += ["--master-host", "127.0.0.1", "--master-port", str(port)]
        others = [worker] * workers
    commands = {"locust": main} | {
        f"locust-worker-{number}": command for number, command in enumerate(others)
    }
    return [
        RunProcess(
            name,
            command,
            folder.logs / f"{name}.log",
            environment=environment,
            says_ready=False,
            ended=ended,
        )
        for name, command in commands.items()
    ]


def _web(port: int) -> list[str]:
    return ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)]


def locust_totals(folder: Path) -> dict[str, int]:
    """Return what Locust counted, by name: requests and failures; empty when it wrote nothing."""
    path = folder / f"{STATISTICS}.json"
    if not path.is_file():
        return {}
    totals: dict[str, int] = {}
    for entry in json.loads(path.read_text()):
        totals[f"{entry['name']}: requests"] = int(entry["num_requests"])
        totals[f"{entry['name']}: failures"] = int(entry["num_failures"])
    return totals
