"""What the timeline of a scenario would do, told before it is run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from emulator.batteries.grid import generate_batteries
from emulator.fleet_config import OutageSpan
from emulator.linked import LinkedGrid
from emulator.plan import Plan
from emulator.schedule import Outage as ScheduledOutage
from harness.scenario import (
    Degrade,
    Flap,
    NetworkEvent,
    Outage,
    Partition,
    Scenario,
    condition_spans,
    occurrences,
    outage_spans,
)
from harness.scenario.timeline import Whose
from harness.scenario.wording import time_in_words, what_happens, when_in_words
from netem.conditions import FlapSpan, flap_times, whom_it_hits

__all__ = ["timeline_in_words"]


def timeline_in_words(scenario: Scenario, plan: Plan) -> tuple[str, ...]:
    """Return a sentence for each event of ``scenario``, in the order of its timeline."""
    hits = _hits(scenario, plan)
    return tuple(
        "; ".join(
            [
                f"{when_in_words(event)}: {what_happens(event)}",
                *(
                    _consequences(scenario, event, number, hits.get(number, 0))
                    if isinstance(event, NetworkEvent)
                    else ()
                ),
            ]
        )
        for number, event in enumerate(scenario.timeline)
    )


def _hits(scenario: Scenario, plan: Plan) -> dict[int, int]:
    """Return how many concentrators or batteries each event of the network hits, by its place."""
    found = _hits_of(scenario, plan.grid, "concentrators")
    if scenario.batteries is not None:
        grid = generate_batteries(scenario.batteries, scenario.seed)
        found |= _hits_of(scenario, grid, "batteries")
    return found


def _hits_of(scenario: Scenario, grid: LinkedGrid, of: Whose) -> dict[int, int]:
    seed = scenario.seed
    names = [link.profile for link in grid.parameters.links]
    conditions = {
        span.number: whom_it_hits(span, names, grid.link_category, seed)
        for span in condition_spans(scenario.timeline, scenario.behaviour, of)
    }
    outages = {
        span.number: ScheduledOutage(span, grid, seed).hits
        for span in outage_spans(scenario.timeline, scenario.behaviour, of)
    }
    return {number: int(hits.sum()) for number, hits in (conditions | outages).items()}


def _consequences(scenario: Scenario, event: NetworkEvent, number: int, hit: int) -> Iterator[str]:
    one = {"concentrators": "concentrator", "batteries": "battery"}[event.of]
    yield f"hits {hit:,} {one if hit == 1 else event.of}"
    times = occurrences(event, scenario.behaviour)
    if event.hours is not None:
        yield f"{len(times)} time{'' if len(times) == 1 else 's'} in this run"
    if isinstance(event, Flap):
        (span,) = condition_spans([event], scenario.behaviour, event.of)
        assert isinstance(span, FlapSpan)
        downs = flap_times(span.model_copy(update={"number": number}), scenario.seed)
        down_s = sum(ends_s - begins_s for begins_s, ends_s in downs)
        yield f"down {len(downs)} times, {time_in_words(round(down_s))} in all"
    if event.of == "batteries":
        return
    if isinstance(event, Outage):
        closed = _closed_steps(scenario, outage_spans([event], scenario.behaviour))
        yield f"closes {closed} step{'' if closed == 1 else 's'}"
    else:
        yield "closes no step"
    if isinstance(event, Partition | Flap | Degrade) and times[-1][1] >= scenario.span_s:
        yield "it holds when the last step ends: what it delays then may not arrive in the drain"


def _closed_steps(scenario: Scenario, spans: tuple[OutageSpan, ...]) -> int:
    """Return how many steps outages touch."""
    begins_s = np.arange(scenario.behaviour.steps) * scenario.behaviour.step_s
    touched = np.zeros(len(begins_s), np.bool_)
    for span in spans:
        ends_s = span.starts_s + span.lasts_s
        touched |= (span.starts_s < begins_s + scenario.behaviour.step_s) & (ends_s > begins_s)
    return int(touched.sum())
