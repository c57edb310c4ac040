"""Whatever happens to links that carry real packets, the ledger of a whole run stays exact."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reports.recording import LabRecord, LinkCount
from tests.acceptance.test_lab_runs import CONCENTRATORS, METERS, SCENARIO, in_a_shared_namespace
from tests.support.command_line import WholeRun, whole_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STEPS: Final = 3
CHANGES: Final = {
    "speed": "300",
    "behaviour.steps": f"{STEPS}",
    "grid.links": '[{ profile = "lte", share = "100 %" }]',
}
LOSS: Final = """
[[timeline]]
do = "degrade"
for = "45 min"
loss = "10 %"
"""
FLAP: Final = """
[[timeline]]
do = "flap"
for = "45 min"
period = "5 min"
down = "50 %"
"""
"""Down for half a second of wall time in every one, and connections break."""


def run_with(fault: str, folder: Path) -> WholeRun:
    (folder / "lab.toml").write_text(SCENARIO + fault + '[limits]\ndrain = "90 s"\n')
    words = " ".join(f"--set '{key}={value}'" for key, value in CHANGES.items())
    script = f'"$0" -m harness.cli run lab.toml {words}'
    return whole_run(in_a_shared_namespace(folder, script), folder)


def counted(run: WholeRun) -> list[LinkCount]:
    """Return what each direction has counted; in the lab, what is cut off loses every packet."""
    record = LabRecord.load(run.path)
    assert record is not None
    assert record.failed == ""
    return list(record.samples[-1].links)


def check_that_the_ledger_is_exact(run: WholeRun) -> None:
    assert run.status == 0, run.output
    readings = run.verdict.readings
    owed = STEPS * METERS
    assert readings.owed == readings.sent == readings.stored == readings.correct == owed
    assert readings.lost == readings.duplicated == readings.wrong == readings.invented == 0
    assert readings.lost_acknowledged == readings.conflicts == readings.unattempted == 0


def test_the_ledger_is_exact_while_every_tenth_packet_is_lost(tmp_path: Path) -> None:
    run = run_with(LOSS, tmp_path)
    check_that_the_ledger_is_exact(run)
    for link in counted(run):
        assert link.lost is not None
        assert 0.04 < link.lost / (link.packets + link.lost) < 0.2, link.direction


def test_the_ledger_is_exact_while_links_go_and_come_back(tmp_path: Path) -> None:
    run = run_with(FLAP, tmp_path)
    check_that_the_ledger_is_exact(run)
    assert sum(link.lost or 0 for link in counted(run)) > CONCENTRATORS, "it happened"
    broken = [one for one in run.verdict.failures if one.cause.startswith("push.failed")]
    assert sum(one.count for one in broken) > 0, run.verdict.failures
