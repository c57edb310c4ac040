"""Who is in the lab of a run: concentrators and batteries, each with probe links of their own.

Each part has link classes of its own, also where two parts name the same profile, and its stations
one after the other: those who are in it, and then its probe links, which nobody uses. The parts
follow one another. So what is added behind moves nobody: neither a class nor an address.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.batteries.grid import generate_batteries
from emulator.conditions import fleet_conditions
from emulator.fleet_config import FleetConfig
from emulator.grid import Grid
from emulator.linked import LinkedFleet, LinkedGrid
from harness.run.battery_files import battery_fleet
from harness.scenario.model import Scenario
from netem.conditions import LinkChange
from netem.profiles import LinkProfile

SINGLE_LINKS: Final = 16
"""Probe links of each class that carry single datagrams, besides one that carries trains."""
PROBES_PER_CLASS: Final = SINGLE_LINKS + 1
OF_BATTERIES: Final = " of batteries"
"""Follows the name of a profile where it is the batteries' link class."""


class InLab(Protocol):
    """A run, before it or recorded."""

    @property
    def scenario(self) -> Scenario:
        """What it is a run of."""

    @property
    def fleet(self) -> FleetConfig:
        """Its concentrators."""

    @property
    def grid(self) -> Grid:
        """And where they are."""


@dataclass(frozen=True, slots=True, eq=False)
class LabPart:
    """Those in a lab who are numbered by themselves, from 0.

    Attributes:
        fleet: what is said of their links.
        grid: which link each has.
        first_class: link class, in the lab, of the first of their classes.
        first_station: number, in the lab, of the first of them.
        suffix: follows the names of their profiles.
    """

    fleet: LinkedFleet
    grid: LinkedGrid
    first_class: int = 0
    first_station: int = 0
    suffix: str = ""

    @property
    def profiles(self) -> tuple[LinkProfile, ...]:
        """The profile of each of their classes, as `LinkProfile.each_way` makes it."""
        known, options = self.fleet.profiles, self.fleet.links
        return tuple(known[link.profile].each_way(options) for link in self.grid.parameters.links)

    @property
    def names(self) -> tuple[str, ...]:
        """What each of their classes is called."""
        return tuple(link.profile + self.suffix for link in self.grid.parameters.links)

    @property
    def stations(self) -> NDArray[np.uint8]:
        """The link class, in the lab, of each of them and then of their probe links, uint8."""
        own = self.grid.link_category
        probes = np.repeat(np.unique(own), PROBES_PER_CLASS)
        return np.concatenate([own, probes]) + np.uint8(self.first_class)

    @property
    def probe_stations(self) -> range:
        """The numbers, in the lab, of their probe links, class by class; trains use the last."""
        first, stations = self.first_station, self.stations
        return range(first + len(self.grid.link_category), first + len(stations))

    def changes(self) -> Iterator[LinkChange]:
        """Yield what becomes of their links, by class and number in the lab, in order of time."""
        for change in fleet_conditions(self.fleet, self.grid).changes(cut_is_loss=True):
            numbers = None if change.numbers is None else change.numbers + self.first_station
            yield replace(change, category=change.category + self.first_class, numbers=numbers)


def lab_parts(run: InLab) -> tuple[LabPart, ...]:
    """Return who is in the lab of a run: its concentrators, and its batteries if it starts some."""
    concentrators = LabPart(run.fleet, run.grid)
    scenario = run.scenario
    if scenario.batteries is None or scenario.bal is None:
        return (concentrators,)
    # Where they listen does not matter to their links.
    batteries = battery_fleet(scenario, run.fleet.first_s, (0,))
    return (
        concentrators,
        LabPart(
            batteries.apart,
            generate_batteries(scenario.batteries, scenario.seed),
            first_class=batteries.first_class,
            first_station=len(concentrators.stations),
            suffix=OF_BATTERIES,
        ),
    )


def lab_changes(parts: Sequence[LabPart]) -> Iterator[LinkChange]:
    """Yield what becomes of the links of a lab, in order of time."""
    return heapq.merge(*(part.changes() for part in parts), key=lambda change: change.at_s)
