"""The conditions of a network over a run: what holds for each concentrator's link, and when.

Pure: spans, grid and seed in; steps of time out. Nothing here applies anything. Everything is
piecewise constant: a ramp is `RAMP_STEPS` equal steps, each at the middle of what it stands for,
so that it is nowhere further than 2.5 % of the way from an even slope. Times are scenario seconds
since the first step.

Whoever applies it asks for `Conditions.changes` of profiles, and for `Conditions.switchings` of
the events that cut links off; where a link can only be cut off by losing everything (the packet
and kernel tiers), for changes with ``cut_is_loss``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from netem.draws import mix_one, stream_key
from netem.gate import OutageKind
from netem.profiles import LinkProfile
from netem.whom import BoolArray, Whom, chosen
from netem.worsening import ALL_THE_WAY, CUT, Worsening

__all__ = [
    "RAMP_STEPS",
    "ConditionSpan",
    "Conditions",
    "DegradeSpan",
    "Event",
    "FlapSpan",
    "LinkChange",
    "Occurrence",
    "PartitionSpan",
    "Span",
    "Switching",
    "flap_times",
    "whom_it_hits",
]

RAMP_STEPS: Final = 20
NANOSECONDS: Final = 1_000_000_000

Occurrence = tuple[float, float]
"""When something begins and ends, scenario seconds since the first step."""
Level = tuple[float, int]
"""From this time on it holds in so many parts per million; 0 is not at all."""


class _Span(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    """Its place in the scenario's timeline; keys its draws."""
    whom: Whom = Whom()
    occurrences: tuple[Occurrence, ...]
    """One after the other, none overlapping another."""


class FlapSpan(_Span):
    """Links that go down and come up again, again and again."""

    kind: Literal["flap"] = "flap"
    period_s: Annotated[float, Field(gt=0)]
    """Scenario seconds from one cycle's begin to the next; each has one time down."""
    down_ppm: Annotated[int, Field(gt=0, lt=ALL_THE_WAY)]
    """Share of each cycle that links are down."""
    jitter_ppm: Annotated[int, Field(ge=0, le=ALL_THE_WAY)] = 0
    """How much of the rest of a cycle may pass before they go down; drawn for each cycle."""
    connections: OutageKind = "break"
    """What becomes of connections: they break, or octets hang until TCP tries again."""


class PartitionSpan(_Span):
    """No packet passes, and nobody is told: octets hang until TCP tries again, or gives up."""

    kind: Literal["partition"] = "partition"


class DegradeSpan(_Span):
    """Links that are worse than they were."""

    kind: Literal["degrade"] = "degrade"
    worse: Worsening
    ramp_s: Annotated[float, Field(ge=0)] = 0.0
    """Scenario seconds at the begin and at the end of each occurrence that getting there takes."""


Span: TypeAlias = FlapSpan | PartitionSpan | DegradeSpan
ConditionSpan = Annotated[Span, Field(discriminator="kind")]
"""A span, as it is read from a file."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Links of one class that become something else."""

    at_s: float
    category: int
    profile: LinkProfile
    numbers: NDArray[np.int64] | None
    """Concentrators whose links they are; ``None``: all of this class."""


@dataclass(frozen=True, slots=True)
class Switching:
    """Those whom an event hits are cut off in a way, or no longer (``kind`` is None)."""

    at_s: float
    event: int
    """Which of `Conditions.cutting`."""
    kind: OutageKind | None


class Event:
    """One span: whom it hits, and how much of it holds from when on."""

    def __init__(self, span: Span, hits: BoolArray, seed: int) -> None:
        self.span = span
        self.hits = hits
        levels = list(_levels(span, seed))
        self._times = np.array([at_s for at_s, _ in levels])
        self._levels = [level for _, level in levels]

    @property
    def levels(self) -> Iterator[Level]:
        """When it changes, and to what."""
        return zip(self._times.tolist(), self._levels, strict=True)

    def level(self, at_s: float) -> int:
        """Return how much of it holds, in parts per million."""
        index = int(np.searchsorted(self._times, at_s, side="right"))
        return self._levels[index - 1] if index else 0


def _levels(span: Span, seed: int) -> Iterator[Level]:
    if isinstance(span, FlapSpan):
        downs: Sequence[Occurrence] = flap_times(span, seed)
    else:
        downs = span.occurrences
    ramp_s = span.ramp_s if isinstance(span, DegradeSpan) else 0.0
    for begins_s, ends_s in downs:
        yield from _slope(begins_s, ramp_s, range(1, 2 * RAMP_STEPS, 2))
        yield begins_s + ramp_s, ALL_THE_WAY
        yield from _slope(ends_s - ramp_s, ramp_s, range(2 * RAMP_STEPS - 1, 0, -2))
        yield ends_s, 0


def _slope(begins_s: float, ramp_s: float, halves: range) -> Iterator[Level]:
    if ramp_s:
        for step, half in enumerate(halves):
            yield begins_s + ramp_s * step / RAMP_STEPS, ALL_THE_WAY * half // (2 * RAMP_STEPS)


def flap_times(span: FlapSpan, seed: int) -> list[Occurrence]:
    """Return when the links of a span are down; what would go on beyond its end stops there."""
    key = stream_key(seed, "flap", span.number)
    period_ns = round(span.period_s * NANOSECONDS)
    down_ns = max(1, period_ns * span.down_ppm // ALL_THE_WAY)
    play_ns = (period_ns - down_ns) * span.jitter_ppm // ALL_THE_WAY
    times: list[Occurrence] = []
    cycle = 0
    for begins_s, ends_s in span.occurrences:
        at_ns, end_ns = round(begins_s * NANOSECONDS), round(ends_s * NANOSECONDS)
        while at_ns < end_ns:
            from_ns = at_ns + (mix_one(key, cycle) * play_ns >> 64)
            if from_ns < end_ns:
                to_ns = min(from_ns + down_ns, end_ns)
                times.append((from_ns / NANOSECONDS, to_ns / NANOSECONDS))
            at_ns += period_ns
            cycle += 1
    return times


class Conditions:
    """What holds when.

    Args:
        spans: of the timeline, in its order.
        profiles: of each category of links, as `LinkProfile.each_way` made them.
        category: of each concentrator's link.
        seed: of the run.
        outages: of the fleet: when, and whom each hits. They matter to ``cut_is_loss`` only; in
            the fleet it is the concentrators that go dark.
    """

    def __init__(
        self,
        spans: Sequence[Span],
        profiles: Sequence[LinkProfile],
        category: NDArray[np.integer],
        seed: int,
        outages: Sequence[tuple[Occurrence, BoolArray]] = (),
    ) -> None:
        self._profiles = tuple(profiles)
        self._category = category.astype(np.int64)
        names = [profile.name for profile in profiles]
        events = [Event(span, whom_it_hits(span, names, category, seed), seed) for span in spans]
        self.cutting = tuple(e for e in events if not isinstance(e.span, DegradeSpan))
        """The events that cut off; each has ``hits``, bool (concentrators,)."""
        self.worsening = tuple(e for e in events if isinstance(e.span, DegradeSpan))
        """The events that make links worse, in the order in which they do."""
        self._outages = tuple(
            Event(PartitionSpan(number=-1, occurrences=(when,)), hits, seed)
            for when, hits in outages
        )

    @property
    def individually(self) -> bool:
        """Whether anything, outages included, hits some links of a class and not the others."""
        events = (*self.cutting, *self.worsening, *self._outages)
        classes = [self._category == category for category in np.unique(self._category).tolist()]
        return any(
            event.hits[members].any() and not event.hits[members].all()
            for event in events
            for members in classes
        )

    def switchings(self) -> list[Switching]:
        """Return every switching in order of time; of those at one time, ends come first."""
        found = [
            Switching(at_s, number, _kind(event) if level else None)
            for number, event in enumerate(self.cutting)
            for at_s, level in event.levels
        ]
        return sorted(found, key=lambda switching: (switching.at_s, switching.kind is not None))

    def changes(self, *, cut_is_loss: bool = False) -> Iterator[LinkChange]:
        """Yield what links become, in order of time; each only where it differs from before.

        Degradations that hold for one link at one time are applied one after the other, in the
        order of the timeline.

        Args:
            cut_is_loss: whether links that are cut off, by outages too, lose every packet.
        """
        cuts = (*self.cutting, *self._outages) if cut_is_loss else ()
        known = {profile: index for index, profile in enumerate(self._profiles)}
        before = np.array([known[profile] for profile in self._profiles])[self._category]
        moments = {at_s for event in (*self.worsening, *cuts) for at_s, _ in event.levels}
        for at_s in sorted(moments):
            now = self._held(at_s, cuts, known)
            yield from self._differences(at_s, before, now, tuple(known))
            before = now

    def profile(self, concentrator: int, at_s: float) -> LinkProfile:
        """Return what a concentrator's link is at a time, unless it is cut off."""
        profile = self._profiles[int(self._category[concentrator])]
        for event in self.worsening:
            if event.hits[concentrator]:
                profile = _worse(profile, event, event.level(at_s))
        return profile

    def cut(self, concentrator: int, at_s: float) -> OutageKind | None:
        """Return how a concentrator is cut off at a time; None where it is not."""
        kinds = {
            _kind(event) for event in self.cutting if event.hits[concentrator] and event.level(at_s)
        }
        return "break" if "break" in kinds else "hang" if kinds else None

    def _held(
        self, at_s: float, cuts: Sequence[Event], known: dict[LinkProfile, int]
    ) -> NDArray[np.int64]:
        """Return the number in ``known`` of the profile that each concentrator's link is."""
        active = [(e, e.level(at_s)) for e in self.worsening if e.level(at_s)]
        cut = [event.hits for event in cuts if event.level(at_s)]
        # Concentrators of one category that the same events hit have the same link.
        code = self._category
        for event, _ in active:
            code = 2 * _dense(code) + event.hits
        if cut:
            code = 2 * _dense(code) + np.logical_or.reduce(cut)
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        held = []
        for concentrator in first.tolist():
            profile = self._profiles[int(self._category[concentrator])]
            for event, level in active:
                if event.hits[concentrator]:
                    profile = _worse(profile, event, level)
            if any(hits[concentrator] for hits in cut):
                profile = CUT.applied(profile)
            held.append(known.setdefault(profile, len(known)))
        numbers: NDArray[np.int64] = np.array(held, np.int64)[group]
        return numbers

    def _differences(
        self,
        at_s: float,
        before: NDArray[np.int64],
        now: NDArray[np.int64],
        profiles: Sequence[LinkProfile],
    ) -> Iterator[LinkChange]:
        for category in np.unique(self._category[before != now]).tolist():
            members = self._category == category
            changed = members & (before != now)
            for index in np.unique(now[changed]).tolist():
                hit = changed & (now == index)
                # Those of the class that are so already may be told again.
                everybody = bool((now[members] == index).all())
                numbers = None if everybody else np.flatnonzero(hit)
                yield LinkChange(at_s, category, profiles[index], numbers)


def whom_it_hits(
    span: Span, names: Sequence[str], category: NDArray[np.integer], seed: int
) -> BoolArray:
    """Return whom a span hits, bool (concentrators,).

    Args:
        span: of the timeline.
        names: name of each category's link profile.
        category: of each concentrator's link.
        seed: of the run.
    """
    return chosen(span.whom, names, category, stream_key(seed, "condition", span.number))


def _kind(event: Event) -> OutageKind:
    return event.span.connections if isinstance(event.span, FlapSpan) else "hang"


def _worse(profile: LinkProfile, event: Event, level: int) -> LinkProfile:
    assert isinstance(event.span, DegradeSpan)
    worse: LinkProfile = event.span.worse.applied(profile, level)
    return worse


def _dense(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the values from 0, so that however many events are told apart, none overflows."""
    _, dense = np.unique(code, return_inverse=True)
    return dense.astype(np.int64)
