"""What is exported is what a head-end reads, and nobody else reads the keys."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.capture import capture_profile
from emulator.fleet_config import Endpoint, FleetConfig
from emulator.grid import Grid, generate_grid
from emulator.identity import concentrator_address, meter_names
from emulator.keys import KeyFileError, SeededKeys
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.schedule import Schedule
from harness.provisioning import Provisioning, export_devices, export_plan
from tests.support.grids import FIRST_S, behaviour, small_grid

SEED = 7


def fleet(**changes: Any) -> FleetConfig:
    return FleetConfig(
        seed=SEED,
        first_s=FIRST_S,
        grid=small_grid(5),
        behaviour=behaviour(4),
        head_ends=(Endpoint(host="127.0.0.1", port=4059), Endpoint(host="127.0.0.1", port=4060)),
        listen_ports=(5001, 5002),
        **changes,
    )


def grid_of(config: FleetConfig) -> Grid:
    return generate_grid(config.grid, config.behaviour, config.seed)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder with the static data of a small fleet."""
    config = fleet()
    export_devices(tmp_path, config, grid_of(config), capture_profile(config.grid))
    return tmp_path


def test_what_is_exported_is_read_back(exported: Path) -> None:
    grid, known = grid_of(fleet()), Provisioning.load(exported)
    assert [record.number for record in known.concentrators] == list(range(5))
    assert known.meter_names.tolist() == meter_names(0, grid.meters).tolist()
    keys = SeededKeys(SEED)
    for record in known.concentrators:
        meters = grid.meters_of(record.number)
        assert (record.first_meter, record.meters) == (meters.start, len(meters))
        assert record.address == concentrator_address(record.number)
        assert record.credentials == keys.of(record.name.encode(), record.system_title)
    assert [record.port for record in known.concentrators] == [5001, 5001, 5002, 5002, 5002]
    shared = known.shared
    assert (shared.first_s, shared.step_s, shared.steps) == (FIRST_S, 900, 4)
    assert shared.registers == capture_profile(fleet().grid).names
    assert len(shared.head_end_system_titles) == 2
    assert "TEST KEYS" in shared.keys


def test_the_two_files_of_concentrators_say_the_same(exported: Path) -> None:
    with (exported / "concentrators.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    listed = json.loads((exported / "concentrators.json").read_text())
    assert lines == [{key: str(value) for key, value in line.items()} for line in listed]


@pytest.mark.parametrize("name", ["concentrators.csv", "concentrators.json"])
def test_only_the_owner_reads_files_with_keys(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("from an earlier run, open to all")
    (tmp_path / name).chmod(0o644)
    config = fleet()
    export_devices(tmp_path, config, grid_of(config), capture_profile(config.grid))
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_no_other_file_holds_a_key(exported: Path) -> None:
    secrets = [
        octets.hex()
        for record in Provisioning.load(exported).concentrators
        for octets in (record.credentials.encryption_key, record.credentials.secret)
    ]
    for name in ("meters.csv", "head-end.json"):
        text = (exported / name).read_text()
        assert not any(secret in text for secret in secrets)


def test_addresses_of_meters_count_within_their_concentrator(exported: Path) -> None:
    with (exported / "meters.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    grid = grid_of(fleet())
    for line in lines:
        first = grid.meters_of(int(line["concentrator"])).start
        assert int(line["logical_device_address"]) == 256 + int(line["number"]) - first


def test_a_key_file_that_lacks_a_device_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    config = fleet(key_file=tmp_path / "keys.json")
    with pytest.raises(KeyFileError, match="MSC0000000000001"):
        export_devices(tmp_path / "out", config, grid_of(config), capture_profile(config.grid))


@pytest.mark.parametrize("name", ["concentrators.csv", "meters.csv", "head-end.json"])
def test_a_missing_file_is_named(exported: Path, name: str) -> None:
    (exported / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Provisioning.load(exported)


@pytest.mark.parametrize("name", ["concentrators.csv", "meters.csv", "head-end.json"])
def test_a_damaged_file_is_refused(exported: Path, name: str) -> None:
    (exported / name).write_text("number\nx\n")
    with pytest.raises((KeyError, ValueError)):
        Provisioning.load(exported)


def test_the_plan_says_when_each_reading_is_due_and_what_it_is(tmp_path: Path) -> None:
    config = fleet()
    grid = grid_of(config)
    plan = Plan(grid, config.behaviour, FIRST_S, SEED)
    truth = Truth(grid, config.behaviour, FIRST_S, SEED)
    schedule = Schedule.of(plan, config.outages)
    export_plan(tmp_path, schedule, truth)
    due = np.genfromtxt(tmp_path / "plan.csv", delimiter=",", skip_header=1, dtype=None)
    expected = (tmp_path / "expected.csv").read_text().splitlines()
    assert len(due) == len(expected) - 1 == grid.meters * 4
    assert expected[0].split(",") == ["meter", "captured_at", "status", *truth.profile.names]
    name, captured_at, step = due[grid.meters + 2]
    assert (str(name), captured_at) == (meter_names(2, 3)[0].decode(), FIRST_S + 900)
    assert step == schedule.delivery_step(np.array([2]), np.array([1]))[0]
    values, status = truth.registers(np.array([2]), 1)
    assert expected[grid.meters + 3].split(",")[2:] == [str(status[0]), *map(str, values[0])]
