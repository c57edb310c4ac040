"""`meterstorm serve`: the fleet alone, for a head-end of somebody's own, until it is told to end.

Nothing is judged and nothing is measured: this is for trying things out, and for a head-end that
is brought up step by step. The folder of the run holds what `harness.provisioning` exports.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import trio
from rich.console import Console

from emulator.dialects import Dialects, spoken
from emulator.fleet_config import FleetConfig
from emulator.messages import MessageStream
from harness.errors import ArgumentsError, EnvironmentUnfitError, ExitCode, causes
from harness.provisioning import Provisioning, export_plan
from harness.run.lab import open_lab
from harness.run.preparation import Prepared, prepare
from harness.run.processes import READY_S, ProcessFailedError, RunProcess, python
from harness.scenario import External, Scenario
from netem.lab import LabError
from protocols.c12.meter import Passwords
from protocols.framing import Message

ANSI: Final = "c12"
"""What meters with an optical port speak."""
NO_PORTS: Final[Mapping[int, str]] = {}
TOLD: Final = 5
"""Concentrators whose address is printed; the rest is in the export."""


@dataclass(frozen=True, slots=True)
class OpticalPorts:
    """Which meters offer their optical port: numbers in the grid, from 0.

    ``port`` is the TCP port of the first of them, the others follow; 0: any free ones. With
    ``terminals`` each is a pseudo-terminal instead.
    """

    meters: tuple[int, ...] = ()
    port: int = 0
    terminals: bool = False

    def port_of(self, place: int) -> int | None:
        """Return the TCP port of the ``place``-th of them; ``None``: a pseudo-terminal."""
        if self.terminals:
            return None
        return self.port + place if self.port else 0


NO_OPTICAL_PORTS: Final = OpticalPorts()


def serve_fleet(
    scenario: Scenario, *, scenario_file: Path, out: Path, optical: OpticalPorts = NO_OPTICAL_PORTS
) -> ExitCode:
    """Serve the fleet of ``scenario`` until SIGTERM (exit status 0) or SIGINT (130).

    Only a scenario that names the address of an external head-end pushes there; every other fleet
    waits to be read.

    Args:
        scenario: whose fleet.
        scenario_file: where it came from; patterns and key files are relative to it.
        out: where the folder with the exported devices and plan is made.
        optical: which meters offer their optical port as well.

    Where its links carry real packets, the fleet can be reached from the network namespace that
    this process is in.

    Raises:
        ArgumentsError: a meter that is not there, or that is none of the ANSI world; or an optical
            port that nobody could reach.
        HarnessError: the fleet could not be brought up, or its links failed.
    """
    prepared = prepare(_as_served(scenario), scenario_file=scenario_file, out=out)
    _check(optical, prepared)
    export_plan(prepared.provisioning, prepared.schedule, prepared.truth)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    try:
        return trio.run(_serve_over_links, prepared, optical, console)
    except* LabError as errors:
        reasons = "; ".join(map(str, causes(errors)))
        raise EnvironmentUnfitError(f"the links of the fleet failed: {reasons}") from errors


def _as_served(scenario: Scenario) -> Scenario:
    """Return ``scenario`` with a fleet that pushes only where somebody listens."""
    if isinstance(scenario.target, External):
        return scenario
    behaviour = scenario.behaviour.model_copy(update={"mode": "pull"})
    return scenario.model_copy(update={"behaviour": behaviour})


def _check(optical: OpticalPorts, prepared: Prepared) -> None:
    if prepared.fleet.in_lab and optical.meters and not optical.terminals:
        raise ArgumentsError(
            f'with link = "{prepared.fleet.link}" the fleet has a network of its own, where nobody '
            "could reach a TCP port: say --optical-pty"
        )
    grid, dialects = prepared.grid, Dialects(prepared.fleet, prepared.grid)
    for meter in optical.meters:
        if not 0 <= meter < grid.meters:
            raise ArgumentsError(
                f"there is no meter {meter}: they count from 0 to {grid.meters - 1}"
            )
        spoken = dialects.name(int(grid.concentrator_of(np.array(meter))))
        if spoken != ANSI:
            raise ArgumentsError(
                f"meter {meter} speaks {spoken}: only ANSI meters have an optical port of C12.18; "
                'say protocol = "c12" in the scenario'
            )


class _Shard:
    """One fleet shard: its process, and the socket over which it obeys."""

    def __init__(self, prepared: Prepared, number: int) -> None:
        ours, self._theirs = socket.socketpair()
        descriptor = self._theirs.fileno()
        self._log = prepared.folder.logs / f"shard-{number}.log"
        self._process = RunProcess(
            f"shard-{number}",
            python("emulator.shard", str(prepared.folder.path), str(number), str(descriptor)),
            self._log,
            says_ready=False,
            pass_fds=[descriptor],
            ended=self._gone,
        )
        self._messages = MessageStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        self._slices = prepared.fleet.slices
        self._ready = trio.Event()
        self._opened, self._hears_opened = trio.open_memory_channel[Message](1)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the process; return when it listens. Raises `ProcessFailedError`."""
        with self._theirs:
            await nursery.start(self._process.run)
        nursery.start_soon(self._hear)
        with trio.move_on_after(READY_S):
            await self._ready.wait()
        if not self._ready.is_set():
            raise ProcessFailedError(f"a shard said nothing for {READY_S:g} s; see {self._log}")

    async def begin(self, clock: tuple[float, float, float]) -> None:
        """Let all its concentrators live on the scenario clock ``clock``."""
        await self._messages.send({"do": "start", "clock": list(clock)})
        for part in range(self._slices):
            await self._messages.send({"do": "begin", "slice": part})

    async def open_optical(self, concentrator: int, meter: int, port: int | None) -> str:
        """Have it open a meter's optical port, and return where that is.

        One at a time. Raises `EnvironmentUnfitError`.
        """
        order = {"do": "optical", "concentrator": concentrator, "meter": meter, "port": port}
        await self._messages.send(order)
        told = await self._hears_opened.receive()
        if "error" in told:
            raise EnvironmentUnfitError(f"no optical port: {told['error']}")
        url: str = told["url"]
        return url

    async def stop(self) -> None:
        """Have it end, and wait until it has."""
        self._process.stopping = True
        # One that is gone is what was wanted.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._messages.send({"do": "stop"})
        await self._process.stop(ask=lambda: None)

    async def _hear(self) -> None:
        """Take its reports off the socket, so that it is never held up; nobody counts them here."""
        # Whoever watches the process tells that it is gone.
        with suppress(trio.BrokenResourceError):
            while (report := await self._messages.receive()) is not None:
                if report["state"] == "ready":
                    self._ready.set()
                elif report["state"] == "optical":
                    await self._opened.send(report)

    def _gone(self, process: RunProcess, status: int) -> None:
        raise ProcessFailedError(
            f"fleet {process.name} ended with status {status}; its log is {self._log}"
        )


async def _serve_over_links(
    prepared: Prepared, optical: OpticalPorts, console: Console
) -> ExitCode:
    async with open_lab(prepared):
        return await _serve(prepared, optical, console)


async def _serve(prepared: Prepared, optical: OpticalPorts, console: Console) -> ExitCode:
    shards = [_Shard(prepared, number) for number in range(prepared.fleet.shards)]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_bring_up, prepared, optical, shards, nursery, console)
            number = await anext(aiter(signals))
            console.print("stopping")
            async with trio.open_nursery() as stopping:
                for shard in shards:
                    stopping.start_soon(shard.stop)
            nursery.cancel_scope.cancel()
    return ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.PASSED


async def _bring_up(
    prepared: Prepared,
    optical: OpticalPorts,
    shards: list[_Shard],
    nursery: trio.Nursery,
    console: Console,
) -> None:
    for shard in shards:
        await shard.start(nursery)
    clock = (time.monotonic(), float(prepared.fleet.first_s), prepared.scenario.speed)
    for shard in shards:
        await shard.begin(clock)
    ports = {
        meter: await _open_optical(prepared, shards, meter, optical.port_of(place))
        for place, meter in enumerate(optical.meters)
    }
    console.print(summary(prepared, ports))


async def _open_optical(
    prepared: Prepared, shards: list[_Shard], meter: int, port: int | None
) -> str:
    concentrator = int(prepared.grid.concentrator_of(np.array(meter)))
    shard = shards[prepared.fleet.shard_of(concentrator, prepared.grid.concentrators)]
    within = meter - prepared.grid.meters_of(concentrator).start
    return await shard.open_optical(concentrator, within, port)


def summary(prepared: Prepared, ports: Mapping[int, str] = NO_PORTS) -> str:
    """Return what somebody has to know to read the fleet; the last line says that it is ready.

    ``ports`` are the optical ports, by number of the meter.
    """
    known = Provisioning.load(prepared.provisioning)
    fleet, records = prepared.fleet, known.concentrators
    starts = datetime.fromtimestamp(fleet.first_s, UTC).isoformat()
    pushes = fleet.behaviour.mode == "push" and fleet.head_ends
    lines = [
        f"fleet      {len(records):,} concentrators, {prepared.grid.meters:,} meters",
        f"exported   {prepared.provisioning}",
        "           concentrators.csv (addresses and keys), nodes.csv (ANSI meters' keys),",
        "           meters.csv, head-end.json,",
        "           plan.csv (when each reading is due), expected.csv (what it must be)",
        f"keys       {known.shared.keys}",
        f"clock      starts at {starts}, {prepared.scenario.speed:g} x real time, "
        f"{fleet.behaviour.steps:,} steps of {fleet.behaviour.step_s:,} s",
        "pushes     "
        + (f"to {fleet.head_ends[0].host}:{fleet.head_ends[0].port}" if pushes else "nothing"),
        "listening  " + ", ".join(TRANSPORTS[name] for name in spoken(fleet.protocol)) + ":",
        *(
            f"           {item.address}:{item.port}  {item.name}, {item.meters} meters"
            for item in records[:TOLD]
        ),
    ]
    if len(records) > TOLD:
        lines.append(f"           and {len(records) - TOLD:,} more in concentrators.csv")
    lines += _how_to_read_optically(known, ports)
    return "\n".join([*lines, *_how_to_read(prepared)])


TRANSPORTS: Final = {
    "dlms": "DLMS, TCP wrapper (IEC 62056-47)",
    ANSI: "ANSI C12.22 over TCP (RFC 6142)",
}
AUTHENTICATIONS: Final = {
    "none": "no authentication",
    "lls": "low-level security, the secret as password",
    "gmac": "HLS 5 (GMAC)",
}
PROTECTIONS: Final = {
    "clear": "no ciphering",
    "authenticated": "messages authenticated",
    "ciphered": "messages authenticated and encrypted",
}


def _how_to_read(prepared: Prepared) -> list[str]:
    lines = [HOW[name](prepared.fleet) for name in spoken(prepared.fleet.protocol)]
    return [
        *(line for part in lines for line in part),
        "ready      Ctrl-C or SIGTERM ends it",
    ]


def _how_to_read_dlms(fleet: FleetConfig) -> list[str]:
    how = f"{AUTHENTICATIONS[fleet.authentication]}, {PROTECTIONS[fleet.protection]}"
    return [
        "to read    client 16: clock 0-0:1.0.0.255, names, association view; no security",
        f"           client 1: everything; {how}",
        "           server 1: the concentrator; load profile of all its meters 1-0:99.1.0.255",
        "           server 256, 257 ...: its meters; register 1-0:1.8.0.255, attribute 2",
    ]


def _how_to_read_c12(fleet: FleetConfig) -> list[str]:
    password = fleet.c12.authentication == "password"
    how = "the Security service with the secret" if password else "no password"
    return [
        "to read    ApTitles below 2.16.124.113620.1.22.0: relay .1.n, meter .2.n; see nodes.csv",
        f"           {how}, EAX' with the encryption key: {PROTECTIONS[fleet.protection]}",
        "           tables 0, 1, 3, 5, 23, 28, 52, 61 to 64 (load profile), 71 to 76 (logs)",
    ]


HOW: Final[Mapping[str, Callable[[FleetConfig], list[str]]]] = {
    "dlms": _how_to_read_dlms,
    ANSI: _how_to_read_c12,
}


def _how_to_read_optically(known: Provisioning, ports: Mapping[int, str]) -> list[str]:
    """Return where optical ports are, and what termineter has to be told for each."""
    lines = []
    for meter, url in ports.items():
        node = known.nodes.credentials(known.nodes.meters.index(meter))
        lines += [
            f"optical    {url}  {node.name.decode()}, meter {meter}; C12.18, 9600 bit/s",
            f"           termineter: set SERIAL_CONNECTION {url}",
            f"                       set PASSWORD {Passwords.of(node).full.hex()}",
            "                       connect; then run get_info, read_table, run_procedure ...",
        ]
    return lines
