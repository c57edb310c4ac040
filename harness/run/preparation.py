"""From a scenario to everything a run needs before its first process: fleet, plan, folder."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.behaviour_parameters import first_step_s
from emulator.descriptors import raise_descriptor_limit, shards_needed
from emulator.dialects import spoken
from emulator.fleet_config import (
    LAB_TIERS,
    C12Options,
    Capture,
    Endpoint,
    FleetConfig,
)
from emulator.grid import PROTOCOLS, Grid, generate_grid
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.run_folder import RunFolder
from emulator.schedule import Schedule
from harness.errors import ArgumentsError, EnvironmentUnfitError
from harness.provisioning import export_devices
from harness.scenario import (
    C12,
    Reference,
    Scenario,
    condition_spans,
    meter_event_spans,
    outage_spans,
)
from netem.addresses import HEAD_END_ADDRESS
from netem.profiles import LinkProfile, load_profiles

LATEST: Final = "latest"
PROVISIONING: Final = "provisioning"
PERFECT: Final = "none"
LEAD_S: Final = 2.0
LEAD_MAX_S: Final = 60.0
NODES_PER_S: Final = 3_000
"""Registrations for which a run leaves time before its first step, in a real second."""


@dataclass(frozen=True)
class Prepared:
    """A run that could start: everything follows from the scenario, nothing is running."""

    scenario: Scenario
    folder: RunFolder
    fleet: FleetConfig
    grid: Grid
    schedule: Schedule
    truth: Truth

    @cached_property
    def owed_per_step(self) -> NDArray[np.int64]:
        """Readings due at each step, int64 (steps,)."""
        return self.schedule.due_counts()

    @cached_property
    def deferred(self) -> int:
        """Readings whose window opens only after the last step."""
        return self.grid.meters * self.schedule.plan.steps - int(self.owed_per_step.sum())

    @property
    def confirms(self) -> bool:
        """Whether the fleet pushes and each push is confirmed."""
        return self.fleet.behaviour.mode == "push" and self.fleet.confirmed

    @property
    def lead_s(self) -> float:
        """Real seconds from the start of the clock to the first step: time to register nodes."""
        if not self.fleet.c12.register_nodes:
            return LEAD_S
        speaks_c12 = self.grid.protocol == PROTOCOLS.index("c12")
        nodes = int((np.diff(self.grid.first_meter) + 1)[speaks_c12].sum())
        per_s = min(NODES_PER_S, self.fleet.c12.registrations_per_s or NODES_PER_S)
        return LEAD_S + min(LEAD_MAX_S, nodes / per_s)

    @property
    def provisioning(self) -> Path:
        """Folder with what a head-end is told."""
        return self.folder.path / PROVISIONING


def prepare(scenario: Scenario, *, scenario_file: Path, out: Path) -> Prepared:
    """Make the folder of a run and everything in it that precedes the run.

    Raises:
        ArgumentsError: the scenario names something that is not there.
        EnvironmentUnfitError: this machine cannot carry the fleet.
        OSError: the folder cannot be written.
    """
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    fleet = fleet_config(scenario, scenario_file, grid)
    plan = Plan(grid, scenario.behaviour, fleet.first_s, scenario.seed)
    truth = Truth(
        grid, scenario.behaviour, fleet.first_s, scenario.seed, folder=fleet.pattern_folder
    )
    folder = _make_folder(scenario, out)
    if scenario_file.is_file():
        shutil.copyfile(scenario_file, folder.path / "scenario.toml")
    folder.fleet_file.write_text(fleet.model_dump_json(indent=1) + "\n")
    export_devices(folder.path / PROVISIONING, fleet, grid, truth.profile)
    return Prepared(scenario, folder, fleet, grid, Schedule.of(plan, fleet.outages), truth)


def fleet_config(scenario: Scenario, scenario_file: Path, grid: Grid) -> FleetConfig:
    """Return the fleet of a scenario: its shards, ports and links on this machine.

    Raises:
        ArgumentsError: a link profile is not there.
        EnvironmentUnfitError: too few file descriptors.
    """
    shards = _shards(scenario, grid.concentrators)
    users = scenario.load_driver.users or shards
    return FleetConfig(
        seed=scenario.seed,
        first_s=first_step_s(scenario.behaviour, time.time()),
        grid=scenario.grid,
        behaviour=scenario.behaviour,
        protocol=scenario.protocol,
        link=scenario.link,
        links=scenario.links.options,
        congestion=scenario.links.congestion,
        profiles=_profiles(scenario),
        authentication=scenario.security.authentication,
        protection=scenario.security.push,
        confirmed=scenario.security.confirmed,
        head_ends=_head_ends(scenario, grid.concentrators),
        listen_ports=tuple(free_ports(shards)),
        slices=max(1, -(-users // shards)),
        outages=outage_spans(scenario.timeline, scenario.behaviour),
        conditions=condition_spans(scenario.timeline, scenario.behaviour),
        events=meter_event_spans(scenario.timeline),
        c12=_c12_options(scenario.c12),
        capture=Capture(concentrators=_captured(scenario, grid), octets_max=scenario.capture.size),
        key_file=_key_file(scenario),
        pattern_folder=scenario_file.resolve().parent,
    )


def _captured(scenario: Scenario, grid: Grid) -> int:
    """Return of how many concentrators the octets are kept: replays are made from what is."""
    pushing = np.flatnonzero(grid.protocol == PROTOCOLS.index("dlms"))
    replayed = pushing[: scenario.probes.replay]
    return max(scenario.capture.concentrators, int(replayed[-1]) + 1 if len(replayed) else 0)


def _c12_options(written: C12) -> C12Options:
    return C12Options(
        authentication=written.authentication,
        sessionless=written.sessionless,
        security_answer=written.security_answer,
        replay=written.replay,
        unregistered=written.unregistered,
        register_nodes=written.register_nodes,
        registration_period_s=int(written.registration_period),
        registrations_per_s=written.registrations_per_s,
    )


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback device that were free a moment ago."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for bound in held:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in held]
    finally:
        for bound in held:
            bound.close()


def _shards(scenario: Scenario, concentrators: int) -> int:
    try:
        needed = shards_needed(concentrators, raise_descriptor_limit())
    except ValueError as error:
        raise EnvironmentUnfitError(f"{error}; raise it with ulimit -n") from error
    # Every Locust worker owns the same number of shards.
    workers = max(1, scenario.load_driver.workers)
    return min(concentrators, -(-needed // workers) * workers)


def _profiles(scenario: Scenario) -> dict[str, LinkProfile]:
    known = load_profiles(scenario.link_profiles)
    used = {link.profile for link in scenario.grid.links} | {PERFECT}
    missing = used - known.keys()
    if missing:
        raise ArgumentsError(f"grid.links: no link profile is called {', '.join(sorted(missing))}")
    return {name: known[name] for name in sorted(used)}


def _head_ends(scenario: Scenario, concentrators: int) -> tuple[Endpoint, ...]:
    target = scenario.target
    if isinstance(target, Reference):
        needed = target.shards or shards_needed(concentrators, raise_descriptor_limit())
        others = spoken(scenario.protocol)[1:]
        host = HEAD_END_ADDRESS if scenario.link in LAB_TIERS else "127.0.0.1"
        shards = min(needed, concentrators)
        ports = iter(free_ports(shards * (1 + len(others))))
        return tuple(
            Endpoint(host=host, port=next(ports), also={name: next(ports) for name in others})
            for _ in range(shards)
        )
    if target.push is None:
        return ()
    return (Endpoint(host=target.push.host, port=target.push.port),)


def _key_file(scenario: Scenario) -> Path | None:
    return scenario.security.keys


def _make_folder(scenario: Scenario, out: Path) -> RunFolder:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    name = f"{stamp}_{scenario.name}_{scenario.seed}"
    out.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 1000):
        path = out / (name if attempt == 1 else f"{name}_{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        folder = RunFolder(path.resolve())
        folder.logs.mkdir()
        _point_latest(out, path.name)
        return folder
    raise EnvironmentUnfitError(f"{out / name}: too many runs of the same second")


def _point_latest(out: Path, name: str) -> None:
    """Let ``latest`` name the run, in one step, so that it always names one."""
    beside = out / f".{LATEST}.{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(name)
    beside.replace(out / LATEST)
