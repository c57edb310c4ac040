"""What no single part of a scenario can see: that its parts fit together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic_core import InitErrorDetails

from emulator.capture import capture_profile
from emulator.fleet_config import LAB_TIERS
from emulator.grid import PROTOCOLS, generate_grid
from emulator.grid_parameters import LinkShare
from emulator.identity import (
    concentrator_name,
    concentrator_system_title,
    is_loopback,
    meter_names,
)
from emulator.keys import KeyFileError, key_ring
from emulator.patterns import PatternError, consumption_pattern, export_pattern
from harness.nearest import nearest
from harness.scenario.bal import ExternalBal
from harness.scenario.base import complaint
from harness.scenario.billing import ExternalBilling
from harness.scenario.happening import impossible_events
from harness.scenario.spoken import contradictions
from harness.scenario.target import READ_BACK_COLUMNS, External, ReadBackFiles
from harness.scenario.timeline import Kill
from netem.addresses import HEAD_END_ADDRESS, MOST_CLASSES, MOST_OF_A_CLASS
from netem.profiles import ProfileError, TierUnfitError, load_profiles

if TYPE_CHECKING:
    from harness.scenario.model import Scenario

WHOLE_PPM: Final = 1_000_000


def complaints(scenario: Scenario, folder: Path | None) -> list[InitErrorDetails]:
    """Return what does not fit together in ``scenario``, each with the key to change.

    Files are looked into below ``folder``, the scenario's own; without it they are left alone.
    """
    files = [] if folder is None else [*_patterns(scenario, folder), *_keys(scenario)]
    return [
        *files,
        *_unknown_links(scenario),
        *_beyond_a_lab(scenario),
        *contradictions(scenario),
        *impossible_events(scenario),
        *_unfit_target(scenario),
        *_nothing_to_replay(scenario),
        *_too_many_users(scenario),
        *_impossible_batteries(scenario),
        *_impossible_billing(scenario),
    ]


def _patterns(scenario: Scenario, folder: Path) -> Iterator[InitErrorDetails]:
    for index, pattern in enumerate(scenario.grid.patterns):
        for key, read in (("source", consumption_pattern), ("export", export_pattern)):
            try:
                read(pattern, folder)
            except PatternError as error:
                yield complaint(("grid", "patterns", index, key), None, str(error))


def _keys(scenario: Scenario) -> Iterator[InitErrorDetails]:
    if scenario.security.keys is None:
        return
    try:
        keys = key_ring(scenario.seed, scenario.security.keys)
        for number in range(scenario.grid.transformer_stations):
            keys.of(concentrator_name(number), concentrator_system_title(number))
        for name in _nodes(scenario):
            keys.of(name, b"")
    except KeyFileError as error:
        yield complaint(("security", "keys"), None, str(error))


def _nodes(scenario: Scenario) -> Iterator[bytes]:
    """Yield the device names of the meters that have keys of their own: those of ANSI C12."""
    if not scenario.grid.protocols.c12:
        return
    grid = generate_grid(scenario.grid, scenario.behaviour, scenario.seed)
    for relay in np.flatnonzero(grid.protocol == PROTOCOLS.index("c12")):
        members = grid.meters_of(int(relay))
        yield from meter_names(members.start, members.stop).tolist()


def _unknown_links(scenario: Scenario) -> Iterator[InitErrorDetails]:
    if scenario.link == "none":
        return
    try:
        profiles = load_profiles(scenario.link_profiles)
    except ProfileError as error:
        yield complaint(("link_profiles",), None, str(error))
        return
    for part, links in _links(scenario).items():
        for index, link in enumerate(links):
            path = (part, "links", index, "profile")
            if link.profile not in profiles:
                meant = nearest(link.profile, profiles)
                yield complaint(path, link.profile, "there is no such link profile", meant)
                continue
            try:
                profiles[link.profile].each_way(scenario.links).check_tier(scenario.link)
            except TierUnfitError as error:
                yield complaint(path, link.profile, str(error))


def _links(scenario: Scenario) -> dict[str, tuple[LinkShare, ...]]:
    """Return the links of concentrators and of batteries, by the part of the scenario."""
    batteries = scenario.batteries
    own = {} if batteries is None else {"batteries": batteries.links}
    return {"grid": scenario.grid.links, **own}


def _beyond_a_lab(scenario: Scenario) -> Iterator[InitErrorDetails]:
    """Yield links with more concentrators or batteries than a lab has addresses for."""
    if scenario.link not in LAB_TIERS:
        return
    batteries = scenario.batteries
    there = {"grid": ("concentrators", scenario.grid.transformer_stations)}
    there |= {} if batteries is None else {"batteries": ("batteries", batteries.count)}
    classes = 0
    for part, links in _links(scenario).items():
        classes += len(links)
        if classes > MOST_CLASSES:
            yield complaint((part, "links"), None, f"a lab has room for {MOST_CLASSES} of them")
        whose, total = there[part]
        for index, link in enumerate(links):
            count = total * link.share // WHOLE_PPM
            if count > MOST_OF_A_CLASS:
                message = (
                    f"a lab has room for {MOST_OF_A_CLASS:,} {whose} on one of them, and these "
                    f"are {count:,}: give more than one the same profile"
                )
                yield complaint((part, "links", index, "share"), link.share, message)


def _unfit_target(scenario: Scenario) -> Iterator[InitErrorDetails]:
    target = scenario.target
    if not isinstance(target, External):
        return
    if scenario.behaviour.mode == "push" and target.push is None:
        yield complaint(("target", "push"), None, "is missing: the fleet pushes, so say where to")
    if scenario.link in LAB_TIERS and target.push is not None and is_loopback(target.push.host):
        message = (
            f'with link = "{scenario.link}" the fleet has a network of its own, where this is the '
            "fleet itself: let your head-end listen on all addresses"
        )
        yield complaint(("target", "push", "host"), target.push.host, message, HEAD_END_ADDRESS)
    if scenario.behaviour.preloaded:
        message = "only the store of the reference head-end can be filled before a run"
        yield complaint(("behaviour", "preloaded"), scenario.behaviour.preloaded, message)
    if scenario.commands.count:
        message = "commands go through the reference head-end's API only"
        yield complaint(("commands", "count"), None, message)
    if isinstance(target.read_back, ReadBackFiles):
        known = [*READ_BACK_COLUMNS, *capture_profile(scenario.grid).names]
        for name in target.read_back.columns.keys() - set(known):
            path = ("target", "read_back", "columns", name)
            yield complaint(path, None, "there is no such column", nearest(name, known))


def _nothing_to_replay(scenario: Scenario) -> Iterator[InitErrorDetails]:
    """Yield why there would be no push whose second arrival a head-end has to refuse."""
    wanted, stations = scenario.probes.replay, scenario.grid.transformer_stations
    if not wanted:
        return
    security, protocols = scenario.security, scenario.grid.protocols
    obstacles = {
        "nobody pushes": scenario.behaviour.mode != "push",
        "only DLMS pushes can be sent again so that the answer tells": not protocols.dlms,
        "without security.confirmed nobody tells what became of a push": not security.confirmed,
        'a push in the clear has no counter to know it again by (security.push = "clear")': (
            security.push == "clear"
        ),
        f"there are {stations:,} concentrators": wanted > stations,
    }
    for why, is_so in obstacles.items():
        if is_so:
            yield complaint(("probes", "replay"), wanted, why)


def _too_many_users(scenario: Scenario) -> Iterator[InitErrorDetails]:
    users, stations = scenario.load_driver.users, scenario.grid.transformer_stations
    if users is not None and users > stations:
        message = f"a user is a slice of concentrators, and there are {stations:,} of them"
        yield complaint(("load", "users"), users, message)


def _impossible_batteries(scenario: Scenario) -> Iterator[InitErrorDetails]:
    bal, batteries = scenario.bal, scenario.batteries
    if bal is not None and batteries is None:
        yield complaint(("bal",), None, "there are no batteries: say how many in [batteries]")
    if batteries is None:
        return
    if bal is not None and bal.virtual is not None and bal.virtual > batteries.count:
        message = f"there are only {batteries.count:,} batteries to make them of"
        yield complaint(("bal", "virtual"), bal.virtual, message)
    if bal is not None and isinstance(bal.target, ExternalBal):
        yield from _not_ours_to_kill(scenario, "bal", "an external battery layer")


def _impossible_billing(scenario: Scenario) -> Iterator[InitErrorDetails]:
    billing = scenario.billing
    if billing is None:
        return
    foreign = isinstance(billing.target, ExternalBilling)
    if not foreign and isinstance(scenario.target, External):
        message = (
            "bills are made from the store of the reference head-end; bring a billing system of "
            "your own with [billing.target]"
        )
        yield complaint(("billing",), None, message)
    if foreign:
        yield from _not_ours_to_kill(scenario, "billing", "an external billing system")
    if billing.virtual_meters:
        yield from _impossible_virtual_meters(scenario)


def _not_ours_to_kill(scenario: Scenario, part: str, who: str) -> Iterator[InitErrorDetails]:
    for index, event in enumerate(scenario.timeline):
        if isinstance(event, Kill) and event.part == part:
            yield complaint(("timeline", index, "part"), part, f"{who} is not ours to kill")


def _impossible_virtual_meters(scenario: Scenario) -> Iterator[InitErrorDetails]:
    bal, path = scenario.bal, ("billing", "virtual_meters")
    if bal is None or (bal.virtual is not None and not bal.partitions):
        message = "there are no partitions to meter: say what they are in [bal]"
        yield complaint(path, True, message)
    elif isinstance(bal.target, ExternalBal) and not bal.target.has_api:
        message = "a layer that is not asked over HTTP does not say what virtual meters registered"
        yield complaint(path, True, message)
    elif bal.virtual is not None:
        partitions = bal.virtual * len(bal.partitions)
        meters = generate_grid(scenario.grid, scenario.behaviour, scenario.seed).meters
        if partitions > meters:
            message = f"{partitions:,} partitions cannot be behind {meters:,} meters"
            yield complaint(path, True, message)
