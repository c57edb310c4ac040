"""A run that loses what it acknowledged is explained from its folder, down to the messages.

The head-end confirms before it stores and is killed; nobody asked for a capture. What crossed the
links before is there all the same, and tshark, which shares no line with us, opens it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.explain.command import explain_run
from harness.provisioning import Provisioning
from protocols.c12.plugin.naming import key_id_of
from protocols.pcapng import read
from tests.acceptance.test_lab_runs import in_a_shared_namespace
from tests.support.command_line import (
    WholeRun,
    meterstorm,
    run_scenario,
    small_scenario,
    whole_run,
)
from tests.support.tshark import is_misjudged, judge, tshark_is_installed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PORTS = {"dlms": "4059", "c12": "1153"}
DEFECTS = """\
[target]
kind = "reference"
gap_filling.enabled = false
[target.defects]
acknowledge_before_store = true
kill = { point = "before-commit", count = 3 }
[c12]
register_nodes = false
unregistered = "accept"
"""
"""Nodes need not register, so that the third commit is one of readings in both protocols."""


@pytest.fixture(scope="module", params=PORTS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run of either protocol that lost readings which its head-end had acknowledged."""
    folder = tmp_path_factory.mktemp(request.param)
    scenario = small_scenario(folder, more=DEFECTS)
    words = "--set", f"protocol={request.param}", "--set", "behaviour.steps=6"
    made = run_scenario(scenario, *words)
    assert made.status == 1, made.output
    assert made.verdict.readings.lost_acknowledged > 0
    return made


def protocol_of(run: WholeRun) -> str:
    fleet: dict[str, Any] = json.loads((run.path / "fleet.json").read_text())
    return str(fleet["protocol"])


def test_a_lost_reading_leads_to_its_confirmation(run: WholeRun, tmp_path: Path) -> None:
    # A year later, elsewhere: the folder is all there is.
    moved = shutil.copytree(run.path, tmp_path / "moved")
    check_that_a_lost_reading_leads_to_its_confirmation(run, moved)


def check_that_a_lost_reading_leads_to_its_confirmation(run: WholeRun, moved: Path) -> None:
    told = json.loads(explain_run(moved, "readings.lost", as_json=True))
    lost = run.verdict.readings.lost
    assert told["measured"] == str(lost)
    assert f"handed to a link: {lost}; acknowledged: {lost}" in told["found"]
    for subject in told["subjects"]:
        push, answer = subject["exchange"][:2]
        assert push["problem"] == answer["problem"] == ""
        assert push["file"] == "kept.pcapng"
        assert push["at_s"] <= answer["at_s"]
        confirmed = f"the head-end confirmed it (frame {answer['frame']}) and does not have it"
        assert confirmed in subject["facts"]
        whats = [moment["what"] for moment in subject["moments"]]
        assert any("SIGKILL" in what for what in whats), whats


def test_over_real_packets_it_is_no_different(tmp_path: Path) -> None:
    small_scenario(tmp_path, more=DEFECTS)
    links = 'grid.links=[{ profile = "lte", share = "100 %" }]'
    changes = ("link=packet", links, "speed=300", "behaviour.steps=5")
    words = " ".join(f"--set '{change}'" for change in changes)
    script = f'"$0" -m harness.cli run small.toml {words}'
    run = whole_run(in_a_shared_namespace(tmp_path, script), tmp_path)
    assert run.status == 1, run.output
    assert run.verdict.readings.lost_acknowledged > 0
    check_that_a_lost_reading_leads_to_its_confirmation(run, run.path)
    # Whatever else was judged of these links can be explained, too.
    listed = json.loads(explain_run(run.path, None, as_json=True))
    for check in (*(one["check"] for one in listed["troubled"]), *listed["others"]):
        assert explain_run(run.path, check).startswith(check)


def test_people_read_it_too(run: WholeRun) -> None:
    ended = meterstorm("explain", "runs/latest", cwd=run.path.parents[1])
    assert ended.status == 0
    assert "meterstorm explain runs/latest readings.lost_acknowledged" in ended.output
    ended = meterstorm("explain", "readings.lost_acknowledged", cwd=run.path.parents[1])
    assert ended.status == 0
    assert "what was said on the wire" in ended.output


@pytest.mark.skipif(not tshark_is_installed(), reason="tshark is not installed")
def test_tshark_opens_what_was_kept(run: WholeRun, tmp_path: Path) -> None:
    file = run.path / "captures" / "kept.pcapng"
    assert [path.name for path in file.parent.iterdir()] == ["kept.pcapng"]
    packets = read(file.read_bytes())
    fields = ("exported_pdu.dis_table_name", "exported_pdu.dis_table_val", "_ws.malformed")
    command = ["tshark", "-r", str(file), "-T", "fields", "-E", "separator=|"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.splitlines()) == {f"tcp.port|{PORTS[protocol_of(run)]}|"}
    assert len(done.stdout.splitlines()) == len(packets)
    if protocol_of(run) == "c12":
        check_that_all_are_genuine(run, tmp_path)


def check_that_all_are_genuine(run: WholeRun, folder: Path) -> None:
    known = Provisioning.load(run.path / "provisioning")
    relay = known.concentrators[0]
    packets = read((run.path / "captures" / "kept.pcapng").read_bytes())
    mine = [it.octets for it in packets if relay.address in (it.source[0], it.destination[0])]
    fair = [octets for octets in mine if not is_misjudged(octets)]
    nodes = known.nodes.behind(relay.first_meter, relay.meters)
    keys = {key_id_of(it.system_title): it.encryption_key for it in (relay.credentials, *nodes)}
    judgements = judge(folder, fair, keys)
    assert len(judgements) == len(fair) > 0
    assert {it.genuine for it in judgements} == {True}
    assert [it.complaints for it in judgements if it.complaints] == []
