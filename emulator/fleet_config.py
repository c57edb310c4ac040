"""Everything a fleet shard needs to know, as one file in the run directory.

The harness writes it (`FleetConfig.model_dump_json`), every shard reads it. It holds no secret:
keys follow from the seed (test keys) or are named by file.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from emulator.behaviour_parameters import BehaviourParameters
from emulator.event_kinds import MeterEventKind
from emulator.grid_parameters import GridParameters
from netem.conditions import ConditionSpan
from netem.profiles import LinkOptions, LinkProfile
from netem.whom import RegionText, Whom

FLEET_FILE: Final = "fleet.json"
LinkTier: TypeAlias = Literal["model", "packet", "netem", "none"]
LAB_TIERS: Final = ("packet", "netem")
"""Tiers whose fleet lives in a network namespace of its own."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutageSpan(_Part):
    """Concentrators cut off for a while."""

    number: int
    """Its place in the scenario's timeline; keys the draw of who is hit."""
    starts_s: float
    """Scenario seconds since the first step."""
    lasts_s: float
    """Scenario seconds."""
    share_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    """Share of the concentrators (of these links) that is hit, parts per million."""
    links: tuple[str, ...] | None = None
    """Link profiles that are hit; all of them when ``None``."""
    region: RegionText | None = None
    """The part of the grid that is hit, a `netem.whom.Region`; all of it when ``None``."""
    cells: Annotated[int, Field(ge=1)] | None = None
    """Draw whole runs of concentrators, of so many in the grid, instead of single ones."""

    @property
    def whom(self) -> Whom:
        """Whom it hits."""
        return Whom(
            links=self.links, region=self.region, cells=self.cells, share_ppm=self.share_ppm
        )


class MeterEventSpan(_Part):
    """One event of the scenario that befalls meters; whole seconds, as meters count them."""

    number: int
    """Its place in the scenario's timeline; keys the draw of who is hit."""
    kind: MeterEventKind
    starts_s: Annotated[int, Field(ge=0)]
    """Scenario seconds since the first step."""
    lasts_s: Annotated[int, Field(ge=1)] | None = None
    """Scenario seconds; ``None``: to the end of the run, or no time at all where it is over as
    soon as it happened."""
    share_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    """Share of the meters that speak ANSI C12, parts per million."""


class C12Options(_Part):
    """What only the ANSI part of a fleet, and its head-end, need to know."""

    authentication: Literal["none", "password"] = "password"
    """How a client of a meter proves who it is."""
    sessionless: bool = True
    """Whether tables are read without a session: no logon, no logoff."""
    security_answer: bool = True
    """Whether a sessionless Security request gets a response of its own."""
    replay: Literal["strict", "window", "off"] = "strict"
    """What becomes of a message whose initialisation vector is not newer than the last."""
    unregistered: Literal["refuse", "accept"] = "refuse"
    """What becomes of a message from a node that has not registered."""
    register_nodes: bool = True
    """Whether relays and meters register with the head-end before they speak."""
    registration_period_s: Annotated[int, Field(ge=1)] = 3600
    """Real seconds within which a node must register again."""
    registrations_per_s: Annotated[int, Field(ge=1)] | None = None
    """Registrations that the head-end takes in a real second; no bound when ``None``."""


class Capture(_Part):
    """Which octets are kept as they crossed the link."""

    concentrators: Annotated[int, Field(ge=0)] = 0
    """How many, counted from the first; 0: nothing is captured."""
    octets_max: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    """Bound on the file of one fleet shard."""


class Endpoint(_Part):
    """A TCP address."""

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]
    also: dict[str, int] = {}
    """Other ports, by protocol: where several are spoken, each has a listener of its own."""

    def port_for(self, protocol: str) -> int:
        """Return the port to dial in that protocol."""
        return self.also.get(protocol, self.port)


class PushTimers(_Part):
    """How long a concentrator waits for its head-end, in real seconds."""

    confirmation_s: float = 30.0
    """For a confirmation, before it breaks the connection and pushes again."""
    back_off_min_s: float = 0.5
    """Before the first new attempt; doubled for every further one, with jitter."""
    back_off_max_s: float = 15.0


class FleetConfig(_Part):
    """A whole fleet; a shard takes its part of the concentrators."""

    seed: int
    first_s: int
    """POSIX seconds of step 0."""
    grid: GridParameters
    behaviour: BehaviourParameters
    protocol: str = "dlms"
    """The plug-in all concentrators use; ``mix``: that which the grid gives each of them."""
    link: LinkTier = "model"
    """What brings the links about; ``packet`` and ``netem``: a lab, see `emulator.lab`."""
    links: LinkOptions = LinkOptions()
    congestion: str | None = None
    """TCP congestion control of every connection; the kernel's own choice when ``None``."""
    profiles: dict[str, LinkProfile] = {}
    authentication: Literal["none", "lls", "gmac"] = "gmac"
    """Of DLMS clients; ``c12.authentication`` is that of ANSI ones."""
    protection: Literal["ciphered", "authenticated", "clear"] = "ciphered"
    confirmed: bool = True
    rows_per_push: Annotated[int, Field(ge=1, le=1_000)] = 256
    """Bound on the readings of one push: it must fit one PDU."""
    head_ends: tuple[Endpoint, ...] = ()
    """Where concentrators push to: one listener per head-end shard."""
    listen_ports: tuple[int, ...]
    """The port of each fleet shard's listener; as many as there are shards."""
    slices: Annotated[int, Field(ge=1)] = 1
    """Slices of each shard: one Locust user each."""
    outages: tuple[OutageSpan, ...] = ()
    conditions: tuple[ConditionSpan, ...] = ()
    """What else befalls the network."""
    events: tuple[MeterEventSpan, ...] = ()
    c12: C12Options = C12Options()
    capture: Capture = Capture()
    timers: PushTimers = PushTimers()
    key_file: Path | None = None
    pattern_folder: Path = Path()
    """What pattern files are relative to: the scenario's folder."""

    @property
    def in_lab(self) -> bool:
        """Whether links are real ones, between two network namespaces."""
        return self.link in LAB_TIERS

    @property
    def shards(self) -> int:
        """Number of fleet shards."""
        return len(self.listen_ports)

    @property
    def cell(self) -> int:
        """How many consecutive concentrators must be in one process: they may share a medium."""
        if self.link != "model":
            return 1
        return math.lcm(*(profile.cell for profile in self.profiles.values()))

    def numbers_of(self, shard: int, concentrators: int) -> range:
        """Return which of the ``concentrators`` of the grid live in a fleet shard."""
        return part_of(concentrators, self.shards, shard, self.cell)

    def shard_of(self, number: int, concentrators: int) -> int:
        """Return the fleet shard that a concentrator lives in."""
        return part_holding(concentrators, self.shards, number, self.cell)


def part_of(total: int, parts: int, number: int, whole: int = 1) -> range:
    """Return the ``number``-th of ``parts`` nearly equal, contiguous parts of ``range(total)``.

    Every ``whole`` items in a row stay together; with more parts than such runs, some are empty.
    """
    runs = -(-total // whole)
    first, stop = runs * number // parts, runs * (number + 1) // parts
    return range(min(total, first * whole), min(total, stop * whole))


def part_holding(total: int, parts: int, item: int, whole: int = 1) -> int:
    """Return which of `part_of`'s parts holds ``item``."""
    runs = -(-total // whole)
    return ((item // whole + 1) * parts - 1) // runs
