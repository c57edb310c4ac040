"""What happens to the fleet and the head-end while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from emulator.event_kinds import MeterEventKind
from emulator.fleet_config import MeterEventSpan
from harness.scenario.base import Part, ScenarioTime
from netem.units import Duration, PartsPerMillion


class Outage(Part):
    """Concentrators cut off: connections break and none can be made until it is over."""

    do: Literal["outage"]
    """What happens."""
    at: ScenarioTime
    """Scenario time since the start at which it begins."""
    lasts: Duration = Field(alias="for", gt=0)
    """Scenario time it lasts."""
    share: PartsPerMillion = Field(default="100 %", gt=0, validate_default=True)
    """Share of the concentrators (of these links) it hits, drawn from the seed."""
    links: tuple[str, ...] | None = None
    """Communication-line categories it hits; all of them when left out."""


class Kill(Part):
    """The head-end shard dies at once (SIGKILL) and is started again."""

    do: Literal["kill"]
    """What happens."""
    at: ScenarioTime
    """Scenario time since the start at which it dies."""
    restart_after: Duration = Field(default="1 s", validate_default=True)
    """Wall time until it is started again."""
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


TimelineEvent = Annotated[Outage | Kill | Freeze | MeterEvent, Field(discriminator="do")]


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
