from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from harness.run.progress import (
    Filled,
    Filling,
    LiveProgress,
    PlainProgress,
    Standing,
    progress_on,
)
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


def filling(wall_s: float, readings: int, for_s: float) -> Filling:
    return Filling(RunTime(scenario_s=0.0, wall_s=wall_s), Filled(readings, 208_000_000, for_s))


def test_a_log_tells_how_far_stores_are_filled_and_when_they_are() -> None:
    out = io.StringIO()
    with progress_on(Console(file=out, width=40)) as progress:
        progress.show(filling(2.0, 0, 0.0))
        for wall_s in (3.0, 6.9, 7.0, 8.0):
            progress.show(filling(wall_s, 20_800_000, wall_s - 2))
        for wall_s in (9.0, 10.0):
            progress.show(filling(wall_s, 208_000_000, wall_s - 2))
        progress.show(at(9.5))
        progress.show(at(14.0))
    begun, under_way, done, step = out.getvalue().splitlines()
    assert "filling stores" in begun
    assert "0 of 208,000,000 readings (0 %)  beginning" in begun
    assert "20,800,000 of 208,000,000 readings (10 %)  4,160,000 a second, 45 s left" in under_way
    assert "208,000,000 of 208,000,000 readings (100 %)  29,714,286 a second" in done
    assert "left" not in done
    assert "step 2 of 4" in step


def test_a_terminal_tells_how_far_stores_are_filled() -> None:
    out = io.StringIO()
    with progress_on(Console(file=out, force_terminal=True, width=100)) as progress:
        progress.show(filling(62.0, 104_000_000, 60.0))
    shown = out.getvalue()
    for text in ("filling stores", "62 s", "(50 %)", "1,733,333 a second, 1 min left"):
        assert text in shown


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
