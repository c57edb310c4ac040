"""What happens to the fleet, the batteries and the systems while a run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, StrictBool, WithJsonSchema

from emulator.behaviour_parameters import BehaviourParameters, first_step_s
from emulator.event_kinds import MeterEventKind
from emulator.fleet_config import MeterEventSpan, OutageSpan
from harness.hours import HoursText
from harness.scenario.base import Part, ScenarioTime
from netem.conditions import DegradeSpan, FlapSpan, Occurrence, PartitionSpan, Span
from netem.units import Duration, PartsPerMillion
from netem.whom import RegionText, Whom
from netem.worsening import WorseDuration, Worsening, WorseRate, WorseShare

DAY_S: Final = 86_400


Whose = Literal["concentrators", "batteries"]
"""Whose links something befalls."""


class _OfTheNetwork(Part):
    """What befalls the links of some concentrators or batteries, once or at hours of every day."""

    of: Whose = "concentrators"
    """Whose links it befalls: those of concentrators or those of emulated batteries, of which
    ``share``, ``links``, ``region`` and ``cells`` are then."""
    at: ScenarioTime = Field(default="00:00", validate_default=True)
    """Scenario time since the start at which it begins; with ``hours``, before which it does not
    happen."""
    lasts: Duration | None = Field(default=None, alias="for", gt=0)
    """Scenario time it lasts; with ``hours``, after which it happens no more (to the end of the
    run when left out)."""
    hours: tuple[HoursText, ...] | None = None
    """Hours of the day at which it happens, on every day of the run, in the meters' local time,
    such as ``["18:00-22:00"]``. Needs a ``behaviour.first``, and then no ``for``."""
    share: PartsPerMillion = Field(default="100 %", gt=0, validate_default=True)
    """Share of the concentrators (of these links, this region) it hits, drawn from the seed."""
    links: tuple[str, ...] | None = None
    """Communication-line categories it hits; all of them when left out."""
    region: RegionText | None = None
    """Part of the grid it hits: ``"2 of 8"`` is the second of eight equal runs of consecutive
    concentrators, ``"2-4 of 8"`` three of them."""
    cells: int | None = Field(default=None, ge=1)
    """Cuts the grid into so many cells, equal runs of consecutive concentrators; the share is
    then one of cells, each hit as a whole."""

    @property
    def whom(self) -> Whom:
        """Whom it hits."""
        return Whom(links=self.links, region=self.region, cells=self.cells, share_ppm=self.share)


class Outage(_OfTheNetwork):
    """Concentrators or batteries cut off: connections break and none can be made until it is over.

    It closes every step it touches for concentrators: readings are due when the next step opens.
    """

    do: Literal["outage"]
    """What happens."""


class Flap(_OfTheNetwork):
    """Links go down and come up again, again and again. It closes no step."""

    do: Literal["flap"]
    """What happens."""
    period: Duration = Field(gt=0)
    """Scenario time from cycle to cycle; links are down once in each."""
    down: PartsPerMillion = Field(default="20 %", gt=0, lt=1_000_000, validate_default=True)
    """Share of each cycle that they are down."""
    jitter: PartsPerMillion = Field(default="50 %", validate_default=True)
    """Share of the rest of a cycle that may pass before they go down, drawn from the seed for each
    cycle; at ``"0 %"`` they go down as the cycle begins."""
    connections: Literal["break", "hang"] = "break"
    """What becomes of connections when links go down: they break and none can be made, or octets
    hang until TCP tries again."""


class Partition(_OfTheNetwork):
    """Fleet and head-end cannot reach each other, and nobody is told: nothing is reset.

    Octets hang until TCP tries again, or whoever waits for them gives up. It closes no step.
    """

    do: Literal["partition"]
    """What happens."""


class Degrade(_OfTheNetwork):
    """Links get worse: a factor (``"x 3"``) or a value of each way. It closes no step."""

    do: Literal["degrade"]
    """What happens."""
    latency: WorseDuration | None = None
    """What becomes of the latency of each way: ``"x 3"`` or ``"2 s"``."""
    jitter: WorseDuration | None = None
    """What becomes of the jitter of each way; links without any get a normal distribution."""
    loss: WorseShare | None = None
    """What becomes of the share of packets lost; links that lose in bursts go on doing so."""
    rate: WorseRate | None = None
    """A value limits the bits of each way; a factor scales the limits on bits and on packets."""
    way: Literal["both", "up", "down"] = "both"
    """Up is from the concentrator to the head-end."""
    ramp: Duration = Field(default="0 s", validate_default=True)
    """Scenario time over which it comes about, and again over which it passes; part of ``for``,
    or of each of the ``hours``."""

    @property
    def worse(self) -> Worsening:
        """What becomes of links once it has come about."""
        return Worsening.model_construct(
            latency=self.latency, jitter=self.jitter, loss=self.loss, rate=self.rate, way=self.way
        )


class Kill(Part):
    """A head-end shard or another system dies at once (SIGKILL) and is started again."""

    do: Literal["kill"]
    """What happens."""
    at: ScenarioTime
    """Scenario time since the start at which it dies."""
    restart_after: Duration = Field(default="1 s", validate_default=True)
    """Wall time until it is started again."""
    part: Literal["headend", "bal", "billing"] = "headend"
    """What dies: a head-end shard, the battery layer, or the billing back end."""
    shard: int = Field(default=0, ge=0)
    """Which head-end shard, from 0."""


class Freeze(Part):
    """A process stands still (SIGSTOP) and goes on again, as under a paused virtual machine."""

    do: Literal["freeze"]
    """What happens."""
    at: ScenarioTime
    """Scenario time since the start at which it stops."""
    lasts: Duration = Field(alias="for", gt=0)
    """Wall time it stands still."""
    part: Literal["fleet", "headend"]
    """Whose process."""
    shard: int = Field(default=0, ge=0)
    """Which shard of it, from 0."""


class Lose(Part):
    """Storage fails: readings that the head-end had are gone, and it reads them again.

    Out of the buffers of the concentrators, which keep 20,000 captures, history of before the run
    among them. Readings and nothing else are lost; the drain waits until they are back.
    """

    do: Literal["lose"]
    """What happens."""
    at: ScenarioTime
    """Scenario time since the start at which it happens."""
    before: ScenarioTime = Field(default="00:00", validate_default=True)
    """Scenario time since the start; readings captured before it are gone. At ``"00:00"`` that is
    the history that the store was given, ``behaviour.preloaded``."""
    recover: StrictBool = True
    """Whether the head-end is told to read them again; otherwise somebody has to ask it, or
    billing, over their APIs while the run goes on."""
    recover_after: Duration = Field(default="1 s", validate_default=True)
    """Wall time until it is told."""


class MeterEvent(Part):
    """Something befalls meters: they write it to their event log and show it in their status.

    Only meters that speak ANSI C12 have either. What happens after the last capture is not raised.
    """

    do: Literal["event"]
    """What happens."""
    event: Annotated[
        MeterEventKind,
        WithJsonSchema({"type": "string", "enum": [kind.value for kind in MeterEventKind]}),
    ]
    """What befalls them; docs/reference/meter-events.md lists the codes and bits of each."""
    at: ScenarioTime
    """Scenario time since the start at which it happens or begins, in whole seconds."""
    lasts: Duration | None = Field(default=None, alias="for", gt=0)
    """Scenario time it lasts, in whole seconds: needed for power-failure, test-mode, busy,
    not-ready, locked and idle; conditions without it stay to the end of the run; what is over at
    once takes none."""
    share: PartsPerMillion = Field(default="100 %", gt=0, validate_default=True)
    """Share of the ANSI meters it befalls, drawn from the seed."""


NetworkEvent = Outage | Flap | Partition | Degrade
TimelineEvent = Annotated[
    Outage | Flap | Partition | Degrade | Kill | Freeze | Lose | MeterEvent,
    Field(discriminator="do"),
]


def meter_event_spans(timeline: Sequence[TimelineEvent]) -> tuple[MeterEventSpan, ...]:
    """Return what befalls meters in a timeline, as the fleet is told."""
    return tuple(
        MeterEventSpan(
            number=number,
            kind=event.event,
            starts_s=int(event.at),
            lasts_s=None if event.lasts is None else int(event.lasts),
            share_ppm=event.share,
        )
        for number, event in enumerate(timeline)
        if isinstance(event, MeterEvent)
    )


def occurrences(event: NetworkEvent, behaviour: BehaviourParameters) -> tuple[Occurrence, ...]:
    """Return when it begins and ends, each time, in scenario seconds since the first step.

    One occurrence never overlaps another. Needs a date of the first step where it has hours.
    """
    if event.hours is None:
        return ((event.at, event.at + (event.lasts or 0.0)),)
    run_s = behaviour.steps * behaviour.step_s
    last_s = run_s if event.lasts is None else event.at + event.lasts
    midnight_s = -float((first_step_s(behaviour, 0.0) + behaviour.utc_offset_s) % DAY_S)
    found: list[Occurrence] = []
    for day in range(-1, int((last_s - midnight_s) // DAY_S) + 1):
        for hours in event.hours:
            begins_s = midnight_s + day * DAY_S + hours.from_s
            found.append((max(begins_s, event.at), min(begins_s + hours.lasts_s, last_s)))
    return tuple(_joined(sorted(span for span in found if span[0] < span[1])))


def _joined(spans: Iterable[Occurrence]) -> Iterator[Occurrence]:
    """Yield spans, in order, those that touch or overlap as one."""
    last: Occurrence | None = None
    for span in spans:
        if last is not None and span[0] <= last[1]:
            last = (last[0], max(last[1], span[1]))
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last


def outage_spans(
    timeline: Sequence[TimelineEvent],
    behaviour: BehaviourParameters,
    of: Whose = "concentrators",
) -> tuple[OutageSpan, ...]:
    """Return the outages of a timeline, as those ``of`` whom are told; each occurrence is one."""
    return tuple(
        OutageSpan(
            number=number,
            starts_s=begins_s,
            lasts_s=ends_s - begins_s,
            share_ppm=event.share,
            links=event.links,
            region=event.region,
            cells=event.cells,
        )
        for number, event in enumerate(timeline)
        if isinstance(event, Outage) and event.of == of
        for begins_s, ends_s in occurrences(event, behaviour)
    )


def condition_spans(
    timeline: Sequence[TimelineEvent],
    behaviour: BehaviourParameters,
    of: Whose = "concentrators",
) -> tuple[Span, ...]:
    """Return what else befalls the network in a timeline, as those ``of`` whom are told."""
    return tuple(
        _condition(event, number, occurrences(event, behaviour))
        for number, event in enumerate(timeline)
        if isinstance(event, Flap | Partition | Degrade) and event.of == of
    )


def _condition(
    event: Flap | Partition | Degrade, number: int, when: tuple[Occurrence, ...]
) -> Span:
    match event:
        case Flap():
            return FlapSpan(
                number=number,
                whom=event.whom,
                occurrences=when,
                period_s=event.period,
                down_ppm=event.down,
                jitter_ppm=event.jitter,
                connections=event.connections,
            )
        case Partition():
            return PartitionSpan(number=number, whom=event.whom, occurrences=when)
        case Degrade():
            return DegradeSpan(
                number=number,
                whom=event.whom,
                occurrences=when,
                worse=event.worse,
                ramp_s=event.ramp,
            )
