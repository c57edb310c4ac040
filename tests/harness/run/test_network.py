"""What befalls the network is done to a lab."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import trio

from emulator.clock import ScenarioClock
from harness.run.network import change_lab
from harness.scenario import Scenario, condition_spans, outage_spans
from netem.lab import Lab
from netem.profiles import LinkProfile
from tests.support.recorded_run import SCENARIO, RecordedFolder

SPEED = 90_000.0
"""A quarter of an hour in ten milliseconds."""


class NotedLab:
    """A lab that only remembers what was to become of its links."""

    def __init__(self, clock: ScenarioClock) -> None:
        self.changes: list[tuple[int, LinkProfile, list[int] | None]] = []
        self.at_s: list[float] = []
        self._clock = clock

    async def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        self.changes.append((category, profile, None if numbers is None else list(numbers)))
        self.at_s.append(self._clock.now_s())


async def test_links_of_a_lab_lose_everything_while_they_are_cut_off(tmp_path: Path) -> None:
    timeline = [
        {"do": "partition", "at": "00:15", "for": "10 min", "region": "1 of 2"},
        {"do": "outage", "at": "00:30", "for": "10 min"},
    ]
    prepared = RecordedFolder(tmp_path, {}).prepared
    scenario = Scenario.model_validate({**SCENARIO, "timeline": timeline})
    fleet = prepared.fleet.model_copy(
        update={
            "outages": outage_spans(scenario.timeline, scenario.behaviour),
            "conditions": condition_spans(scenario.timeline, scenario.behaviour),
        }
    )
    clock = ScenarioClock(time.monotonic(), float(fleet.first_s), SPEED)
    lab = NotedLab(clock)
    with trio.fail_after(10):
        await change_lab(cast("Lab", lab), replace(prepared, fleet=fleet), clock)

    category = prepared.grid.link_category
    state: dict[int, float] = {}
    first: dict[float, set[int]] = {}
    for at_s, (link_class, profile, numbers) in zip(lab.at_s, lab.changes, strict=True):
        members = np.flatnonzero(category == link_class).tolist() if numbers is None else numbers
        state.update(dict.fromkeys(members, profile.up.loss.mean_ppm))
        if profile.up.loss.mean_ppm == 1_000_000:
            first.setdefault(at_s, set()).update(members)
    # The region first, then everybody; in the end nobody.
    assert min(first) >= fleet.first_s + 900
    early = [hit for at_s, hit in first.items() if at_s < fleet.first_s + 1800]
    assert set().union(*early) <= {0, 1, 2}
    assert set.union(*first.values()) == set(range(6)) == set(state)
    assert all(ppm < 1_000_000 for ppm in state.values())
