"""What a scenario would do, told before it is run."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass

from emulator.descriptors import raise_descriptor_limit, shards_needed
from emulator.grid import generate_grid
from emulator.parameters import first_step_s
from emulator.plan import Plan
from harness.scenario import External, Scenario


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run would do; times in wall seconds, readings as the plan counts them."""

    scenario: Scenario
    concentrators: int
    meters: int
    owed: int
    deferred: int
    wall_s: float
    fleet_shards: int

    @property
    def readings_per_s(self) -> float:
        """Readings due in a wall second on average."""
        return self.owed / self.wall_s

    def __str__(self) -> str:
        """Return the outlook in a few lines for people."""
        scenario = self.scenario
        behaviour = scenario.behaviour
        links = ", ".join(f"{link.profile} {_percent(link.share)}" for link in scenario.grid.links)
        kind = "external" if isinstance(scenario.target, External) else "reference"
        lines = {
            "scenario": f"{scenario.name}, seed {scenario.seed}: the scenario is valid",
            "fleet": f"{self.concentrators:,} concentrators, {self.meters:,} meters, "
            f"{_things(self.fleet_shards, 'process', 'es')}",
            "plan": f"{_things(behaviour.steps, 'step')} of {_duration(behaviour.step)}, "
            f"{behaviour.mode} mode, {_things(len(scenario.timeline), 'timeline event')}, "
            f"{_things(scenario.commands.count, 'command')}",
            "readings": f"{self.owed:,} owed, {self.deferred:,} deferred "
            f"(their delivery window opens after the last step)",
            "links": links if scenario.link == "model" else "none: bare loopback",
            "target": f"the {kind} head-end",
            "pace": f"{scenario.speed:g} x real time: about {_duration(self.wall_s)} "
            f"and then a drain of at most {_duration(scenario.limits.drain)}",
            "load": f"{self.readings_per_s:,.0f} readings/s, as many as "
            f"{self.meters * scenario.speed:,.0f} meters make in real time",
            "checks": ", ".join(f"{name} {limit}" for name, limit in scenario.checks.items()),
        }
        return "\n".join(_wrapped(title, line) for title, line in lines.items())


def foresee(scenario: Scenario) -> Outlook:
    """Return what ``scenario`` would do on this machine; generates its grid and its plan."""
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    first_s = first_step_s(scenario.behaviour, time.time())
    owed = int(Plan(grid, scenario.behaviour, first_s, scenario.seed).due_counts().sum())
    return Outlook(
        scenario=scenario,
        concentrators=grid.concentrators,
        meters=grid.meters,
        owed=owed,
        deferred=grid.meters * scenario.behaviour.steps - owed,
        wall_s=scenario.span_s / scenario.speed,
        fleet_shards=shards_needed(grid.concentrators, raise_descriptor_limit()),
    )


def _wrapped(title: str, line: str) -> str:
    text = f"{title + ':':<10} {line}"
    return textwrap.fill(text, 100, subsequent_indent=" " * 11, break_on_hyphens=False)


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


def _things(count: int, name: str, ending: str = "s") -> str:
    return f"{count:,} {name}{'' if count == 1 else ending}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
