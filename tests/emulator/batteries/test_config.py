"""What a battery process reads, and which batteries are its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from emulator.batteries.config import BatteryFleetConfig, record_path
from emulator.batteries.grid import generate_batteries
from tests.support.batteries import battery_config


def test_it_loads_as_it_was_written() -> None:
    config = battery_config()
    assert BatteryFleetConfig.model_validate_json(config.model_dump_json()) == config


def test_processes_share_the_batteries_out() -> None:
    config = battery_config(10, listen_ports=(0, 0, 0))
    parts = [config.numbers_of(process) for process in range(3)]
    assert [number for part in parts for number in part] == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_batteries_that_share_a_medium_live_in_one_process() -> None:
    config = battery_config(1_010, listen_ports=(0, 0), link="model")
    links = [{"profile": "nb-iot-cell", "share": "100 %"}]
    grid = {**config.grid.model_dump(mode="json"), "links": links}
    dumped = config.model_dump(mode="json") | {"grid": grid}
    shared = BatteryFleetConfig.model_validate(dumped)
    cell = config.profiles["nb-iot-cell"].cell
    assert cell > 1
    assert shared.numbers_of(1).start % cell == 0
    assert 505 % cell
    unshared = shared.model_copy(update={"link": "none"})
    assert unshared.numbers_of(1) == range(505, 1_010)


def test_in_a_lab_they_have_its_addresses_and_otherwise_those_of_loopback() -> None:
    config = battery_config(3)
    grid = generate_batteries(config.grid, config.seed)
    assert config.addresses(grid).address(2) == "127.1.0.3"
    assert not config.in_lab
    lab = battery_config(3, link="packet", first_class=4)
    assert lab.in_lab
    assert lab.addresses(grid).address(2) == "10.5.0.3"
    assert lab.addresses(grid).number_of("10.5.0.3") == 2
    assert lab.numbers_of(0) == range(3)


def test_a_tier_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="'netem'"):
        battery_config(link="pigeon")


def test_each_process_has_a_record_of_its_own() -> None:
    assert record_path(Path("run"), 3) == Path("run/batteries/process-3.ndjson")
