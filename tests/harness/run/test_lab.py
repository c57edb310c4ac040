"""The lab of a run: when it is opened, what is recorded of it, and what its failures become."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import trio

from emulator.lab import LAB_FILE, FleetSide
from harness.errors import EnvironmentUnfitError
from harness.run.lab import OPENERS, SAMPLES_MAX, LabWatch, open_lab, plan_of
from harness.run.preparation import Prepared
from harness.run.stations import PROBES_PER_CLASS
from netem.addresses import HEAD_END_ADDRESS, AddressPlan
from netem.lab import (
    ConnectionTracking,
    DirectionCounters,
    Lab,
    LabCounters,
    LabError,
    LabPlan,
    ListenDrops,
)
from netem.profiles import LinkProfile
from reports.recording import FaultCount, LabRecord, RunTime
from tests.support.recorded_run import SCENARIO, RecordedFolder

LINKS: Final = [{"profile": f"seed-{number}", "share": "50 %"} for number in (1, 2)]


class CountingLab:
    """Counts how often it was asked, and calls that packets; fails at the ``fails_at``-th time."""

    head_end_address = HEAD_END_ADDRESS
    fleet_namespace = "/proc/1/fd/3"

    def __init__(self, plan: LabPlan, fails_at: int = -1) -> None:
        self.plan = plan
        self.addresses = AddressPlan(plan.category)
        self.notes: Sequence[str] = ()
        self._asked = 0
        self._fails_at = fails_at

    async def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        raise LabError("nothing can be changed", "leave it")

    async def counters(self) -> LabCounters:
        self._asked += 1
        if self._asked == self._fails_at:
            raise LabError("it is gone", "start another")
        self.notes = (f"asked {self._asked} times",)
        return LabCounters(
            links={(0, "up"): DirectionCounters(self._asked, 100 * self._asked, 1, 0, None, 2)},
            unclassified=0,
            tracking={"fleet": ConnectionTracking(1, 100, 0, 0, 0)},
            listening={"fleet": ListenDrops(0, 0, 0)},
            faults={"missed": self._asked - 1},
        )


def prepared(folder: Path, link: str = "packet", **changes: Any) -> Prepared:
    grid = {**SCENARIO["grid"], "links": LINKS}
    return RecordedFolder(folder, {"link": link, "grid": grid, **changes}).prepared


def watch_of(run: Prepared, lab: Lab, failures: list[str]) -> LabWatch:
    def now() -> RunTime:
        return RunTime(scenario_s=0.0, wall_s=trio.current_time())

    return LabWatch(lab, run, now, failures.append)


@pytest.mark.parametrize("link", ["model", "none"])
async def test_only_links_of_packets_need_a_lab(link: str, tmp_path: Path) -> None:
    run = prepared(tmp_path, link)
    async with open_lab(run) as lab:
        assert lab is None
        assert not (run.folder.path / LAB_FILE).exists()


async def test_the_fleet_learns_where_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def opener(plan: LabPlan) -> AsyncIterator[Lab]:
        yield CountingLab(plan)

    monkeypatch.setitem(OPENERS, "packet", opener)
    run = prepared(tmp_path)
    async with open_lab(run) as lab:
        assert lab is not None
        assert FleetSide.load(run.folder.path).namespace == lab.fleet_namespace
    assert not (run.folder.path / LAB_FILE).exists()


def test_a_lab_has_the_links_of_the_grid(tmp_path: Path) -> None:
    run = prepared(tmp_path, links={"latency": "round-trip", "order": "netem"})
    plan = plan_of(run)
    assert [profile.name for profile in plan.profiles] == ["seed-1", "seed-2"]
    assert plan.profiles[0].up.latency == 0.3, "600 ms there and back"
    assert np.array_equal(plan.category[: run.grid.concentrators], run.grid.link_category)
    assert plan.options.order == "netem"
    assert plan.seed == run.scenario.seed
    assert not plan.individually


def test_a_lab_of_which_a_share_gets_worse_keeps_its_links_apart(tmp_path: Path) -> None:
    outage = {"do": "outage", "at": "00:10", "for": "5 min", "share": "50 %"}
    assert plan_of(prepared(tmp_path, timeline=[outage])).individually


def test_a_lab_has_the_links_of_batteries_behind_those_of_the_grid(tmp_path: Path) -> None:
    there: dict[str, Any] = {
        "batteries": {"count": 5, "links": [{"profile": "seed-2", "share": "100 %"}]},
        "bal": {"virtual": 1},
    }
    run = prepared(tmp_path, **there)
    plan = plan_of(run)
    assert [profile.name for profile in plan.profiles] == ["seed-1", "seed-2", "seed-2"]
    assert plan.category.tolist().count(2) == 5 + PROBES_PER_CLASS
    assert not plan.individually
    names = watch_of(run, CountingLab(plan), []).record.profiles
    assert names == ("seed-1", "seed-2", "seed-2 of batteries")
    one_of_five = {
        "do": "outage",
        "of": "batteries",
        "at": "00:10",
        "for": "5 min",
        "share": "20 %",
    }
    assert plan_of(prepared(tmp_path / "cut", **there, timeline=[one_of_five])).individually


async def test_a_lab_that_cannot_be_had_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def opener(plan: LabPlan) -> AsyncIterator[Lab]:
        raise LabError("no netem", "load it")
        yield

    monkeypatch.setitem(OPENERS, "netem", opener)
    wanted = 'link = "netem" does not work here: no netem; load it'
    with pytest.raises(EnvironmentUnfitError, match=wanted):
        async with open_lab(prepared(tmp_path, "netem")):
            pytest.fail("it was not to be had")


async def test_what_a_lab_counts_is_recorded(tmp_path: Path) -> None:
    run, failures = prepared(tmp_path), list[str]()
    watch = watch_of(run, CountingLab(plan_of(run)), failures)
    await watch.sample()
    await watch.sample()
    await watch.finish()
    record = LabRecord.load(run.folder.path)
    assert record == watch.record
    assert record.tier == "packet"
    assert record.profiles == ("seed-1", "seed-2")
    assert record.notes == ("asked 3 times",)
    assert [sample.links[0].packets for sample in record.samples] == [1, 2, 3]
    assert record.samples[-1].links[0].link == "seed-1"
    assert record.samples[-1].tracking[0].max == 100
    assert record.samples[-1].faults == (FaultCount(fault="missed", count=2),)
    assert failures == []


async def test_a_long_run_keeps_fewer_samples_evenly_spread(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    run = prepared(tmp_path)
    watch = watch_of(run, CountingLab(plan_of(run)), [])
    with trio.move_on_after(3 * SAMPLES_MAX):
        await watch.run()
    kept_s = [sample.at.wall_s for sample in watch.record.samples]
    assert SAMPLES_MAX / 2 <= len(kept_s) <= SAMPLES_MAX
    assert {round(later - earlier) for earlier, later in pairwise(kept_s)} == {4}


async def test_a_lab_that_fails_is_told_once_and_recorded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    run, failures = prepared(tmp_path), list[str]()
    watch = watch_of(run, CountingLab(plan_of(run), fails_at=3), failures)
    await watch.run()
    watch.fail("and again")
    await watch.finish()
    assert failures == ["the links of the run failed: it is gone; start another"]
    record = LabRecord.load(run.folder.path)
    assert record is not None
    assert record.failed == "it is gone; start another"
    assert len(record.samples) == 2
