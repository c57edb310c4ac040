"""A head-end killed again and again, also while it starts: the run goes on and nothing is lost."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from reports.recording import ProcessDied, ProcessRestarted, RunRecord
from tests.support.command_line import ROOT, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KILLS = ("120 s", "150 s", "190 s", "230 s")
"""A tenth of a second of wall time apart: a head-end takes longer than that to start."""


def test_kills_that_meet_a_head_end_on_its_way_up_end_no_run(tmp_path: Path) -> None:
    scenario = Path(shutil.copy(ROOT / "scenarios" / "tiny.toml", tmp_path))
    events = ", ".join(f'{{do="kill", at="{at}", restart_after="100 ms"}}' for at in KILLS)
    run = run_scenario(
        scenario,
        *("--set", f"timeline=[{events}]"),
        *("--set", 'checks={"readings.late"="<= 100 %"}'),
    )
    assert run.status == 0, run.output
    assert run.verdict.readings.owed == run.verdict.readings.correct == 600
    lives = [
        type(event)
        for event in RunRecord.load(run.path).events
        if isinstance(event, ProcessDied | ProcessRestarted) and event.process == "headend-0"
    ]
    assert lives[-1] is ProcessRestarted
    assert (ProcessDied, ProcessDied) in pairwise(lives), "none met a start"
