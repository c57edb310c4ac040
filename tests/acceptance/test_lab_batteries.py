"""Batteries behind links that carry real packets: as far away as their profile says, or cut off."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from harness.check.bal import CHECKS
from harness.run.stations import OF_BATTERIES
from reports.recording import LabRecord
from tests.acceptance.test_lab_runs import in_a_shared_namespace
from tests.support.command_line import WholeRun, whole_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIO = """\
name = "lab"
seed = 7
speed = 60
link = "packet"
[grid]
transformer_stations = 4
meters = 40
sizes = [{ name = "small", meters = [5, 40], share = "100 %" }]
links = [{ profile = "lte", share = "100 %" }]
[behaviour]
steps = 2
first = "2026-03-02T00:00:00+01:00"
[batteries]
count = 12
links = [{ profile = "lte", share = "50 %" }, { profile = "seed-3", share = "50 %" }]
[bal]
virtual = 4
timeout = "10 s"
[bal.load]
status_per_s = 4
commands_per_s = 1
current = 4000
[[timeline]]
do = "outage"
of = "batteries"
links = ["lte"]
at = "00:19"
for = "5 min"
[checks]
"readings.late" = "<= 100 %"
"bal.status.latency.p99" = "<= 60 s"
"bal.command.latency.p99" = "<= 60 s"
"""
ASKED = """
PYTHONPATH=$1 "$0" -m tests.support.call_batteries runs/latest > answers.txt 2>&1 &
"$0" -m harness.cli run lab.toml
code=$?
wait
exit $code
"""
CLASSES = ("lte", "lte" + OF_BATTERIES, "seed-3" + OF_BATTERIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batteries")


@pytest.fixture(scope="module")
def run(folder: Path) -> WholeRun:
    (folder / "lab.toml").write_text(SCENARIO)
    return whole_run(in_a_shared_namespace(folder, ASKED), folder)


def test_nothing_is_lost_in_a_lab_with_batteries(run: WholeRun) -> None:
    assert run.status == 0, run.output
    assert run.verdict.readings.owed == run.verdict.readings.correct == 80
    figures = run.verdict.batteries
    assert figures is not None
    assert figures.batteries == 12
    assert figures.commands_accepted == figures.commands_asked > 5
    assert {check.name for check in run.verdict.checks if check.passed} >= set(CHECKS)


def test_their_links_are_measured_beside_what_was_set(run: WholeRun) -> None:
    delays = {
        measured.link: measured
        for measured in run.verdict.links
        if measured.quantity == "up delay, mean"
    }
    assert tuple(delays) == CLASSES
    assert all(delay.agrees for delay in delays.values())
    slow = delays["seed-3" + OF_BATTERIES].measured
    assert slow == pytest.approx(1.0, abs=0.4)
    assert all(measured.agrees is not False for measured in run.verdict.links)


def test_an_answer_takes_what_the_profile_says(run: WholeRun, folder: Path) -> None:
    """Somebody who is no part of the run looked at the clock."""
    assert run.status == 0, run.output
    found = re.findall(
        r"^(10\.[23])\.0\.\d+ (\d+\.\d+)$", (folder / "answers.txt").read_text(), re.M
    )
    fast = [float(taken_s) for network, taken_s in found if network == "10.2"]
    slow = [float(taken_s) for network, taken_s in found if network == "10.3"]
    assert fast, (folder / "answers.txt").read_text()
    assert slow
    # 35 ms and 1 s each way, with jitter: the shortest of several is not far below the mean.
    assert all(0.03 < taken_s < 0.4 for taken_s in fast)
    assert all(0.5 < taken_s < 5.0 for taken_s in slow)


def test_an_outage_of_batteries_loses_their_packets_and_nobody_elses(run: WholeRun) -> None:
    record = LabRecord.load(run.path)
    assert record is not None
    assert record.failed == ""
    assert record.profiles == CLASSES
    last = record.samples[-1]
    assert last.unclassified == 0
    lost = dict.fromkeys(CLASSES, 0)
    for link in last.links:
        assert link.packets > 50, link
        lost[link.link] += link.lost or 0
    # Sixteen probes lose a packet every four seconds, each way; it lasts five.
    assert lost[CLASSES[1]] > 20 > lost[CLASSES[2]]
    assert lost[CLASSES[0]] < 5


def test_it_is_on_record_where_they_were(run: WholeRun) -> None:
    with (run.path / "provisioning" / "concentrators.csv").open(newline="") as file:
        assert {line["address"].rpartition(".")[0] for line in csv.DictReader(file)} == {"10.1.0"}
    assert '"10.2.0.1"' in (run.path / "bal" / "bal.json").read_text()
