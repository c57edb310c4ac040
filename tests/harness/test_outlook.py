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
