"""Events of a timeline that cannot happen as they are written, each with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pydantic_core import InitErrorDetails

from emulator.event_kinds import TRACES, Ending
from harness.nearest import nearest
from harness.scenario.base import complaint
from harness.scenario.target import External
from harness.scenario.timeline import (
    Degrade,
    Flap,
    Lose,
    MeterEvent,
    NetworkEvent,
    occurrences,
)
from netem.profiles import LinkProfile, ProfileError, TierUnfitError, load_profiles

if TYPE_CHECKING:
    from harness.scenario.model import Scenario

SHORTEST_CYCLE_S: Final = 0.1
"""Wall time of a cycle of a link that flaps; clocks and sockets do nothing sensible below."""
MIDNIGHT: Final = "2026-01-12T00:00:00+01:00"


def impossible_events(scenario: Scenario) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with the timeline of ``scenario``, with the key to change."""
    for index, event in enumerate(scenario.timeline):
        place = ("timeline", index)
        if event.at >= scenario.span_s:
            end = f"the last step is over after {scenario.span_s:g} s"
            yield complaint((*place, "at"), event.at, f"happens too late: {end}")
        if isinstance(event, NetworkEvent):
            yield from _wrong_whom(scenario, event, place)
            yield from _wrong_times(scenario, event, place)
            if isinstance(event, Flap):
                yield from _wrong_flap(scenario, event, place)
            elif isinstance(event, Degrade):
                yield from _wrong_degradation(scenario, event, place)
        elif isinstance(event, MeterEvent):
            yield from _impossible_meter_event(scenario, event, place)
        elif isinstance(event, Lose):
            yield from _impossible_loss(scenario, event, place)
        elif isinstance(scenario.target, External) and event.part == "headend":
            message = "an external head-end is not ours to kill or freeze"
            yield complaint((*place, "do"), event.do, message)
        elif event.part in ("bal", "billing") and getattr(scenario, event.part) is None:
            message = f"there is nothing of that kind to kill: say what it is in [{event.part}]"
            yield complaint((*place, "part"), event.part, message)


def _wrong_whom(
    scenario: Scenario, event: NetworkEvent, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    if event.of == "batteries" and scenario.batteries is None:
        message = "there are no batteries: say how many in [batteries]"
        yield complaint((*place, "of"), event.of, message)
        return
    names = set(_link_names(scenario, event))
    for position, link in enumerate(event.links or ()):
        if link not in names:
            path = (*place, "links", position)
            message = f"none of the {event.of} has this link"
            if event.of == "concentrators":
                message = "no concentrator of the grid has this link"
            yield complaint(path, link, message, nearest(link, names))
    stations = scenario.grid.transformer_stations
    if event.of == "batteries" and scenario.batteries is not None:
        stations = scenario.batteries.count
    runs = {"region": event.region.of if event.region else 1, "cells": event.cells or 1}
    for key, count in runs.items():
        if count > stations:
            message = f"the grid has only {stations:,} {event.of}: cut it into that many at most"
            yield complaint((*place, key), count, message)


def _link_names(scenario: Scenario, event: NetworkEvent) -> tuple[str, ...]:
    """Return the profiles of all links of those that it may befall."""
    if event.of == "concentrators":
        return tuple(link.profile for link in scenario.grid.links)
    batteries = scenario.batteries
    return () if batteries is None else tuple(link.profile for link in batteries.links)


def _wrong_times(
    scenario: Scenario, event: NetworkEvent, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    if event.hours is None:
        if event.lasts is None:
            message = "is missing: say how long it lasts, or at which hours of the day it happens"
            yield complaint((*place, "for"), None, message)
    elif scenario.behaviour.first == "auto":
        message = (
            "needs a date of the first step, or the same scenario would have it at other steps "
            f'each time it is run: set behaviour.first, such as "{MIDNIGHT}"'
        )
        yield complaint((*place, "hours"), None, message)
    elif event.at < scenario.span_s and not _when(scenario, event):
        message = "no step of the run lies in these hours (local time, behaviour.utc_offset)"
        yield complaint((*place, "hours"), None, message)


def _when(scenario: Scenario, event: NetworkEvent) -> list[tuple[float, float]]:
    """Return when an event happens, as far as that can be told."""
    if event.hours is None and event.lasts is None:
        return []
    if event.hours is not None and scenario.behaviour.first == "auto":
        return []
    found = occurrences(event, scenario.behaviour)
    return [(begins_s, ends_s) for begins_s, ends_s in found if begins_s < scenario.span_s]


def _shortest_s(scenario: Scenario, event: NetworkEvent) -> float:
    times = _when(scenario, event)
    return min((ends_s - begins_s for begins_s, ends_s in times), default=float("inf"))


def _wrong_flap(
    scenario: Scenario, event: Flap, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    shortest_s = _shortest_s(scenario, event)
    if event.period > shortest_s:
        message = f"not one cycle fits into the {shortest_s:g} s that it lasts"
        yield complaint((*place, "period"), event.period, message)
    wall_s = event.period / scenario.speed
    if wall_s < SHORTEST_CYCLE_S:
        message = (
            f"is {wall_s * 1000:.3g} ms of wall time at this speed, too short to be played: "
            f"at least {SHORTEST_CYCLE_S * scenario.speed:g} s, or a lower speed"
        )
        yield complaint((*place, "period"), event.period, message)


def _wrong_degradation(
    scenario: Scenario, event: Degrade, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    if event.worse.does_nothing:
        message = "degrades nothing: give latency, jitter, loss or rate"
        yield complaint((*place, "do"), event.do, message)
    elif scenario.link == "none":
        message = 'there are no links to make worse: link is "none"'
        yield complaint((*place, "do"), event.do, message)
    elif _is_without_effect(scenario, event):
        message = "changes nothing on these links: they have nothing to multiply, so give a value"
        yield complaint((*place, "do"), event.do, message)
    unfit = _beyond_the_tier(scenario, event)
    if unfit:
        yield complaint((*place, "do"), event.do, unfit)
    shortest_s = _shortest_s(scenario, event)
    if 2 * event.ramp > shortest_s:
        message = (
            f"the way there and back takes {2 * event.ramp:g} s, and it lasts only {shortest_s:g} s"
        )
        yield complaint((*place, "ramp"), event.ramp, message)


def _is_without_effect(scenario: Scenario, event: Degrade) -> bool:
    hit = _profiles_hit(scenario, event)
    return bool(hit) and all(event.worse.applied(profile) == profile for profile in hit)


def _beyond_the_tier(scenario: Scenario, event: Degrade) -> str:
    """Return what links of the tier cannot become; empty where they can, alone as it is."""
    for profile in _profiles_hit(scenario, event):
        try:
            profile.check_tier(scenario.link)
        except TierUnfitError:
            continue  # it is refused where it is named
        try:
            event.worse.applied(profile).check_tier(scenario.link)
        except TierUnfitError as error:
            return f"makes of links what they cannot be: {error}"
    return ""


def _profiles_hit(scenario: Scenario, event: Degrade) -> list[LinkProfile]:
    """Return the profiles of the links that may get worse, as far as they are known."""
    try:
        profiles = load_profiles(scenario.link_profiles)
    except ProfileError:
        return []
    names = event.links or _link_names(scenario, event)
    return [profiles[name].each_way(scenario.links) for name in names if name in profiles]


def _impossible_loss(
    scenario: Scenario, event: Lose, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    if isinstance(scenario.target, External):
        message = "the storage of an external head-end is not ours to lose"
        yield complaint((*place, "do"), event.do, message)
    if event.before > event.at:
        message = f"is after the loss, at {event.at:g} s: what is not captured yet cannot be lost"
        yield complaint((*place, "before"), event.before, message)
    elif event.before <= 0 and not scenario.behaviour.preloaded:
        message = "there is nothing to lose: give the store a history, behaviour.preloaded"
        yield complaint((*place, "before"), event.before, message)
    told_s = event.at + event.recover_after * scenario.speed
    if event.recover and event.at < scenario.span_s <= told_s:
        message = f"the last step is over before it is told, after {scenario.span_s:g} s"
        yield complaint((*place, "recover_after"), event.recover_after, message)


def _impossible_meter_event(
    scenario: Scenario, event: MeterEvent, place: tuple[str, int]
) -> Iterator[InitErrorDetails]:
    if not scenario.grid.protocols.c12:
        message = "only meters that speak ANSI C12 raise events, and there are none"
        yield complaint((*place, "event"), event.event, message)
    last_s = scenario.span_s - scenario.behaviour.step
    if last_s < event.at < scenario.span_s:
        message = f"no capture follows it: the last is at {last_s:g} s"
        yield complaint((*place, "at"), event.at, message)
    yield from _wrong_length(event, place)


def _wrong_length(event: MeterEvent, place: tuple[str, int]) -> Iterator[InitErrorDetails]:
    for key, seconds in (("at", event.at), ("for", event.lasts or 0)):
        if seconds % 1:
            yield complaint((*place, key), seconds, "meters log whole seconds")
    match TRACES[event.event].ending:
        case Ending.NEEDED if event.lasts is None:
            yield complaint((*place, "for"), None, "is missing: say how long it lasts")
        case Ending.NEVER if event.lasts is not None:
            message = f'"{event.event}" is over as soon as it happened'
            yield complaint((*place, "for"), event.lasts, message)
