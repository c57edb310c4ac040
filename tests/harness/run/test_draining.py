from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing

from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.messages import MessageStream
from harness.run.draining import Drain
from harness.run.journal import Journal
from harness.run.load import Load, LoadFailedError
from harness.run.reference import ReferenceTarget
from reports.recording import Note, RunRecord, RunRecorder
from tests.support.recorded_run import RecordedFolder
from tests.support.targets import FakeTarget


class Draining:
    """A drain of at most ten seconds on a virtual clock."""

    def __init__(self, folder: Path, mode: str = "push") -> None:
        changes = {"limits": {"drain": "10 s"}, "behaviour": {"mode": mode, "steps": 4}}
        self.run = RecordedFolder(folder, changes)
        self.load = Load(folder / "unused.sock", lambda shard, code: None)
        self.target = FakeTarget()
        self.recorder = RunRecorder(self.run.path)
        journal = Journal(self.recorder, 0, ScenarioClock(), 0.0, lambda: None)
        self.drain = Drain(self.run.prepared, self.target, self.load, journal)

    def drained(self) -> None:
        self.load._note({"state": "drained"})

    def notes(self) -> list[str]:
        self.recorder.close()
        events = RunRecord.load(self.run.path).events
        return [event.text for event in events if isinstance(event, Note)]

    async def lasts_s(self, commands: int = 0) -> float:
        began = trio.current_time()
        await self.drain.run(commands)
        return trio.current_time() - began


Make = Callable[[str], Draining]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made = []

    def make_one(mode: str = "push") -> Draining:
        made.append(Draining(tmp_path, mode))
        return made[-1]

    yield make_one
    for draining in made:
        draining.recorder.close()


@pytest.fixture
def draining(make: Make) -> Draining:
    return make("push")


async def test_it_ends_when_the_fleet_has_delivered(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    draining.drained()
    assert await draining.lasts_s() == 0
    assert draining.notes() == []


async def test_it_waits_no_longer_than_it_may(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    assert 10 <= await draining.lasts_s() < 10.5
    assert draining.notes() == ["the drain ended after 10 s, unfinished"]


async def test_it_waits_for_commands(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    draining.drained()
    draining.target.ended = 3
    assert await draining.lasts_s(commands=3) == 0
    assert await draining.lasts_s(commands=4) >= 10


class RecoveringTarget(ReferenceTarget):
    """A head-end of ours that has all commands behind it, and reads something again."""

    busy = True

    def __init__(self) -> None: ...

    @property
    def recovering(self) -> bool:
        return self.busy

    def commands_ended(self) -> int:
        return 0


async def test_it_waits_for_what_is_read_again(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    target = RecoveringTarget()
    draining.drained()
    draining.drain._target = target

    async def recover() -> None:
        await trio.sleep(4.9)
        target.busy = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(recover)
        assert 4.9 <= await draining.lasts_s() < 5.3
    assert draining.notes() == []


@pytest.mark.parametrize(("lacks", "waits"), [(0, False), (None, False), (1, True)])
async def test_what_is_pulled_is_waited_for_as_far_as_the_head_end_can_say(
    lacks: int | None,
    waits: bool,
    make: Make,
    autojump_clock: trio.testing.MockClock,
) -> None:
    draining = make("pull")
    draining.drained()
    draining.target.lacks = lacks
    assert (await draining.lasts_s() > 1) is waits


async def test_nobody_waits_for_a_locust_that_is_gone(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draining.drain.run, 0)
        await trio.sleep(2.9)
        draining.load.gone.set()
    assert trio.current_time() - began == pytest.approx(2.9)


async def test_a_head_end_that_cannot_say_is_waited_for_until_it_has_fetched_everything(
    make: Make, autojump_clock: trio.testing.MockClock
) -> None:
    draining = make("pull")
    draining.drained()
    draining.target.lacks = None
    prepared = draining.run.prepared
    fresh = DeliveryRecord.create(
        prepared.folder.shard(0), prepared.grid, 0, prepared.grid.concentrators, 4
    )
    assert await draining.lasts_s() >= 10
    for concentrator in range(prepared.grid.concentrators):
        for interval in range(4):
            meters = np.array(prepared.grid.meters_of(concentrator))
            fresh.mark(Mark.SENT, concentrator, meters, np.full(len(meters), interval))
    assert await draining.lasts_s() == 0


async def test_cut_short_it_waits_for_what_is_under_way(
    draining: Draining, autojump_clock: trio.testing.MockClock
) -> None:
    prepared = draining.run.prepared
    fresh = DeliveryRecord.create(
        prepared.folder.shard(0), prepared.grid, 0, prepared.grid.concentrators, 4
    )
    meter, interval = np.array([0]), np.array([0])
    fresh.mark(Mark.SENT, 0, meter, interval)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draining.drain.run_short)
        await trio.sleep(4)
        fresh.mark(Mark.ACKNOWLEDGED, 0, meter, interval)
    assert 4 <= trio.current_time() - began < 5


async def test_cut_short_without_locust_it_fails(draining: Draining) -> None:
    stream, other = trio.testing.memory_stream_pair()
    draining.load._messages = MessageStream(stream)
    await other.aclose()
    with pytest.raises(LoadFailedError):
        await draining.drain.run_short()
