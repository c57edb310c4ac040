"""Small grids and behaviours for tests, and hypothesis strategies that draw odd ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from emulator.behaviour_parameters import BehaviourParameters
from emulator.grid import Grid, generate_grid
from emulator.grid_parameters import GridParameters
from emulator.plan import Plan
from emulator.readings import Truth

FIRST_S = 1_772_406_000
"""2026-03-02T00:00:00+01:00, a Monday."""

HARD_TO_REACH: dict[str, Any] = {
    "concentrators": [
        {"name": "bad", "share": "30 %", "reachable": "10 %", "windows_per_day": 3},
        {"name": "good", "share": "70 %"},
    ],
    "meters": [
        {"name": "bad", "share": "20 %", "reachable": "5 %", "windows_per_day": 4},
        {"name": "good", "share": "80 %"},
    ],
}
"""The accessibility of the paper the generators follow."""


def small_grid(stations: int = 12, **changes: Any) -> GridParameters:
    sizes = [
        {"name": "small", "meters": [1, 4], "share": "50 %"},
        {"name": "large", "meters": [5, 9], "share": "50 %"},
    ]
    return GridParameters.model_validate(
        {"transformer_stations": stations, "sizes": sizes, **changes}
    )


def behaviour(steps: int = 192, **changes: Any) -> BehaviourParameters:
    return BehaviourParameters.model_validate({"steps": steps, **HARD_TO_REACH, **changes})


def small_plan(seed: int = 7, **changes: Any) -> Plan:
    parameters = behaviour(**changes)
    return Plan(generate_grid(small_grid(), parameters, seed), parameters, FIRST_S, seed)


def truth_of(
    grid: GridParameters, behaviour: BehaviourParameters, *, seed: int = 7, first_s: int = FIRST_S
) -> tuple[Grid, Truth]:
    generated = generate_grid(grid, behaviour, seed)
    return generated, Truth(generated, behaviour, first_s, seed)


@st.composite
def accessibility_classes(draw: st.DrawFn, windows_max: int) -> list[dict[str, Any]]:
    shares = draw(st.sampled_from([[1_000_000], [300_000, 700_000], [333_333, 333_334, 333_333]]))
    return [
        {
            "name": f"class {number}",
            "share": f"{share} ppm",
            "reachable": f"{draw(st.integers(0, 1_000_000))} ppm",
            "windows_per_day": draw(st.integers(1, windows_max)),
        }
        for number, share in enumerate(shares)
    ]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    step_s = draw(st.sampled_from([900, 3600, 4320, 7200, 21_600]))
    windows_max = min(86_400 // step_s, 12)
    parameters = BehaviourParameters.model_validate(
        {
            "steps": draw(st.integers(1, 60)),
            "step": f"{step_s} s",
            "concentrators": draw(accessibility_classes(windows_max)),
            "meters": draw(accessibility_classes(windows_max)),
        }
    )
    seed = draw(st.integers(0, 2**64))
    grid = generate_grid(small_grid(draw(st.integers(1, 6))), parameters, seed)
    return Plan(grid, parameters, FIRST_S, seed)
