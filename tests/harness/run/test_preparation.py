from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emulator.event_kinds import MeterEventKind
from emulator.fleet_config import C12Options, Capture, FleetConfig, MeterEventSpan
from emulator.grid import PROTOCOLS, generate_grid
from harness.errors import ArgumentsError
from harness.run.preparation import fleet_config, free_ports, prepare
from harness.scenario import Scenario
from tests.support.recorded_run import SCENARIO, RecordedFolder


def test_the_folder_holds_what_the_processes_read(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path).prepared
    fleet = FleetConfig.model_validate_json(run.folder.fleet_file.read_text())
    assert fleet == run.fleet
    assert len(fleet.head_ends) == 1
    assert json.loads((run.provisioning / "head-end.json").read_text())
    assert run.folder.logs.is_dir()


def test_latest_names_the_newest_run_and_no_run_replaces_another(tmp_path: Path) -> None:
    paths = [RecordedFolder(tmp_path).path for _ in range(2)]
    assert paths[0] != paths[1]
    latest = tmp_path / "runs" / "latest"
    assert latest.resolve() == paths[1]
    assert not latest.readlink().is_absolute(), "the folder of all runs may be moved"


def test_the_scenario_is_kept_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text("# as given\n")
    scenario = Scenario.model_validate(SCENARIO)
    run = prepare(scenario, scenario_file=file, out=tmp_path / "runs")
    assert (run.folder.path / "scenario.toml").read_text() == "# as given\n"
    assert run.fleet.pattern_folder == tmp_path


def test_who_is_replayed_is_captured(tmp_path: Path) -> None:
    def captured(**changes: object) -> int:
        scenario = Scenario.model_validate({**SCENARIO, **changes})
        grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
        return fleet_config(scenario, tmp_path / "none.toml", grid).capture.concentrators

    assert captured() == 0
    assert captured(probes={"replay": 3}) == 3
    assert captured(probes={"replay": 3}, capture={"concentrators": 5}) == 5
    # Only those that speak DLMS can be replayed: captures count from the first, whoever that is.
    ansi_first = captured(probes={"replay": 2}, protocol="mix")
    scenario = Scenario.model_validate({**SCENARIO, "protocol": "mix"})
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    assert list(grid.protocol[:ansi_first]).count(PROTOCOLS.index("dlms")) == 2
    assert grid.protocol[ansi_first - 1] == PROTOCOLS.index("dlms")


def test_owed_and_deferred_are_all_readings(tmp_path: Path) -> None:
    hard = [{"name": "hard", "share": "100 %", "reachable": "30 %"}]
    run = RecordedFolder(tmp_path, {"behaviour": {"steps": 40, "concentrators": hard}}).prepared
    assert run.deferred > 0
    assert int(run.owed_per_step.sum()) + run.deferred == 40 * run.grid.meters


@pytest.mark.parametrize(
    ("mode", "confirmed", "confirms"),
    [("push", True, True), ("push", False, False), ("pull", True, False)],
)
def test_only_confirmed_pushes_confirm(
    mode: str, confirmed: bool, confirms: bool, tmp_path: Path
) -> None:
    changes = {
        "behaviour": {"mode": mode, "steps": 2},
        "security": {"confirmed": confirmed},
    }
    assert RecordedFolder(tmp_path, changes).prepared.confirms is confirms


def test_every_worker_owns_as_many_shards_as_the_others(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path, {"load": {"workers": 4}}).prepared
    assert run.fleet.shards == 4
    assert len(set(run.fleet.listen_ports)) == 4


def test_a_link_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    links = [{"profile": "carrier-pigeon", "share": "100 %"}]
    with pytest.raises(ArgumentsError, match="carrier-pigeon"):
        RecordedFolder(tmp_path, {"grid": {**SCENARIO["grid"], "links": links}})


ANSI = {
    **SCENARIO,
    "protocol": "mix",
    "timeline": [
        {"do": "outage", "at": "00:01", "for": "1 min"},
        {"do": "event", "event": "test-mode", "at": "00:02", "for": "3 min", "share": "5 %"},
        {"do": "event", "event": "tamper", "at": "00:03"},
    ],
    "c12": {
        "authentication": "none",
        "sessionless": False,
        "security_answer": False,
        "replay": "off",
        "unregistered": "accept",
        "register": False,
        "registration_period": "2 min",
        "registrations_per_s": 50,
    },
    "capture": {"concentrators": 2, "size": "1 MiB"},
}


def test_the_fleet_is_told_what_the_scenario_says_of_its_ansi_part(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(ANSI)
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    fleet = fleet_config(scenario, tmp_path / "x.toml", grid)
    assert fleet.protocol == "mix"
    assert [outage.number for outage in fleet.outages] == [0]
    kinds = MeterEventKind
    assert fleet.events == (
        MeterEventSpan(number=1, kind=kinds.TEST_MODE, starts_s=120, lasts_s=180, share_ppm=50_000),
        MeterEventSpan(number=2, kind=kinds.TAMPER, starts_s=180, share_ppm=1_000_000),
    )
    assert fleet.c12 == C12Options(
        authentication="none",
        sessionless=False,
        security_answer=False,
        replay="off",
        unregistered="accept",
        register_nodes=False,
        registration_period_s=120,
        registrations_per_s=50,
    )
    assert fleet.capture == Capture(concentrators=2, octets_max=2**20)


def test_free_ports_differ() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert np.all(np.array(ports) > 1023)
