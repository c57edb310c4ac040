"""The battery scenario, smaller: its layer killed in mid-run, a third of the batteries offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bal.happenings import LOST
from harness.bal.journal import read_journal
from harness.check.bal import CHECKS
from harness.run.preparation import free_ports
from reports.recording import FaultBegan, RunRecord
from tests.support.command_line import ROOT, WholeRun, meterstorm, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FACE = """
[[bal.faces]]
speaks = "v1"
port = {port}
"""
TIMELINE = """
[[timeline]]
do = "outage"
of = "batteries"
at = "00:08"
for = "6 min"
share = "33 %"

[[timeline]]
do = "kill"
part = "bal"
at = "00:18"
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "scenarios" / "batteries.toml").read_text()
    for large, small in (
        ("count = 200", "count = 40"),
        ("virtual = 20", "virtual = 4"),
        ("speed = 60.0", "speed = 90.0"),
    ):
        assert text.count(large) == 1, large
        text = text.replace(large, small)
    # Whoever asks while batteries or the layer are away waits for them, too.
    text = text.replace('"<= 45 s"', '"<= 60 s"')
    path = tmp_path_factory.mktemp("batteries") / "batteries.toml"
    (port,) = free_ports(1)
    path.write_text(text + FACE.format(port=port) + TIMELINE)
    return path


@pytest.fixture(scope="module")
def killed(scenario: Path) -> WholeRun:
    return run_scenario(scenario)


def test_no_accepted_command_is_lost_and_none_is_executed_twice(killed: WholeRun) -> None:
    assert killed.status == 0, killed.output
    figures = killed.verdict.batteries
    assert figures is not None
    assert (figures.batteries, figures.virtual) == (40, 8)
    assert figures.commands_accepted > 20
    assert figures.executed > 20
    assert figures.commands_lost == figures.twice == figures.lost == figures.invented == 0
    assert figures.beyond_limits == figures.unaccounted == 0
    passed = {check.name for check in killed.verdict.checks if check.passed}
    assert passed >= {*CHECKS}


def test_meters_and_snapshots_agree_with_the_batteries_across_a_kill(killed: WholeRun) -> None:
    figures = killed.verdict.batteries
    assert figures is not None
    # Two partitions and the rest of each; all the snapshots that users got.
    assert (figures.accounts, figures.unconserved) == (12, 0)
    # As many as users come to ask for: a busy machine lets fewer of them.
    assert figures.snapshots > 20
    assert figures.mixed_snapshots == 0


def test_both_faults_happened(killed: WholeRun) -> None:
    record = RunRecord.load(killed.path)
    began = [event for event in record.events if isinstance(event, FaultBegan)]
    assert {event.fault: event.description for event in began} == {
        "outage 0": "33 % of all links of batteries cut off",
        "kill 1": "battery layer killed",
    }
    events, _ = read_journal(killed.path / "bal" / "journal.sqlite")
    lost = {event.details["name"] for event in events if event.kind == LOST}
    # Those whom nobody asked for while they were offline were not missed.
    assert 0 < len(lost) <= 13
    # Nobody's readings were held back by it.
    assert not killed.verdict.recoveries


def test_its_face_is_there_again_after_the_kill(killed: WholeRun) -> None:
    assert (killed.path / "logs" / "bal.log").read_text().count("face open") == 2


def test_it_is_foreseen_in_words(scenario: Path) -> None:
    told = meterstorm("validate", str(scenario), cwd=scenario.parent).output
    words = " ".join(told.split())
    assert "33 % of all links of batteries cut off; hits 13 batteries" in words
    assert "battery layer killed" in words
