from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from harness.run.progress import LiveProgress, PlainProgress, Standing, progress_on
from reports.recording import RunTime

STANDING = Standing(
    at=RunTime(scenario_s=1000.0, wall_s=20.0),
    step=1,
    steps=4,
    owed=140_000,
    delivered=("acknowledged", 130_000),
    stored=126_000,
    connections=998,
    failed=3,
    lag_s=0.25,
    commands=(7, 10),
)


def at(wall_s: float) -> Standing:
    return replace(STANDING, at=replace(STANDING.at, wall_s=wall_s))


def test_a_log_gets_a_line_now_and_then() -> None:
    out = io.StringIO()
    with progress_on(Console(file=out, width=40)) as progress:
        assert isinstance(progress, PlainProgress)
        for wall_s in (0.0, 1.0, 4.9, 5.0, 6.0):
            progress.show(at(wall_s))
        progress.say("draining")
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert "step 2 of 4" in lines[0]
    assert "owed     140,000" in lines[0]
    assert "lag 0.25 s" in lines[0]
    assert lines[2] == "draining"


def test_a_terminal_gets_a_panel() -> None:
    out = io.StringIO()
    with progress_on(Console(file=out, force_terminal=True, width=80)) as progress:
        assert isinstance(progress, LiveProgress)
        progress.show(STANDING)
    shown = out.getvalue()
    for text in ("126,000", "90.0 %", "998", "3, each tried again", "7 of 10 done"):
        assert text in shown


def test_before_the_first_step_it_is_starting() -> None:
    before = replace(STANDING, at=RunTime(scenario_s=-1.0, wall_s=1.0))
    assert before.phase == "starting"
