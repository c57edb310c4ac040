"""The static and dynamic data of a run, as a head-end is given them: devices, keys, plan.

Written before anything starts (seed 004, "grid interface": export of static and dynamic data as
CSV). The reference head-end reads the very files that somebody's own head-end would import::

    provisioning/concentrators.csv   one line a concentrator: name, address, port, keys ...
    provisioning/concentrators.json  the same
    provisioning/nodes.csv           one line a meter that has a name and keys of its own (C12.22)
    provisioning/meters.csv          one line a meter: name, concentrator, logical device address
    provisioning/head-end.json       what they share: first capture, rhythm, registers, security
    provisioning/plan.csv            one line a reading: when it is due (`export_plan`)
    provisioning/expected.csv        one line a reading: what it must be (`export_plan`)

The files of concentrators and nodes hold keys, so only their owner may read them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from emulator.capture import CaptureProfile
from emulator.dialects import Dialects
from emulator.fleet_config import FleetConfig
from emulator.grid import Grid
from emulator.identity import (
    addresses_of,
    concentrator_name,
    head_end_name,
    meter_names,
)
from emulator.keys import KeyRing, key_ring
from emulator.readings import Truth
from emulator.schedule import Schedule
from harness.provisioned_nodes import NO_NODES, ProvisionedNodes, private_file, write_nodes
from protocols.plugin import Credentials

CONCENTRATORS: Final = "concentrators"
NODES_FILE: Final = "nodes.csv"
METERS_FILE: Final = "meters.csv"
HEAD_END_FILE: Final = "head-end.json"
PLAN_FILE: Final = "plan.csv"
EXPECTED_FILE: Final = "expected.csv"


@dataclass(frozen=True, slots=True)
class ConcentratorRecord:
    """One line of ``concentrators.csv``."""

    number: int
    name: str
    system_title: bytes
    address: str
    port: int
    link: str
    protocol: str
    first_meter: int
    meters: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class SharedFacts:
    """What all devices of a run share.

    ``registers`` are names, ``logical_names`` OBIS codes, in the order of the capture profile;
    ``head_end_system_titles`` what each shard of the head-end is called, in hexadecimal digits, in
    each of the protocols (``mix``: DLMS, then C12, with a slash between).
    """

    first_s: int
    step_s: int
    steps: int
    profile: int
    registers: tuple[str, ...]
    logical_names: tuple[str, ...]
    protocol: str
    authentication: str
    protection: str
    confirmed: bool
    mode: str
    head_end_system_titles: tuple[str, ...]
    keys: str


@dataclass(frozen=True, slots=True, eq=False)
class Provisioning:
    """Everything a head-end is told. ``meter_names`` (S16) is in order of meter numbers."""

    concentrators: tuple[ConcentratorRecord, ...]
    meter_names: NDArray[np.bytes_]
    shared: SharedFacts
    nodes: ProvisionedNodes = NO_NODES

    @classmethod
    def load(cls, folder: Path) -> Provisioning:
        """Read what `export_devices` wrote. Raises `OSError`, `KeyError` or `ValueError`."""
        shared = TypeAdapter(SharedFacts).validate_json((folder / HEAD_END_FILE).read_bytes())
        with (folder / f"{CONCENTRATORS}.csv").open(newline="") as file:
            concentrators = tuple(map(_record, csv.DictReader(file)))
        nodes = ProvisionedNodes.load(folder / NODES_FILE)
        return cls(concentrators, _read_names(folder / METERS_FILE), shared, nodes)


def export_devices(folder: Path, config: FleetConfig, grid: Grid, capture: CaptureProfile) -> None:
    """Write the static data of a run to ``folder``, made if missing.

    Raises:
        KeyFileError: the key file lacks a device.
        LookupError: there is no such protocol.
        OSError: the folder cannot be written.
        ValueError: a lab has no room for that many concentrators on one link profile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dialects, keys = Dialects(config, grid), key_ring(config.seed, config.key_file)
    lines = list(_concentrator_lines(config, grid, dialects, keys))
    with private_file(folder / f"{CONCENTRATORS}.csv") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    with private_file(folder / f"{CONCENTRATORS}.json") as file:
        json.dump(lines, file, indent=1)
    _write_meters(folder / METERS_FILE, grid, dialects)
    with private_file(folder / NODES_FILE) as file:
        write_nodes(file, grid, dialects, keys)
    facts = asdict(_shared_facts(config, capture, dialects))
    (folder / HEAD_END_FILE).write_text(json.dumps(facts, indent=1) + "\n")


def export_plan(folder: Path, schedule: Schedule, truth: Truth) -> None:
    """Write the dynamic data: when each reading is due, and what it must be.

    One line a reading: mind the size (about 60 octets each).
    """
    plan, meters = schedule.plan, np.arange(schedule.plan.grid.meters)
    names = np.char.decode(meter_names(0, plan.grid.meters), "ascii")
    with (folder / PLAN_FILE).open("w") as due, (folder / EXPECTED_FILE).open("w") as expected:
        due.write("meter,captured_at,due_step\n")
        expected.write(",".join(["meter", "captured_at", "status", *truth.profile.names]) + "\n")
        for interval in range(plan.steps):
            captured_at_s = int(plan.captured_at(np.array([interval]))[0])
            steps = schedule.delivery_step_block(interval, 0, len(meters))
            rows = zip(names, steps.tolist(), strict=True)
            due.writelines(f"{name},{captured_at_s},{step}\n" for name, step in rows)
            values, status = truth.registers(meters, interval)
            columns = zip(names, status.tolist(), values.tolist(), strict=True)
            expected.writelines(
                f"{name},{captured_at_s},{state},{','.join(map(str, registers))}\n"
                for name, state, registers in columns
            )


def _concentrator_lines(
    config: FleetConfig, grid: Grid, dialects: Dialects, keys: KeyRing
) -> Iterator[dict[str, Any]]:
    links = [link.profile for link in grid.parameters.links]
    addresses = addresses_of(grid.link_category, in_lab=config.in_lab)
    for number in range(grid.concentrators):
        name = concentrator_name(number)
        title = dialects.plugin(number).title_of(name)
        credentials = keys.of(name, title)
        meters = grid.meters_of(number)
        yield {
            "number": number,
            "name": name.decode(),
            "system_title": title.hex(),
            "address": addresses.address(number),
            "port": config.listen_ports[config.shard_of(number, grid.concentrators)],
            "link": links[grid.link_category[number]],
            "protocol": dialects.name(number),
            "first_meter": meters.start,
            "meters": len(meters),
            "encryption_key": credentials.encryption_key.hex(),
            "authentication_key": credentials.authentication_key.hex(),
            "secret": credentials.secret.hex(),
        }


def _read_names(path: Path) -> NDArray[np.bytes_]:
    """Return the names of meters in order of their numbers."""
    path.stat()
    query = (
        "SELECT name FROM read_csv(?, header = true, all_varchar = true) ORDER BY number::BIGINT"
    )
    try:
        with duckdb.connect() as database:
            columns = database.execute(query, [str(path)]).fetchnumpy()
    except duckdb.Error as error:
        raise ValueError(f"{path}: {error}") from error
    return columns["name"].astype("S16")


def _record(line: dict[str, str]) -> ConcentratorRecord:
    title = bytes.fromhex(line["system_title"])
    encryption, authentication, secret = (
        bytes.fromhex(line[field]) for field in ("encryption_key", "authentication_key", "secret")
    )
    name = line["name"].encode()
    return ConcentratorRecord(
        number=int(line["number"]),
        name=line["name"],
        system_title=title,
        address=line["address"],
        port=int(line["port"]),
        link=line["link"],
        protocol=line["protocol"],
        first_meter=int(line["first_meter"]),
        meters=int(line["meters"]),
        credentials=Credentials(title, encryption, authentication, secret, name),
    )


def _write_meters(path: Path, grid: Grid, dialects: Dialects) -> None:
    number = np.arange(grid.meters)
    concentrator = grid.concentrator_of(number)
    names = np.array([dialects.name(item) for item in range(grid.concentrators)])[concentrator]
    most = int(np.diff(grid.first_meter).max())
    addresses = np.zeros(grid.meters, np.int64)
    for protocol, plugin in dialects.plugins.items():
        known = np.array([plugin.meter_address(meter) for meter in range(most)])
        those = names == protocol
        addresses[those] = known[(number - grid.first_meter[concentrator])[those]]
    columns = {
        "number": number,
        "name": np.char.decode(meter_names(0, grid.meters), "ascii").astype(object),
        "concentrator": concentrator,
        "logical_device_address": addresses,
        "pattern": grid.pattern,
        "tariff": grid.tariff,
    }
    with duckdb.connect() as database:
        database.register("meters", columns)
        target = str(path).replace("'", "''")
        database.execute(f"COPY (SELECT * FROM meters ORDER BY number) TO '{target}' (HEADER)")


def _shared_facts(config: FleetConfig, capture: CaptureProfile, dialects: Dialects) -> SharedFacts:
    plugins = dialects.plugins.values()
    return SharedFacts(
        first_s=config.first_s,
        step_s=config.behaviour.step_s,
        steps=config.behaviour.steps,
        profile=capture.number,
        registers=capture.names,
        logical_names=tuple(register.logical_name for register in capture.registers),
        protocol=config.protocol,
        authentication=config.authentication,
        protection=config.protection,
        confirmed=config.confirmed,
        mode=config.behaviour.mode,
        head_end_system_titles=tuple(
            "/".join(plugin.title_of(head_end_name(shard)).hex() for plugin in plugins)
            for shard in range(max(1, len(config.head_ends)))
        ),
        keys="key file" if config.key_file else "TEST KEYS from the seed: no secret",
    )
