"""How long the grid and the plan of a whole distribution network take, and how much memory.

Measured in a process of its own, so that the peak is theirs. Before anything is timed the counts
are checked on a sample of concentrators against every reading's own delivery step.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid import generate_grid
from emulator.grid_parameters import GridParameters
from emulator.plan import Plan
from emulator.readings import Truth

STATIONS = 50_000
METERS = 3_500_000
STEPS = 288
SEED = 7
FIRST_S = 1_772_406_000
SAMPLE = 100
TARGET_S = 10.0
TARGET_MB = 500

_BEHAVIOUR = BehaviourParameters.model_validate(
    {
        "steps": STEPS,
        "concentrators": [
            {"name": "bad", "share": "30 %", "reachable": "10 %"},
            {"name": "good", "share": "70 %"},
        ],
        "meters": [
            {"name": "bad", "share": "20 %", "reachable": "5 %"},
            {"name": "good", "share": "80 %"},
        ],
    }
)


def main() -> None:
    """Print the figures, measured in a child process.

    Raises:
        subprocess.CalledProcessError: the sample and the reference differ.
    """
    command = [sys.executable, "-m", "tests.bench.plan"]
    root = Path(__file__).parents[2]
    child = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    print(child.stdout, end="")  # noqa: T201
    if child.returncode:
        print(child.stderr, end="", file=sys.stderr)  # noqa: T201
    child.check_returncode()


def _measure() -> None:
    _check_sample()
    begin_s = time.perf_counter()
    parameters = GridParameters(transformer_stations=STATIONS, meters=METERS)
    grid = generate_grid(parameters, _BEHAVIOUR, SEED)
    grid_s = time.perf_counter() - begin_s
    plan = Plan(grid, _BEHAVIOUR, FIRST_S, SEED)
    owed, busiest = int(plan.due_counts().sum()), int(plan.communicating_meters().max())
    total_s = time.perf_counter() - begin_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    readings = METERS * STEPS
    _say(f"{grid.concentrators:,} concentrators, {grid.meters:,} meters, {STEPS} steps")
    _say(f"  {readings:,} readings: {owed:,} owed, {readings - owed:,} deferred")
    _say(f"  at most {busiest:,} meters communicate in one step")
    _say(f"  grid {grid_s:.2f} s, grid and plan {total_s:.2f} s (target {TARGET_S:g} s)")
    _say(f"  peak memory {peak_mb:.0f} MB (target {TARGET_MB} MB)")
    _time_truth(Truth(grid, _BEHAVIOUR, FIRST_S, SEED), plan)


def _time_truth(truth: Truth, plan: Plan) -> None:
    """Print what the checker pays for one interval of every meter."""
    begin_s = time.perf_counter()
    truth.block(0, METERS, STEPS // 2)
    truth_s = time.perf_counter() - begin_s
    plan.delivery_step_block(STEPS // 2, 0, METERS)
    plan_s = time.perf_counter() - begin_s - truth_s
    _say(f"  truth of one interval {truth_s:.2f} s ({METERS / truth_s / 1e6:.1f} M readings/s)")
    _say(f"  delivery steps of one interval {plan_s:.2f} s")


def _check_sample() -> None:
    """Count a small plan reading by reading and compare.

    Raises:
        AssertionError: they differ.
    """
    grid = generate_grid(GridParameters(transformer_stations=SAMPLE), _BEHAVIOUR, SEED)
    plan = Plan(grid, _BEHAVIOUR, FIRST_S, SEED)
    meters = np.arange(grid.meters)
    expected = np.zeros(STEPS + 1, np.int64)
    for interval in range(STEPS):
        expected += np.bincount(plan.delivery_step(meters, interval), minlength=STEPS + 1)
    if not np.array_equal(plan.due_counts(), expected[:STEPS]):
        raise AssertionError("the counts by windows differ from those by readings")
    _say(f"sample of {grid.meters * STEPS:,} readings: counts by windows equal those by readings")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    _measure()
