"""Probe links of a run's lab: links of every class that no concentrator uses.

A lab gives each class of links that the grid uses a few more concentrators than there are; probes
travel over these, before the run and during it, so that what is measured is neither the load of the
run nor changed by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.grid import Grid
from harness.errors import causes
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from netem.lab import Lab
from netem.namespaces import Namespace
from netem.probe import ProbeConfig, ProbeLink
from netem.probe.running import ProbeError, probing
from reports.recording import RunFiles

LINKS_PER_CLASS: Final = 16
"""Links of each class that carry single datagrams, besides one that carries trains."""
INTERVAL_S: Final = 4.0
"""From one datagram of a link to the next: long beside any delay, so that order does not matter."""


def probe_categories(grid: Grid) -> NDArray[np.uint8]:
    """Return the link classes of all probe links, uint8, class by class."""
    return np.repeat(np.unique(grid.link_category), LINKS_PER_CLASS + 1)


def with_probe_links(grid: Grid) -> NDArray[np.uint8]:
    """Return the link class of each concentrator, and then those of the probe links."""
    return np.concatenate([grid.link_category, probe_categories(grid)])


def probe_config(lab: Lab, grid: Grid, head_end_namespace: str) -> ProbeConfig:
    """Return what the probe process of a run is told."""
    return ProbeConfig(
        fleet_namespace=lab.fleet_namespace,
        head_end_namespace=head_end_namespace,
        head_end_address=lab.head_end_address,
        links=tuple(
            ProbeLink(
                int(category),
                lab.addresses.address(grid.concentrators + place),
                train=place % (LINKS_PER_CLASS + 1) == LINKS_PER_CLASS,
            )
            for place, category in enumerate(probe_categories(grid))
        ),
        interval_s=INTERVAL_S,
    )


@asynccontextmanager
async def probed(lab: Lab | None, prepared: Prepared, journal: Journal) -> AsyncIterator[None]:
    """Probe the links of a run for the length of the block; does nothing without a lab.

    Probes that end before the run does make it doubtful: what its links were, nobody knows then.
    """
    if lab is None:
        yield
        return
    with Namespace.current() as own:
        config = probe_config(lab, prepared.grid, own.path)
        try:
            async with probing(config, RunFiles(prepared.folder.path).probes):
                yield
        except* (ProbeError, OSError) as errors:
            journal.doubt(f"the links were not probed: {'; '.join(map(str, causes(errors)))}")
