from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emulator.batteries.grid import generate_batteries
from harness.bal.topology_file import load_topology
from harness.run.battery_files import battery_fleet, commanded, export_batteries, topology
from harness.scenario import Scenario
from tests.support.scenario_files import SMALL, load

TEXT = """\
[batteries]
count = 10
[bal]
virtual = 3
policy = "tranched"
partitions = [{ name = "homes", share = "62.5 %" }, { name = "grid", share = "30 %" }]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return load(tmp_path, SMALL + TEXT)


def test_the_virtual_batteries_take_all_there_are_in_order(
    scenario: Scenario, tmp_path: Path
) -> None:
    assert scenario.bal is not None
    assert scenario.batteries is not None
    file = tmp_path / "topology.toml"
    file.write_text(topology(scenario.bal, generate_batteries(scenario.batteries, scenario.seed)))
    batteries = load_topology(file)
    assert len(batteries.sources()) == 10
    members = [batteries.sources(f"virtual-0000{number}") for number in (1, 2, 3)]
    assert [len(names) for names in members] == [4, 3, 3]
    assert [name for names in members for name in names] == batteries.sources()
    assert commanded(scenario.bal, 10) == batteries.tops()
    assert batteries.tops()[:2] == ["virtual-00001/homes", "virtual-00001/grid"]
    assert 'share = "62.5 %"' in file.read_text()


def test_without_partitions_the_virtual_batteries_are_commanded(scenario: Scenario) -> None:
    assert scenario.bal is not None
    whole = scenario.bal.model_copy(update={"partitions": ()})
    assert commanded(whole, 10) == ["virtual-00001", "virtual-00002", "virtual-00003"]


def test_a_topology_of_ones_own_says_who_is_commanded(scenario: Scenario, tmp_path: Path) -> None:
    assert scenario.bal is not None
    assert scenario.batteries is not None
    file = tmp_path / "own.toml"
    file.write_text(topology(scenario.bal, generate_batteries(scenario.batteries, scenario.seed)))
    own = scenario.bal.model_copy(update={"topology": file, "virtual": None, "partitions": ()})
    assert commanded(own, 10) == commanded(scenario.bal, 10)


def test_links_of_batteries_are_brought_about_as_those_of_concentrators(scenario: Scenario) -> None:
    tiers = {}
    for tier in ("model", "packet", "netem", "none"):
        changed = scenario.model_copy(update={"link": tier})
        tiers[tier] = battery_fleet(changed, 0, [1, 2]).link
    assert all(link == tier for tier, link in tiers.items())
    bare = battery_fleet(scenario.model_copy(update={"link": "none"}), 0, [1])
    assert "none" in bare.profiles
    fleet = battery_fleet(scenario, 0, [1, 2])
    assert [*fleet.numbers_of(0), *fleet.numbers_of(1)] == list(range(10))


@pytest.mark.parametrize(
    ("tier", "networks"), [("packet", {"10.5", "10.6", "10.7", "10.8"}), ("model", {"127.1"})]
)
def test_somebody_elses_layer_is_told_where_batteries_are(
    tier: str, networks: set[str], scenario: Scenario, tmp_path: Path
) -> None:
    """Four classes of the grid are before those of the batteries."""
    there = scenario.model_copy(update={"link": tier})
    assert there.batteries is not None
    grid = generate_batteries(there.batteries, there.seed)
    export_batteries(tmp_path, grid, battery_fleet(there, 0, [4_000]))
    with (tmp_path / "batteries.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["host"].rsplit(".", 2)[0] for line in lines} == networks
    assert len({line["host"] for line in lines}) == len(lines) == 10
    assert {line["link"] for line in lines} == {"seed-1", "seed-2", "seed-3", "seed-4"}
