"""Use cases of a battery layer as scenarios: homes that share, critical loads, a transformer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from emulator.batteries.record import Begun, Changed, Ended, Executed, read_record
from emulator.grid import generate_grid
from emulator.readings import Truth
from harness.bal.happenings import LOST, READ, SCHEDULE, SET_CURRENT, happen
from harness.bal.journal import Event, read_journal
from harness.bal.model.batteries import Batteries
from harness.bal.topology_file import load_topology
from harness.check.bal import CHECKS
from harness.scenario import Scenario
from tests.support.command_line import ROOT, WholeRun, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AH: Final = 3_600_000_000
"""mA ms."""
QUARTER_MS: Final = 900_000
TRANSFORMER_W: Final = 40_000
CELLS_MV: Final = 48_000
"""What sixteen cells show at least while they are not empty, discharged as here."""
FIRST: Final = datetime.fromisoformat("2026-01-14T17:15:00+01:00")


def copy_of(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """Copy a scenario and its topology, so that the run is faster."""
    shutil.copytree(ROOT / "scenarios" / "topologies", folder / "topologies")
    text = (ROOT / "scenarios" / f"{name}.toml").read_text()
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def passed(run: WholeRun, batteries: int) -> None:
    assert run.status == 0, run.output
    figures = run.verdict.batteries
    assert figures is not None
    assert figures.batteries == batteries
    assert {check.name for check in run.verdict.checks if check.passed} >= set(CHECKS)


def events(run: WholeRun) -> list[Event]:
    return list(read_journal(run.path / "bal" / "journal.sqlite")[0])


def lived(run: WholeRun) -> Iterator[tuple[Event, Batteries]]:
    """Yield what happened in a run, and the batteries as they were after that."""
    batteries = load_topology(run.path / "bal" / "topology.toml")
    for event in events(run):
        happen(batteries, event.kind, event.details, event.at_ms)
        yield event, batteries


def stretches(run: WholeRun) -> Iterator[Changed]:
    """Yield what flowed, from the batteries' own record."""
    for entry in read_record(run.path / "batteries" / "process-0.ndjson"):
        if isinstance(entry, Executed | Ended):
            yield entry.changed


def test_homes_share_two_batteries_and_each_commands_one(tmp_path: Path) -> None:
    run = run_scenario(
        copy_of(
            "homes-association",
            tmp_path,
            ("speed = 60.0", "speed = 300.0"),
            ("steps = 3", "steps = 2"),
        )
    )
    passed(run, 3)
    figures = run.verdict.batteries
    assert figures is not None
    assert figures.virtual == 2
    assert figures.commands_accepted == figures.commands_asked > 5
    last: dict[str, int] = {}
    for event, batteries in lived(run):
        if event.kind == SET_CURRENT:
            last[event.details["name"]] = event.details["current_ma"]
            # Nobody's command changes what the other home has.
            for home, current_ma in last.items():
                assert batteries.status(home).expected.current_ma == current_ma
    assert set(last) == {"home-1", "home-2"}
    # Every milliampere of the homes is one of a battery, as far as the last order had come.
    begun = [
        entry
        for entry in read_record(run.path / "batteries" / "process-0.ndjson")
        if isinstance(entry, Begun)
    ]
    assert [entry.capacity_ma_ms for entry in begun] == [100 * AH] * 3
    records = {record.name: record for record in batteries.flows(0, event.at_ms)}
    for name in ("home-1", "home-2-share"):
        record = records[name]
        assert record.charged_ma_ms + record.discharged_ma_ms > 0


def test_critical_loads_do_not_notice_that_half_of_the_batteries_are_away(tmp_path: Path) -> None:
    run = run_scenario(
        copy_of(
            "critical-loads",
            tmp_path,
            ("speed = 60.0", "speed = 100.0"),
            ("steps = 3", "steps = 2"),
        )
    )
    passed(run, 4)
    last: dict[str, int] = {}
    away: set[str] = set()
    shed = 0
    for event, batteries in lived(run):
        if event.kind == SET_CURRENT:
            last[event.details["name"]] = event.details["current_ma"]
        elif event.kind == LOST:
            away.add(event.details["name"])
        elif event.kind == READ:
            away.discard(event.details["name"])
        assert len(away) <= 2
        current = {name: batteries.status(name).current.current_ma for name in last}
        if "critical" in last:
            assert current["critical"] == last["critical"]
        if len(away) == 2:
            # All that is left is theirs; next to nothing lacks, as the two are out of balance.
            assert 99_500 <= batteries.status("critical").current.max_discharge_ma <= 100_000
            assert batteries.status("expendable").current.max_discharge_ma == 0
            shed += any(last[name] and not current[name] for name in last)
    assert shed, "nothing was to be shed"
    assert not away, "they came back"


def test_a_transformer_is_spared_at_set_points_scheduled_beforehand(tmp_path: Path) -> None:
    scenario = copy_of("transformer", tmp_path, ("speed = 180.0", "speed = 450.0"))
    run = run_scenario(scenario)
    passed(run, 4)
    assert sum(event.kind == SCHEDULE for event in events(run)) == 2
    taken_w, given_w = homes_w(scenario), batteries_w(run)
    over = [quarter for quarter, watts in enumerate(taken_w) if watts > TRANSFORMER_W]
    assert len(over) > 3, "it would have been overloaded"
    spared = [taken - given for taken, given in zip(taken_w, given_w, strict=True)]
    assert max(spared) < TRANSFORMER_W


def homes_w(file: Path) -> list[float]:
    """Return the mean power of all homes in each quarter of an hour, from the truth."""
    scenario = Scenario.load(file)
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    truth = Truth(grid, scenario.behaviour, int(FIRST.timestamp()), scenario.seed)
    registers = [
        int(truth.block(0, grid.meters, step)[0][:, 0].sum(dtype=np.int64))
        for step in range(scenario.behaviour.steps)
    ]
    return [4.0 * (after - before) for before, after in pairwise(registers)]


def batteries_w(run: WholeRun) -> list[float]:
    """Return the mean power that all batteries gave in each quarter of an hour, at least."""
    first_ms = round(FIRST.timestamp() * 1_000)
    given = [0.0] * 11
    for changed in stretches(run):
        for quarter in range(len(given)):
            begin_ms = first_ms + quarter * QUARTER_MS
            begin, end = max(begin_ms, changed.since_ms), min(begin_ms + QUARTER_MS, changed.at_ms)
            if begin < end:
                milliampere_ms = changed.current_before_ma * (end - begin)
                given[quarter] += milliampere_ms * CELLS_MV / QUARTER_MS / 1e6
    return given
