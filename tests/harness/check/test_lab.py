"""What a lab has counted decides whether its run proves anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.command import judge_run
from netem.lab import FAULTS
from reports.recording import FaultCount, LabRecord, LabSample, RunTime, Verdict
from tests.support.recorded_run import SCENARIO, RecordedFolder


def judged(folder: Path, *faults: FaultCount, notes: tuple[str, ...] = ()) -> Verdict:
    """Judge a run over real packets whose lab has counted ``faults``."""
    links = [{"profile": "seed-1", "share": "100 %"}]
    run = RecordedFolder(folder, {"link": "packet", "grid": {**SCENARIO["grid"], "links": links}})
    last = LabSample(
        at=RunTime(scenario_s=60.0, wall_s=1.5),
        links=(),
        unclassified=0,
        tracking=(),
        listening=(),
        faults=faults,
    )
    LabRecord(tier="packet", profiles=("seed-1",), notes=notes, samples=(last,)).write(run.path)
    return judge_run(run.path).verdict


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_lab_did_wrong_makes_the_run_inconclusive_with_the_count(
    fault: str, tmp_path: Path
) -> None:
    verdict = judged(tmp_path, FaultCount(fault=fault, count=1_234))
    assert verdict.verdict == "inconclusive"
    (reason,) = verdict.reasons
    assert reason.startswith("the links of the packet tier were not what they were set to: 1,234 ")
    assert reason.endswith(FAULTS[fault])


def test_a_lab_that_did_nothing_wrong_is_believed_even_where_it_notes_something(
    tmp_path: Path,
) -> None:
    note = "packet emulator: it was up to 76 ms late"
    verdict = judged(tmp_path, *(FaultCount(fault=it, count=0) for it in FAULTS), notes=(note,))
    assert verdict.verdict == "passed", verdict.reasons
    assert note in verdict.distrust
