from __future__ import annotations

from pathlib import Path

import pytest

from harness.outlook import foresee
from harness.scenario import Scenario
from tests.support.scenario_files import load

SMALL = """\
name = "small"
speed = 90
grid = { transformer_stations = 10, meters = 400 }
behaviour = { steps = 4 }
"""
BATTERIES = """\
batteries = { count = 30 }
[bal]
virtual = 4
policy = "tranched"
partitions = [ { name = "a", share = "75 %" }, { name = "b", share = "25 %" } ]
staleness = "5 min"
load = { status_per_s = 2.5, commands_per_s = 1 }
"""
TOPOLOGY = """\
[[battery]]
name = "battery-0000001"
interface = "jbd"
voltage_mv = 51200
capacity_mah = 50000
max_charge_ma = 25000
max_discharge_ma = 25000
"""
EVENT = """\
[[timeline]]
do = "event"
event = "power-failure"
at = "00:20"
for = "5 min"
share = "50 %"
"""


def told(scenario: Scenario) -> dict[str, str]:
    lines = str(foresee(scenario)).replace("\n           ", " ").splitlines()
    return {title: text.strip() for title, text in (line.split(":", 1) for line in lines)}


def test_a_dlms_fleet_is_told_nothing_of_the_ansi_world(tmp_path: Path) -> None:
    lines = told(load(tmp_path, SMALL))
    assert lines["fleet"] == "10 concentrators, 400 meters, 1 process"
    assert lines["load"].startswith("40 readings/s")
    assert "ansi" not in lines
    assert "register" not in lines


def test_what_a_stranger_tries_is_told(tmp_path: Path) -> None:
    lines = told(load(tmp_path, SMALL, "probes.replay=2"))
    assert lines["probes"].startswith("of 2 concentrators a confirmed push is sent again")
    assert "probes" not in told(load(tmp_path, SMALL))


def test_batteries_virtual_ones_and_requests_are_told(tmp_path: Path) -> None:
    lines = told(load(tmp_path, SMALL + BATTERIES))
    assert lines["batteries"].startswith("30 (home battery 60 %, battery management system 40 %)")
    assert lines["batteries"].endswith("over seed-1 25 %, seed-2 25 %, seed-3 25 %, seed-4 25 %")
    assert lines["bal"] == (
        "4 virtual ones in tranched partitions (a 75 %, b 25 %): 8 to command; read when somebody "
        "asks, readings at most 5 min old"
    )
    # 4 steps of 15 minutes at 90 x real time are 40 s.
    assert lines["requests"] == "2.5 battery snapshots/s, 1 battery commands/s: about 140 in all"
    bare = told(load(tmp_path, 'link = "none"\n' + SMALL + "batteries = { count = 3 }\n"))
    assert bare["batteries"].endswith("over bare loopback")
    assert not {"bal", "requests"} & bare.keys()
    assert "batteries" not in told(load(tmp_path, SMALL))


def test_a_layer_of_others_is_named(tmp_path: Path) -> None:
    others = "batteries = { count = 1 }\n[bal]\nvirtual = 1\n[bal.target]\n"
    others += 'kind = "external"\nurl = "v1://h:4004"\n'
    line = told(load(tmp_path, SMALL + others))["bal"]
    assert line.endswith("at most 15 min old; somebody's own, at v1://h:4004")


def test_a_topology_of_ones_own_is_named_and_counted(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(TOPOLOGY)
    own = 'batteries = { count = 1 }\n[bal]\ntopology = "own.toml"\nrefresh = "active"\n'
    own += 'faces = [{ speaks = "v1", port = 4004 }, { speaks = "v2", port = 4005 }]\n'
    line, _, faces = told(load(tmp_path, SMALL + own))["bal"].partition("; speaks ")
    assert faces == "v1 on port 4004, v2 on port 4005"
    assert line.startswith("as ")
    assert line.endswith(
        "own.toml says: 1 to command; read all the time, readings at most 15 min old"
    )


def test_relays_nodes_apdus_and_alarms_are_told(tmp_path: Path) -> None:
    lines = told(load(tmp_path, 'protocol = "c12"\n' + SMALL + EVENT))
    # Half the nodes log down and up, and show one bit.
    assert lines["ansi"] == (
        "10 concentrators are C12.22 relays with 400 nodes; 40 APDUs/s, one a reading; 600 alarms"
    )
    assert lines["register"] == "410 registrations, as fast as they can; again within 60 min"


def test_of_a_mixed_fleet_the_ansi_part_is_told(tmp_path: Path) -> None:
    text = 'protocol = "mix"\n' + SMALL
    part = foresee(load(tmp_path, text, "grid.protocols.c12=30 %", "grid.protocols.dlms=70 %")).ansi
    assert part is not None
    assert part.relays == 3
    assert 0 < part.nodes < 400
    assert part.apdus == 4 * part.nodes
    assert part.alarms == 0


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("c12.registrations_per_s=41", "410 registrations, at most 41/s, so in 10 s"),
        ("c12.register=false", None),
    ],
)
def test_the_registrations_are_told(override: str, line: str | None, tmp_path: Path) -> None:
    lines = told(load(tmp_path, 'protocol = "c12"\n' + SMALL, override))
    assert lines.get("register", "").split(";")[0] == (line or "")
