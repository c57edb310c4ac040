"""What probes measured on the links of a lab, beside what was set.

Spans in which the scenario changed a whole class of links are left out: what was set did not hold
then. What remains is held against the law of the profile; a difference beyond chance and beyond
what probing itself can add makes the run inconclusive.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from harness.check.lab import loss_counted
from harness.check.recorded import RecordedRun
from harness.run.stations import lab_changes, lab_parts
from netem.model.delay import delay_law
from netem.probe import Bucket, Train, read_record
from netem.profiles import GilbertElliottLoss, LinkDirection, LinkProfile
from reports.recording import LinkMeasurement, RunFiles

CHANCE_SIGMAS: Final = 6.0
"""Beyond six standard errors chance is out of the question: two in a thousand million."""
PROBING_S: Final = 0.005
"""What stamping and scheduling on a busy machine may add to a mean delay."""
RATE_TOLERANCE: Final = 0.05
"""Of a rate, beside chance: a limit in packets and one in octets are not measured alike."""
LEAST_SAMPLES: Final = 30
SETTLING_S: Final = 15.0
"""Around a change: the span that a probe counts for, and what was under way before it."""
LEAST_TRAIN_S: Final = 0.5
"""A train whose tail takes less says nothing that could be judged."""
_TRAIN_TAIL: Final = 30
"""Packets of a train whose arrivals show the rate."""

Spans: TypeAlias = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Seen:
    """What was measured of one class in one direction."""

    total: Bucket
    rates: list[float] = field(default_factory=list)
    train_octets: int = 0


def probed(run: RecordedRun) -> tuple[LinkMeasurement, ...]:
    """Return what probes measured, class by class; nothing of a run that was not probed."""
    path = RunFiles(run.folder.path).probes
    if not path.is_file():
        return ()
    classes = link_classes(run)
    with path.open() as lines:
        seen = _gathered(read_record(lines), changed_spans(run))
    counted = loss_counted(run.lab)
    return tuple(
        replace(measurement, link=name)
        for key, it in sorted(seen.items(), key=lambda item: (item[0][0], item[0][1] != "up"))
        for name, profile in [classes[key[0]]]
        for measurement in judged(profile, it, counted.get(key))
    )


def changed_spans(run: RecordedRun) -> dict[int, Spans]:
    """Return when each whole link class was not as its profile says, CLOCK_MONOTONIC seconds."""
    clock, first_s = run.facts.scenario_clock, run.fleet.first_s
    spans: dict[int, list[tuple[float, float]]] = {}
    began: dict[int, float] = {}
    classes = link_classes(run)
    for change in lab_changes(lab_parts(run)):
        if change.numbers is not None:
            continue
        at_s = clock.monotonic_at(first_s + change.at_s)
        if change.profile == classes[change.category][1]:
            began_s = began.pop(change.category, at_s)
            spans.setdefault(change.category, []).append((began_s, at_s))
        else:
            began.setdefault(change.category, at_s)
    for category, began_s in began.items():
        spans.setdefault(category, []).append((began_s, math.inf))
    return {
        category: [(begins_s - SETTLING_S, ends_s + SETTLING_S) for begins_s, ends_s in found]
        for category, found in spans.items()
    }


def link_classes(run: RecordedRun) -> list[tuple[str, LinkProfile]]:
    """Return what each link class of the lab is called, and its profile."""
    return [
        named for part in lab_parts(run) for named in zip(part.names, part.profiles, strict=True)
    ]


def _gathered(
    results: Iterable[Bucket | Train], changed: dict[int, Spans]
) -> dict[tuple[int, str], Seen]:
    seen: dict[tuple[int, str], Seen] = {}
    for result in results:
        at_s = result.starts_ns / 1e9
        if any(begins_s <= at_s < ends_s for begins_s, ends_s in changed.get(result.category, ())):
            continue
        empty = Seen(Bucket(result.category, result.direction, 0))
        it = seen.setdefault((result.category, result.direction), empty)
        if isinstance(result, Bucket):
            it.total.merge(result)
        elif result.packets_per_s is not None:
            it.rates.append(result.packets_per_s)
            it.train_octets = result.octets
    return seen


def judged(
    profile: LinkProfile, seen: Seen, counted_loss: float | None = None
) -> Iterator[LinkMeasurement]:
    """Yield one measurement for each quantity of a class in one direction.

    ``counted_loss`` is the share that the link itself says it has lost, of all that it carried.
    """
    total = seen.total
    set_to: LinkDirection = getattr(profile, total.direction)
    law, loss = delay_law(set_to), set_to.loss.mean_ppm / 1e6

    def row(
        quantity: str,
        unit: str,
        set_value: float,
        measured: float,
        agrees: bool | None,
        drawn: float | None = None,
    ) -> LinkMeasurement:
        return LinkMeasurement(
            link=profile.name,
            quantity=f"{total.direction} {quantity}",
            unit=unit,
            set=set_value,
            drawn=drawn,
            measured=measured,
            agrees=agrees,
        )

    mean_agrees = _mean_agrees(total, law.mean_s, law.sigma_s)
    yield row("delay, mean", "s", law.mean_s, total.mean_s, mean_agrees)
    yield row("delay, sigma", "s", law.sigma_s, total.sigma_s, None)
    lost_agrees = _loss_agrees(total, loss, isinstance(set_to.loss, GilbertElliottLoss))
    drawn = None if counted_loss is None else counted_loss * 100
    yield row("loss", "%", loss * 100, total.loss_share * 100, lost_agrees, drawn)
    expected = packets_per_s(set_to, seen.train_octets)
    if seen.rates and expected is not None:
        rate = statistics.median(seen.rates)
        agrees = _rate_agrees(expected, rate, law.sigma_s, len(seen.rates))
        yield row("rate", "packets/s", expected, rate, agrees)


def _mean_agrees(total: Bucket, mean_s: float, sigma_s: float) -> bool | None:
    if total.received < LEAST_SAMPLES:
        return None
    error_s = sigma_s / math.sqrt(total.received)
    return abs(total.mean_s - mean_s) <= CHANCE_SIGMAS * error_s + PROBING_S


def _loss_agrees(total: Bucket, share: float, in_bursts: bool) -> bool | None:
    # Losses that come in bursts scatter more than single ones: theirs is not judged.
    if in_bursts or total.sent < LEAST_SAMPLES:
        return None
    error = math.sqrt(share * (1 - share) / total.sent)
    return abs(total.loss_share - share) <= CHANCE_SIGMAS * error + 1 / total.sent


def packets_per_s(direction: LinkDirection, octets: int) -> float | None:
    """Return the rate that packets of ``octets`` come out at; ``None``: nothing limits them."""
    limits = []
    if direction.packet_rate is not None:
        limits.append(float(direction.packet_rate.per_second))
    if direction.rate is not None and octets:
        limits.append(direction.rate / (8 * octets))
    return min(limits, default=None)


def _rate_agrees(expected: float, measured: float, sigma_s: float, trains: int) -> bool | None:
    """Tell whether chance explains the difference: jitter tilts the line of arrivals.

    ``None`` where a train is over so soon that a busy machine's hesitation would decide.
    """
    if expected * LEAST_TRAIN_S > _TRAIN_TAIL:
        return None
    # Standard error of the slope of a straight line through n points, beside the gap itself.
    tilt = sigma_s * math.sqrt(12 / _TRAIN_TAIL**3) * expected / math.sqrt(trains)
    return abs(measured / expected - 1) <= RATE_TOLERANCE + CHANCE_SIGMAS * tilt
