"""The lab of a run: links that carry real packets, opened before everything else is started.

A lab stands for the whole run. The run, and all it starts but the fleet, is on its head-end side.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import trio

from emulator.lab import FleetSide, leave_no_trace
from harness.errors import links_unfit
from harness.run.preparation import Prepared
from harness.run.stations import lab_changes, lab_parts
from netem.lab import Lab, LabCounters, LabError, LabPlan
from reports.recording import (
    FaultCount,
    LabRecord,
    LabSample,
    LinkCount,
    ListenCount,
    RunTime,
    TrackingCount,
)

EVERY_S: Final = 1.0
"""Real seconds from one sample to the next, at least."""
SHARE_SPENT: Final = 0.05
"""Of the time, at most this share goes into asking: a large lab takes long to answer."""
SAMPLES_MAX: Final = 1_000
"""Beyond this every other sample is forgotten, and half as many are taken."""
WRITTEN_EVERY_S: Final = 10.0
"""Real seconds from one writing of the record to the next."""
LAST_S: Final = 10.0
"""Real seconds that the last question may take."""
Opener: TypeAlias = Callable[[LabPlan], AbstractAsyncContextManager[Lab]]


def _packet(plan: LabPlan) -> AbstractAsyncContextManager[Lab]:
    from netem.packet import open_packet_lab

    return open_packet_lab(plan)


def _netem(plan: LabPlan) -> AbstractAsyncContextManager[Lab]:
    from netem.kernel import open_kernel_lab

    return open_kernel_lab(plan)


OPENERS: Final[dict[str, Opener]] = {"packet": _packet, "netem": _netem}


def plan_of(prepared: Prepared) -> LabPlan:
    """Return what the lab of a run is to be."""
    fleet, parts = prepared.fleet, lab_parts(prepared)
    return LabPlan(
        profiles=tuple(profile for part in parts for profile in part.profiles),
        category=np.concatenate([part.stations for part in parts]),
        options=fleet.links,
        seed=fleet.seed,
        individually=any(change.numbers is not None for change in lab_changes(parts)),
    )


@asynccontextmanager
async def open_lab(prepared: Prepared) -> AsyncIterator[Lab | None]:
    """Hold the lab of a run for the length of an ``async with``; None: its links need none.

    Raises:
        EnvironmentUnfitError: this machine cannot have it; says what mends that.
        LabError: it failed while it was held.
    """
    if not prepared.fleet.in_lab:
        yield None
        return
    run, opened = prepared.folder.path, False
    try:
        async with OPENERS[prepared.fleet.link](plan_of(prepared)) as lab:
            opened = True
            FleetSide(namespace=lab.fleet_namespace).write(run)
            try:
                yield lab
            finally:
                leave_no_trace(run)
    except LabError as error:
        if opened:
            raise
        raise links_unfit(prepared.fleet.link, error.reason, error.mend) from error


class LabWatch:
    """Samples the counters of a lab into the record of the run.

    Args:
        lab: the lab, which this makes public.
        prepared: the run.
        now: the moment of a sample.
        failed: called once, with the reason, when the lab does not answer any more.
    """

    def __init__(
        self,
        lab: Lab,
        prepared: Prepared,
        now: Callable[[], RunTime],
        failed: Callable[[str], None],
    ) -> None:
        self.lab = lab
        self._run: Path = prepared.folder.path
        self._now = now
        self._failed = failed
        self._every_s = EVERY_S
        self._written_s = -math.inf
        self.record = LabRecord(
            tier=prepared.fleet.link,  # type: ignore[arg-type]
            profiles=tuple(name for part in lab_parts(prepared) for name in part.names),
            notes=tuple(lab.notes),
        )

    async def run(self) -> None:
        """Sample until cancelled, or until the lab fails."""
        while not self.record.failed:
            began_s = trio.current_time()
            await self.sample()
            spent_s = trio.current_time() - began_s
            await trio.sleep(max(self._every_s, spent_s / SHARE_SPENT))

    async def sample(self) -> None:
        """Take a sample; write the record now and then."""
        try:
            counters = await self.lab.counters()
        except LabError as error:
            self.fail(str(error))
            return
        samples = (*self.record.samples, self._sample(counters))
        if len(samples) > SAMPLES_MAX:
            samples, self._every_s = samples[::2], 2 * self._every_s
        self.record = replace(self.record, samples=samples, notes=tuple(self.lab.notes))
        if trio.current_time() >= self._written_s + WRITTEN_EVERY_S:
            self._write()

    async def finish(self) -> None:
        """Take the last sample."""
        if not self.record.failed:
            with trio.move_on_after(LAST_S) as asking:
                await self.sample()
            if asking.cancelled_caught:
                self.fail(f"its counters were not to be had within {LAST_S:g} s")
            self._write()

    def fail(self, reason: str) -> None:
        """Record that the lab is of no further use; once."""
        if not self.record.failed:
            self.record = replace(self.record, failed=reason)
            self._write()
            self._failed(f"the links of the run failed: {reason}")

    def _write(self) -> None:
        self._written_s = trio.current_time()
        self.record.write(self._run)

    def _sample(self, counters: LabCounters) -> LabSample:
        names = self.record.profiles
        return LabSample(
            at=self._now(),
            links=tuple(
                LinkCount(category=category, link=names[category], direction=way, **asdict(counted))
                for (category, way), counted in sorted(counters.links.items())
            ),
            unclassified=counters.unclassified,
            tracking=tuple(
                TrackingCount(side=side, **asdict(counted))
                for side, counted in sorted(counters.tracking.items())
            ),
            listening=tuple(
                ListenCount(side=side, **asdict(counted))
                for side, counted in sorted(counters.listening.items())
            ),
            faults=tuple(
                FaultCount(fault=name, count=count) for name, count in counters.faults.items()
            ),
        )
