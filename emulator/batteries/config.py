"""Everything a battery process needs to know, as one file in the run directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from emulator.batteries.grid import BatteryGrid
from emulator.batteries.parameters import BatteryParameters
from emulator.fleet_config import LAB_TIERS, LinkTier, OutageSpan, part_of
from emulator.identity import Addresses, addresses_of
from netem.conditions import ConditionSpan
from netem.draws import stream_key
from netem.profiles import LinkOptions, LinkProfile

BATTERIES_FILE: Final = "batteries.json"
FOLDER: Final = "batteries"
"""Where in the run directory the records lie."""


class BatteryFleetConfig(BaseModel):
    """All batteries of a run; each process takes its part of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    """Of the run. Draws of batteries and of their links are apart from those of the meters."""
    first_s: int
    """POSIX seconds of step 0, when the batteries begin."""
    grid: BatteryParameters
    link: LinkTier = "model"
    """What brings the links about."""
    first_class: Annotated[int, Field(ge=0)] = 0
    """In a lab, the link class of the first of ``grid.links``, after those of concentrators."""
    links: LinkOptions = LinkOptions()
    congestion: str | None = None
    """TCP congestion control of every connection; the kernel's own choice when ``None``."""
    profiles: dict[str, LinkProfile] = {}
    listen_ports: Annotated[tuple[int, ...], Field(min_length=1)]
    """The port of each process's listener; as many as there are processes. 0: any free one."""
    outages: tuple[OutageSpan, ...] = ()
    """Batteries that are offline for a while."""
    conditions: tuple[ConditionSpan, ...] = ()
    """What else befalls their network."""

    @property
    def in_lab(self) -> bool:
        """Whether links are real ones, between two network namespaces."""
        return self.link in LAB_TIERS

    @property
    def apart(self) -> BatteryFleetConfig:
        """The same with a seed for links and what befalls them.

        What befalls battery 7 has nothing to do with what befalls concentrator 7.
        """
        return self.model_copy(update={"seed": stream_key(self.seed, "battery links")})

    def addresses(self, grid: BatteryGrid) -> Addresses:
        """Return where each battery is reached: on loopback, or in the lab.

        Others in the lab have classes of their own, so that they move none of these.
        """
        return addresses_of(grid.link_category + self.first_class, in_lab=self.in_lab)

    def numbers_of(self, process: int) -> range:
        """Return which batteries live in a process; those that share a medium live in one."""
        used = [self.profiles[link.profile] for link in self.grid.links]
        cell = math.lcm(*(profile.cell for profile in used)) if self.link == "model" else 1
        return part_of(self.grid.count, len(self.listen_ports), process, cell)


def record_path(run: Path, process: int) -> Path:
    """Return where in a run directory the record of one process lies."""
    return run / FOLDER / f"process-{process}.ndjson"
