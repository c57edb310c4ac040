"""Everything a fleet shard needs to know, as one file in the run directory.

The harness writes it (`FleetConfig.model_dump_json`), every shard reads it. It holds no secret:
keys follow from the seed (test keys) or are named by file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator.parameters import BehaviourParameters, GridParameters
from netem.profiles import LinkOptions, LinkProfile

FLEET_FILE: Final = "fleet.json"


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


class Endpoint(_Part):
    """A TCP address."""

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]


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
    link: Literal["model", "none"] = "model"
    links: LinkOptions = LinkOptions()
    profiles: dict[str, LinkProfile] = {}
    authentication: Literal["none", "lls", "gmac"] = "gmac"
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
    timers: PushTimers = PushTimers()
    key_file: Path | None = None
    pattern_folder: Path = Path()
    """What pattern files are relative to: the scenario's folder."""

    @property
    def shards(self) -> int:
        """Number of fleet shards."""
        return len(self.listen_ports)


def part_of(total: int, parts: int, number: int) -> range:
    """Return the ``number``-th of ``parts`` nearly equal, contiguous parts of ``range(total)``."""
    return range(total * number // parts, total * (number + 1) // parts)


def part_holding(total: int, parts: int, item: int) -> int:
    """Return which of `part_of`'s parts holds ``item``."""
    return ((item + 1) * parts - 1) // total
