"""An hour without a third of the concentrators, in seconds: nothing is lost, the report shows it.

The judge is SQL over the store: who was away, what came after, and when the last of it did.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from reports.recording import Metric, RunRecord
from tests.support.chromium import find_chromium, render
from tests.support.command_line import ROOT, WholeRun, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCENARIO: Final = ROOT / "scenarios" / "degradation" / "outage.toml"
CONCENTRATORS, METERS, STEPS, STEP_S = 60, 1200, 8, 900
BEGINS_S, ENDS_S = 1_200, 4_800
TOUCHED: Final = range(1, 6)
"""The steps that the outage touches; the captures that it holds back."""
SPEED: Final = 300
JITTER_S: Final = 0.3
"""Wall seconds: octets that were under way as it began, and a commit that was yet to come."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of a run's store: whose, captured at which step, stored at which wall second."""

    concentrator: NDArray[np.int64]
    step: NDArray[np.int64]
    at_s: NDArray[np.float64]

    @classmethod
    def of(cls, run: WholeRun) -> Stored:
        facts = run.facts
        (path,) = facts["stores"]
        with duckdb.connect(str(run.path / path), read_only=True) as session:
            rows = session.execute("SELECT meter, captured_at, stored_at FROM readings").fetchall()
        meter, captured_at_s, stored_at_us = np.array(rows, np.int64).T
        with (run.path / "provisioning" / "meters.csv").open(newline="") as file:
            owner = np.array([int(row["concentrator"]) for row in csv.DictReader(file)])
        return cls(
            owner[meter],
            (captured_at_s - captured_at_s.min()) // STEP_S,
            stored_at_us / 1e6 - facts["realtime_offset_s"] - facts["began_s"],
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    scenario = tmp_path_factory.mktemp("outage") / "outage.toml"
    scenario.write_text(SCENARIO.read_text())
    return run_scenario(scenario, "--set", f"speed={SPEED}")


def began_s(run: WholeRun) -> float:
    """Return the wall second of the first step."""
    facts = run.facts
    return float(facts["clock"][0] - facts["began_s"])


def away(run: WholeRun, stored: Stored) -> NDArray[np.int64]:
    """Return the concentrators of which nothing was stored while the outage lasted."""
    begins_s, ends_s = (began_s(run) + at_s / SPEED for at_s in (BEGINS_S, ENDS_S))
    during = (stored.at_s > begins_s + JITTER_S) & (stored.at_s < ends_s)
    return np.setdiff1d(np.arange(CONCENTRATORS), stored.concentrator[during])


def test_nothing_is_lost(run: WholeRun) -> None:
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.sent == readings.stored == readings.correct == METERS * STEPS
    assert readings.lost == readings.duplicated == readings.wrong == readings.invented == 0
    assert readings.lost_acknowledged == readings.conflicts == readings.unattempted == 0


def test_what_was_held_back_and_when_the_last_of_it_came_is_told(run: WholeRun) -> None:
    stored = Stored.of(run)
    ends_s = began_s(run) + ENDS_S / SPEED
    dark = away(run, stored)
    assert len(dark) == CONCENTRATORS // 3
    held = (
        np.isin(stored.concentrator, dark) & np.isin(stored.step, TOUCHED) & (stored.at_s >= ends_s)
    )
    (recovery,) = run.verdict.recoveries
    assert recovery.fault == "outage 0"
    assert recovery.concentrators == len(dark)
    assert recovery.held_back == recovery.arrived == np.count_nonzero(held) > 0
    assert recovery.deferred == 0
    last_s = stored.at_s[held].max()
    assert recovery.last_stored is not None
    assert recovery.last_stored.wall_s == pytest.approx(last_s, abs=0.01)
    assert recovery.last_stored.scenario_s == pytest.approx(
        (last_s - began_s(run)) * SPEED, abs=0.01 * SPEED
    )
    assert recovery.caught_up_s == pytest.approx(last_s - ends_s, abs=0.01)
    assert run.verdict.last_stored is not None
    assert run.verdict.last_stored.wall_s == pytest.approx(stored.at_s.max(), abs=0.01)


def by_step(run: WholeRun) -> NDArray[np.int64]:
    """Return how many readings were stored in each step."""
    step = (Stored.of(run).at_s - began_s(run)) * SPEED // STEP_S
    return np.bincount(step.astype(np.int64), minlength=STEPS + 1)


def series(run: WholeRun) -> Mapping[str, list[float]]:
    record = RunRecord.load(run.path)
    return {one.metric: list(one.values)[::2] for one in record.series if one.source == "run"}


def test_the_dip_and_the_catching_up_are_in_the_series(run: WholeRun) -> None:
    counted, (recovery,) = by_step(run), run.verdict.recoveries
    assert series(run)[Metric.STORED_IN_STEP] == pytest.approx(counted, abs=2)
    assert series(run)[Metric.PLANNED_IN_STEP] == [METERS] * STEPS + [0]
    assert recovery.lowest == pytest.approx(counted[list(TOUCHED)].min(), abs=2)
    assert recovery.lowest_planned == METERS
    assert 0.5 < recovery.lowest / METERS < 0.8, "two thirds, more or less"
    assert recovery.highest == pytest.approx(counted[TOUCHED[-1] :].max(), abs=2)
    assert recovery.highest > 1.5 * METERS


def test_the_report_and_the_summary_tell_it(run: WholeRun) -> None:
    (recovery,) = run.verdict.recoveries
    page = (run.path / "report.html").read_text()
    (row,) = re.findall(r'<tr><th scope="row"><b>F1</b> outage 0</th>(.*)</tr>', page)
    assert f">{recovery.held_back:,}<" in row
    assert "Readings stored in each step" in page
    summary = (run.path / "summary.md").read_text()
    assert "### Outages and recovery" in summary
    assert "The last owed reading was stored at" in summary
    assert "outages and recovery" in run.output


def test_a_browser_draws_it_quietly(run: WholeRun, tmp_path: Path) -> None:
    find_chromium()
    rendering = render(run.path / "report.html", tmp_path)
    assert rendering.console == ()
    assert rendering.requests == ()
    assert '<section id="recovery">' in rendering.dom
