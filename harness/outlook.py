"""What a scenario would do, told before it is run."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from emulator.behaviour_parameters import first_step_s
from emulator.descriptors import raise_descriptor_limit, shards_needed
from emulator.grid import PROTOCOLS, generate_grid
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from emulator.schedule import Schedule
from harness.bal.model.refresh import RefreshMode
from harness.foreseen import timeline_in_words
from harness.run.battery_files import commanded
from harness.scenario import External, Scenario, meter_event_spans, outage_spans
from harness.scenario.bal import ExternalBal

TIERS: Final = {
    "model": "",
    "packet": "; IP packets through the emulator",
    "netem": "; IP packets through the kernel's netem",
}


@dataclass(frozen=True, slots=True)
class AnsiPart:
    """What the ANSI part of a fleet would do: C12.22 relays, and meters that are nodes."""

    relays: int
    nodes: int
    apdus: int
    """Readings owed; each is a message of its meter's own, or an answer to one."""
    alarms: int
    """Log entries and status bits that the scenario's events raise."""


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
    ansi: AnsiPart | None
    timeline: tuple[str, ...] = ()
    """What happens while it runs, a sentence each."""

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
            **({} if self.ansi is None else self._of_ansi(self.ansi)),
            "plan": f"{_things(behaviour.steps, 'step')} of {_duration(behaviour.step)}, "
            f"{behaviour.mode} mode, {_things(len(scenario.timeline), 'timeline event')}, "
            f"{_things(scenario.commands.count, 'command')}",
            "readings": f"{self.owed:,} owed, {self.deferred:,} deferred "
            f"(their delivery window opens after the last step)",
            "links": "none: bare loopback"
            if scenario.link == "none"
            else links + TIERS[scenario.link],
            "target": f"the {kind} head-end",
            "pace": f"{scenario.speed:g} x real time: about {_duration(self.wall_s)} "
            f"and then a drain of at most {_duration(scenario.limits.drain)}",
            "load": f"{self.readings_per_s:,.0f} readings/s, as many as "
            f"{self.meters * scenario.speed:,.0f} meters make in real time",
            **_of_batteries(scenario),
            **_of_requests(scenario, self.wall_s),
            **_of_probes(scenario),
            "checks": ", ".join(f"{name} {limit}" for name, limit in scenario.checks.items()),
        }
        told = [_wrapped(f"{title}:", line) for title, line in lines.items()]
        titles = ("timeline:", *[""] * len(self.timeline))
        told += [_wrapped(title, line) for title, line in zip(titles, self.timeline, strict=False)]
        return "\n".join(told)

    def _of_ansi(self, ansi: AnsiPart) -> dict[str, str]:
        c12 = self.scenario.c12
        who = f"{_things(ansi.relays, 'concentrator')} are C12.22 relays with {ansi.nodes:,} nodes"
        pace = f"{ansi.apdus / self.wall_s:,.0f} APDUs/s"
        lines = {"ansi": f"{who}; {pace}, one a reading; {_things(ansi.alarms, 'alarm')}"}
        if c12.register_nodes:
            everybody = ansi.relays + ansi.nodes
            bound = "as fast as they can"
            if c12.registrations_per_s:
                least_s = everybody / c12.registrations_per_s
                bound = f"at most {c12.registrations_per_s:,}/s, so in {_duration(least_s)}"
            lines["register"] = (
                f"{everybody:,} registrations, {bound}; again within "
                f"{_duration(c12.registration_period)}"
            )
        return lines


def foresee(scenario: Scenario) -> Outlook:
    """Return what ``scenario`` would do on this machine; generates its grid and its plan."""
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    first_s = first_step_s(scenario.behaviour, time.time())
    plan = Plan(grid, scenario.behaviour, first_s, scenario.seed)
    outages = outage_spans(scenario.timeline, scenario.behaviour)
    owed = int(Schedule.of(plan, outages).due_counts().sum())
    return Outlook(
        scenario=scenario,
        concentrators=grid.concentrators,
        meters=grid.meters,
        owed=owed,
        deferred=grid.meters * scenario.behaviour.steps - owed,
        wall_s=scenario.span_s / scenario.speed,
        fleet_shards=shards_needed(grid.concentrators, raise_descriptor_limit()),
        ansi=_ansi_part(scenario, plan) if scenario.grid.protocols.c12 else None,
        timeline=timeline_in_words(scenario, plan),
    )


def _of_batteries(scenario: Scenario) -> dict[str, str]:
    """Return who the batteries are, and what the layer makes of them.

    Raises `ScenarioError`: a topology of the scenario's own cannot be.
    """
    lines = {}
    if (batteries := scenario.batteries) is not None:
        kinds = ", ".join(f"{one.name} {_percent(one.share)}" for one in batteries.categories)
        over = ", ".join(f"{one.profile} {_percent(one.share)}" for one in batteries.links)
        links = "bare loopback" if scenario.link == "none" else over
        lines["batteries"] = f"{batteries.count:,} ({kinds}) over {links}"
    if batteries is not None and (bal := scenario.bal) is not None:
        names = len(commanded(bal, batteries.count))
        parts = ", ".join(f"{part.name} {_percent(part.share)}" for part in bal.partitions)
        what = f"{bal.virtual:,} virtual ones" if bal.virtual else f"as {bal.topology} says"
        split = f" in {bal.policy.value} partitions ({parts})" if parts else ""
        read = "when somebody asks" if bal.refresh is RefreshMode.LAZY else "all the time"
        lines["bal"] = (
            f"{what}{split}: {names:,} to command; read {read}, "
            f"readings at most {_duration(bal.staleness)} old"
        )
        if isinstance(bal.target, ExternalBal):
            lines["bal"] += f"; somebody's own, at {bal.target.url}"
        if bal.faces:
            faces = ", ".join(f"{face.speaks} on port {face.port}" for face in bal.faces)
            lines["bal"] += f"; speaks {faces}"
    return lines


def _of_requests(scenario: Scenario, wall_s: float) -> dict[str, str]:
    """Return what Locust's users ask of the systems beside the head-end."""
    rates: dict[str, float] = {}
    if scenario.bal is not None:
        load = scenario.bal.load_driver
        rates |= {
            "battery snapshots": load.status_per_s,
            "battery commands": load.commands_per_s,
        }
    if scenario.billing is not None:
        wanted = scenario.billing.load_driver
        rates |= {"bills": wanted.bills_per_s, "statistics": wanted.statistics_per_s}
    told = [f"{rate:g} {what}/s" for what, rate in rates.items() if rate]
    if not told:
        return {}
    whole = sum(int(wall_s * rate) for rate in rates.values())
    return {"requests": f"{', '.join(told)}: about {whole:,} in all"}


def _of_probes(scenario: Scenario) -> dict[str, str]:
    wanted = scenario.probes.replay
    if not wanted:
        return {}
    whose = _things(wanted, "concentrator")
    return {"probes": f"of {whose} a confirmed push is sent again, which must not be taken for new"}


def _ansi_part(scenario: Scenario, plan: Plan) -> AnsiPart:
    relays = plan.grid.protocol == PROTOCOLS.index("c12")
    return AnsiPart(
        relays=int(np.count_nonzero(relays)),
        nodes=int(np.diff(plan.grid.first_meter)[relays].sum()),
        apdus=int(plan.concentrator_due_counts()[relays].sum()),
        alarms=MeterEvents(meter_event_spans(scenario.timeline), plan).total(),
    )


def _wrapped(title: str, line: str) -> str:
    text = f"{title:<10} {line}"
    return textwrap.fill(text, 100, subsequent_indent=" " * 11, break_on_hyphens=False)


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


def _things(count: int, name: str, ending: str = "s") -> str:
    return f"{count:,} {name}{'' if count == 1 else ending}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
