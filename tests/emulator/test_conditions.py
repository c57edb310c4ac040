"""What befalls the network reaches the links of a shard, and only those."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from emulator.clock import ScenarioClock
from emulator.conditions import ConditionsPlayer, changing, fleet_conditions
from emulator.fleet_config import FleetConfig, OutageSpan
from netem.conditions import DegradeSpan, FlapSpan, PartitionSpan
from netem.links import Links, open_links
from netem.profiles import LinkProfile
from tests.support.fleets import clock_at, fleet_config, grid_of

STATIONS = 6
MINE = range(2, 5)
WHEN = ((900.0, 1800.0),)
DEGRADE = DegradeSpan.model_validate(
    {"number": 0, "occurrences": WHEN, "worse": {"latency": "3 s"}, "whom": {"region": "1 of 2"}}
)
PARTITION = PartitionSpan(number=1, occurrences=WHEN)
FLAP = FlapSpan(number=2, occurrences=WHEN, period_s=900, down_ppm=500_000)


class NotingLinks(Links):
    """Links that remember whose became what."""

    changed: list[tuple[list[int], float]]

    def become(self, numbers: Iterable[int], profile: LinkProfile) -> None:
        numbers = list(numbers)
        self.changed.append((numbers, profile.up.latency))
        super().become(numbers, profile)


@asynccontextmanager
async def playing(
    clock_of: Any = 1.0, link: str = "model", **changes: Any
) -> AsyncIterator[NotingLinks]:
    """Play a fleet's conditions up to a step; the links are as they stand then."""
    config = fleet_config(stations=STATIONS, link=link, steps=4, **changes)
    grid = grid_of(config)
    conditions = fleet_conditions(config, grid)
    clock: ScenarioClock = clock_at(config, clock_of)
    async with open_links(
        config.profiles, config.links, config.seed, changing=changing(conditions)
    ) as links:
        links.__class__ = NotingLinks
        assert isinstance(links, NotingLinks)
        links.changed = []
        player = ConditionsPlayer(config, grid, conditions, links, MINE, clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(player.play)
            await wait_all_tasks_blocked()
            yield links
            nursery.cancel_scope.cancel()


async def is_cut(links: Links, number: int = 3) -> bool:
    """Tell whether connections of a concentrator cannot be made at once."""

    async def opener() -> Any:
        return memory_stream_pair()[0]

    with trio.move_on_after(0.05):
        try:
            stream = await links.connect(opener, "none", number)
        except OSError:
            return True
        stream.reset()
        return False
    return True


def latencies(links: NotingLinks) -> dict[int, float]:
    return {number: latency_s for numbers, latency_s in links.changed for number in numbers}


async def test_links_of_this_shard_get_worse_and_no_others() -> None:
    async with playing(1.5, conditions=(DEGRADE,)) as links:
        # The region is the concentrators 0 to 2, the shard has 2 to 4.
        assert latencies(links) == {2: 3.0}


async def test_they_get_well_again() -> None:
    async with playing(2.5, conditions=(DEGRADE,)) as links:
        assert set(latencies(links)) == {2}
        assert latencies(links)[2] < 3.0


@pytest.mark.parametrize("link", ["none", "packet"])
async def test_links_that_are_not_modelled_are_left_alone(link: str) -> None:
    async with playing(1.5, link=link, conditions=(DEGRADE,)) as links:
        assert links.changed == []


@pytest.mark.parametrize("span", [PARTITION, FLAP])
@pytest.mark.parametrize(("step", "cut"), [(0.5, False), (1.01, True), (2.5, False)])
async def test_links_are_cut_while_it_lasts(span: Any, step: float, cut: bool) -> None:
    async with playing(step, conditions=(span,)) as links:
        assert await is_cut(links) is cut


async def test_only_those_it_hits_are_cut() -> None:
    partition = PARTITION.model_copy(update={"whom": DEGRADE.whom})
    async with playing(1.5, conditions=(partition,)) as links:
        assert await is_cut(links, 2)
        assert not await is_cut(links, 3)


async def test_in_a_lab_a_shard_breaks_connections_and_leaves_the_rest_to_the_lab() -> None:
    async with playing(1.01, link="packet", conditions=(PARTITION,)) as links:
        assert not await is_cut(links)
    async with playing(1.01, link="packet", conditions=(FLAP,)) as links:
        assert await is_cut(links)


def test_outages_are_among_what_a_lab_is_told() -> None:
    config: FleetConfig = fleet_config(
        stations=STATIONS,
        outages=(OutageSpan(number=0, starts_s=900, lasts_s=900, share_ppm=1_000_000),),
    )
    conditions = fleet_conditions(config, grid_of(config))
    assert {change.at_s for change in conditions.changes(cut_is_loss=True)} == {900, 1800}
    assert list(conditions.changes()) == []
    assert changing(conditions) is None


def test_whose_links_may_change_is_known_before() -> None:
    config = fleet_config(stations=STATIONS, conditions=(DEGRADE, PARTITION))
    may = changing(fleet_conditions(config, grid_of(config)))
    assert may is not None
    assert np.flatnonzero(may).tolist() == [0, 1, 2]
