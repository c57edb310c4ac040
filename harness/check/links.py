"""The links of a run: what they were set to, beside what was drawn for their packets.

A mean that lies further from what was set than chance allows makes the run inconclusive: whatever
it measured, it was not over these links.
"""

from __future__ import annotations

import math
from typing import Any, Final

from harness.check.probes import probed
from harness.check.recorded import RecordedRun
from netem.model import LinkStatistics
from netem.model.statistics import set_and_drawn
from netem.profiles import GilbertElliottLoss, LinkDirection
from reports.recording import LinkMeasurement

CHANCE_SIGMAS: Final = 6.0
"""Beyond six standard errors chance is out of the question: two in a thousand million."""
ROUNDING_S: Final = 2e-6
"""Drawn delays are recorded in whole microseconds."""
PACKETS_FOR_BURSTS: Final = 1_000
QUANTITIES: Final = (
    ("delay, mean", "delay_mean_s", "s", 1),
    ("delay, sigma", "delay_sigma_s", "s", 1),
    ("loss", "loss_share", "%", 100),
)


def links(run: RecordedRun) -> tuple[LinkMeasurement, ...]:
    """Return, for each link profile, what was set, drawn and measured; nothing of perfect links."""
    if run.fleet.link == "none":
        return ()
    if run.fleet.in_lab:
        return probed(run)
    drawn: dict[str, LinkStatistics] = {}
    for summary in run.summaries():
        for name, values in summary["links"].items():
            statistics = LinkStatistics.from_dict(values)
            drawn.setdefault(name, LinkStatistics(name)).merge(statistics)
    return tuple(
        measurement
        for name, statistics in sorted(drawn.items())
        for measurement in _set_beside_drawn(run, name, statistics)
    )


def _set_beside_drawn(
    run: RecordedRun, name: str, statistics: LinkStatistics
) -> list[LinkMeasurement]:
    profile = run.fleet.profiles[name].each_way(run.fleet.links)
    return [
        LinkMeasurement(
            link=name,
            quantity=f"{direction} {quantity}",
            unit=unit,
            set=values[key]["set"] * factor,
            drawn=values[key]["drawn"] * factor,
            agrees=_agrees(key, values, getattr(profile, direction)),
        )
        for direction, values in set_and_drawn(profile, statistics).items()
        for quantity, key, unit, factor in QUANTITIES
        if values["packets"]
    ]


def _agrees(key: str, values: dict[str, Any], direction: LinkDirection) -> bool | None:
    """Tell whether chance explains the difference; ``None`` where that is not judged."""
    off = abs(values[key]["drawn"] - values[key]["set"])
    if key == "delay_mean_s" and values["delays"]:
        error_s = values["delay_sigma_s"]["set"] / math.sqrt(values["delays"])
        return bool(off <= CHANCE_SIGMAS * error_s + ROUNDING_S)
    # Losses that come in bursts need many packets before chance has a width.
    bursts, packets = isinstance(direction.loss, GilbertElliottLoss), values["packets"]
    if key == "loss_share" and (not bursts or packets >= PACKETS_FOR_BURSTS):
        return bool(off <= CHANCE_SIGMAS * values[key]["error"] + 1 / packets)
    return None
