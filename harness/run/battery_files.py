"""What the batteries of a run and the layer over them are told: files in the run folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from emulator.batteries.config import BatteryFleetConfig
from emulator.batteries.grid import BatteryGrid, battery_name
from emulator.fleet_config import LAB_TIERS
from harness.bal.config import BalConfig, Endpoint, Refresh
from harness.bal.faces.config import DialectFace, SunSpecFace
from harness.bal.tls import TlsFiles
from harness.bal.topology_file import load_topology
from harness.run.preparation import PERFECT, Prepared
from harness.scenario import condition_spans, outage_spans
from harness.scenario.bal import Bal, BalFace
from harness.scenario.model import Scenario
from netem.profiles import load_profiles

FOLDER: Final = "bal"
TOPOLOGY: Final = "topology.toml"
BATTERIES: Final = "batteries.csv"
BATTERY_COLUMNS: Final = (
    "name", "interface", "host", "port", "unit", "link", "voltage_mv", "capacity_mah",
    "max_charge_ma", "max_discharge_ma",
)  # fmt: skip
MODBUS_UNIT: Final = 1
JOURNAL: Final = "journal.sqlite"
COUNTS: Final = "counts.json"
FLOWS: Final = "flows.json"
"""What the virtual meters registered, from the begin to the end of the run."""
MILLISECONDS: Final = 1_000
PERCENT_PPM: Final = 10_000


def battery_fleet(scenario: Scenario, first_s: int, ports: Sequence[int]) -> BatteryFleetConfig:
    """Return the batteries of a scenario, one process for each of ``ports``."""
    assert scenario.batteries is not None, "there are batteries"
    known = load_profiles(scenario.link_profiles)
    used = {link.profile for link in scenario.batteries.links} | {PERFECT}
    return BatteryFleetConfig(
        seed=scenario.seed,
        first_s=first_s,
        grid=scenario.batteries,
        link=scenario.link,
        first_class=len(scenario.grid.links) if scenario.link in LAB_TIERS else 0,
        links=scenario.links.options,
        congestion=scenario.links.congestion,
        profiles={name: known[name] for name in sorted(used)},
        listen_ports=tuple(ports),
        outages=outage_spans(scenario.timeline, scenario.behaviour, "batteries"),
        conditions=condition_spans(scenario.timeline, scenario.behaviour, "batteries"),
    )


def virtual_name(number: int) -> str:
    """Return the name of a virtual battery, counted from 0."""
    return f"virtual-{number + 1:05d}"


def commanded(bal: Bal, batteries: int) -> list[str]:
    """Return the batteries that people command: those that no other is made of.

    Raises `ScenarioError`: a topology of the scenario's own cannot be.
    """
    if bal.topology is not None:
        return load_topology(bal.topology).tops()
    assert bal.virtual is not None, "one of the two is said"
    names = [virtual_name(number) for number in range(min(bal.virtual, batteries))]
    if not bal.partitions:
        return names
    return [f"{name}/{part.name}" for name in names for part in bal.partitions]


def topology(bal: Bal, grid: BatteryGrid) -> str:
    """Return the TOML of all emulated batteries and the virtual ones made of them."""
    parts = [_battery(grid, number) for number in range(grid.batteries)]
    assert bal.virtual is not None, "there is no topology of its own"
    for number, members in enumerate(np.array_split(np.arange(grid.batteries), bal.virtual)):
        if len(members):
            parts.append(_virtual(bal, virtual_name(number), members.tolist()))
    return "\n".join(parts)


def _battery(grid: BatteryGrid, number: int) -> str:
    ratings = grid.ratings(number)
    return _table(
        "[battery]",
        name=battery_name(number),
        interface=grid.interface(number),
        voltage_mv=ratings.nominal_mv,
        capacity_mah=ratings.capacity_mah,
        max_charge_ma=ratings.charge_ma_max,
        max_discharge_ma=ratings.discharge_ma_max,
    )


def _virtual(bal: Bal, name: str, members: Sequence[int]) -> str:
    sources = [battery_name(number) for number in members]
    parts = [_table("[aggregate]", name=name, sources=sources)]
    if bal.partitions:
        parts.append(_table("[splitter]", source=name, policy=bal.policy.value))
        parts += [
            _table(
                "[splitter.partitions]",
                name=f"{name}/{part.name}",
                share=f"{part.share / PERCENT_PPM:g} %",
            )
            for part in bal.partitions
        ]
    return "\n".join(parts)


def _table(table: str, **values: object) -> str:
    # JSON strings, numbers and arrays are TOML's, too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[{table}]", *lines, ""])


def bal_config(
    prepared: Prepared, bal: Bal, grid: BatteryGrid, fleet: BatteryFleetConfig, socket: Path
) -> BalConfig:
    """Write the topology into the run folder and return what the layer is told."""
    folder = prepared.folder.path / FOLDER
    addresses = fleet.addresses(grid)
    return BalConfig(
        control_socket=socket,
        journal=folder / JOURNAL,
        journal_events=None,
        topology=write_topology(folder, bal, grid),
        endpoints={
            battery_name(number): Endpoint(
                driver=grid.interface(number), host=addresses.address(number), port=port
            )
            for process, port in enumerate(fleet.listen_ports)
            for number in fleet.numbers_of(process)
        },
        refresh=Refresh(
            mode=bal.refresh, max_staleness_ms=max(1, round(bal.staleness * MILLISECONDS))
        ),
        timeout_s=bal.timeout,
        faces=tuple(map(face_config, bal.faces)),
    )


def write_topology(folder: Path, bal: Bal, grid: BatteryGrid) -> Path:
    """Write into ``folder`` what is made of which battery, and return the file."""
    file = folder / TOPOLOGY
    file.write_text(bal.topology.read_text() if bal.topology else topology(bal, grid))
    return file


def export_batteries(folder: Path, grid: BatteryGrid, fleet: BatteryFleetConfig) -> None:
    """Write into ``folder`` where each battery is, what it speaks and what it is built for."""
    ports = {
        number: port
        for process, port in enumerate(fleet.listen_ports)
        for number in fleet.numbers_of(process)
    }
    links = [link.profile for link in grid.parameters.links]
    addresses = fleet.addresses(grid)
    with (folder / BATTERIES).open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(BATTERY_COLUMNS)
        for number, port in sorted(ports.items()):
            ratings = grid.ratings(number)
            lines.writerow(
                (
                    battery_name(number),
                    grid.interface(number),
                    addresses.address(number),
                    port,
                    MODBUS_UNIT if grid.interface(number) == "sunspec" else "",
                    links[grid.link_category[number]] if fleet.link != "none" else "",
                    ratings.nominal_mv,
                    ratings.capacity_mah,
                    ratings.charge_ma_max,
                    ratings.discharge_ma_max,
                )
            )


def face_config(face: BalFace) -> DialectFace | SunSpecFace:
    """Return a face of a scenario as the layer is told."""
    tls = None
    if face.certificate and face.key and face.authorities:
        tls = TlsFiles(certificate=face.certificate, key=face.key, authorities=face.authorities)
    if face.speaks == "sunspec":
        units = dict(enumerate(face.units, start=1))
        return SunSpecFace(speaks=face.speaks, port=face.port, units=units, tls=tls)
    return DialectFace(speaks=face.speaks, port=face.port, tls=tls)
