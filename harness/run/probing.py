"""Probe links of a run's lab: links of every class that nobody uses (`harness.run.stations`).

Probes travel over these, before the run and during it, so that what is measured is neither the load
of the run nor changed by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from harness.errors import causes
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.stations import PROBES_PER_CLASS, LabPart, lab_parts
from netem.lab import Lab
from netem.namespaces import Namespace
from netem.probe import ProbeConfig, ProbeLink
from netem.probe.running import ProbeError, probing
from reports.recording import RunFiles

INTERVAL_S: Final = 4.0
"""From one datagram of a link to the next: long beside any delay, so that order does not matter."""


def probe_config(lab: Lab, parts: Sequence[LabPart], head_end_namespace: str) -> ProbeConfig:
    """Return what the probe process of a run is told."""
    return ProbeConfig(
        fleet_namespace=lab.fleet_namespace,
        head_end_namespace=head_end_namespace,
        head_end_address=lab.head_end_address,
        links=tuple(
            ProbeLink(
                lab.addresses.category(station),
                lab.addresses.address(station),
                train=place % PROBES_PER_CLASS == PROBES_PER_CLASS - 1,
            )
            for part in parts
            for place, station in enumerate(part.probe_stations)
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
        config = probe_config(lab, lab_parts(prepared), own.path)
        try:
            async with probing(config, RunFiles(prepared.folder.path).probes):
                yield
        except* (ProbeError, OSError) as errors:
            journal.doubt(f"the links were not probed: {'; '.join(map(str, causes(errors)))}")
