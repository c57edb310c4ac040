from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from emulator.clock import ScenarioClock
from harness.run.journal import Journal
from harness.run.load import Load
from harness.run.reference import ReferenceTarget
from harness.run.timeline import Timeline
from harness.scenario import Scenario
from reports.recording import Event, FaultBegan, FaultEnded, Note, RunRecord, RunRecorder
from tests.support.recorded_run import SCENARIO, RecordedFolder

SPEED = 9000.0
"""A quarter of an hour in a tenth of a second."""


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Pid of a process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process.pid
    process.kill()
    process.wait()


class FakeHeadEnd(ReferenceTarget):
    """A head-end of one shard that only notes how it was killed."""

    def __init__(self, pid: int) -> None:
        self.killed: list[tuple[int, float]] = []
        self.asked: list[tuple[str, int, int]] = []
        self.back = trio.Event()
        self._pid = pid

    def pids(self) -> dict[str, int]:
        return {"headend-0": self._pid}

    def has(self, number: int) -> bool:
        return number == 0

    async def kill(self, number: int, restart_after_s: float) -> None:
        self.killed.append((number, restart_after_s))

    async def lose(self, before_s: int) -> int:
        self.asked.append(("lose", 0, before_s))
        return 1234

    async def recover(self, from_s: int, to_s: int) -> None:
        self.asked.append(("recover", from_s, to_s))

    async def recovered(self) -> None:
        await self.back.wait()


class FakeSystem:
    """A system that only notes how it was killed."""

    def __init__(self) -> None:
        self.killed: list[float] = []

    async def kill(self, restart_after_s: float) -> None:
        self.killed.append(restart_after_s)


class Played:
    """A timeline played over a fake head-end, and what the record says of it."""

    def __init__(
        self,
        folder: Path,
        events: list[dict[str, Any]],
        pid: int,
        protocol: str = "dlms",
        *,
        first: str = "auto",
        speed: float = SPEED,
        more: dict[str, Any] | None = None,
    ) -> None:
        recorded = RecordedFolder(folder, {"speed": speed})
        told = {
            **SCENARIO,
            "speed": speed,
            "timeline": events,
            "protocol": protocol,
            **(more or {}),
        }
        told["behaviour"] = {**SCENARIO["behaviour"], "first": first}
        self._speed = speed
        self.head_end = FakeHeadEnd(pid)
        self.systems: dict[str, FakeSystem] = {}
        self._path = recorded.path
        self._prepared = replace(recorded.prepared, scenario=Scenario.model_validate(told))
        self._load = Load(folder / "unused.sock", lambda shard, code: None)
        self._load.pids["0"] = pid

    async def play(self) -> list[Event]:
        clock = ScenarioClock()
        first_s = self._prepared.fleet.first_s
        clock.start(time.monotonic(), float(first_s), self._speed)
        with RunRecorder(self._path) as recorder:
            journal = Journal(recorder, first_s, clock, clock.monotonic_s, lambda: None)
            with trio.fail_after(10):
                timeline = Timeline(
                    self._prepared, self.head_end, self._load, clock, journal, self.systems
                )
                await timeline.play()
        return list(RunRecord.load(self._path).events)


def texts(events: list[Event]) -> list[tuple[type, str]]:
    return [(type(e), e.fault) for e in events if isinstance(e, FaultBegan | FaultEnded)]


async def test_events_happen_when_they_are_due(tmp_path: Path, sleeper: int) -> None:
    outage = {"do": "outage", "at": "00:20", "for": "15 min", "share": "50 %"}
    kill = {"do": "kill", "at": "00:15", "restart_after": "10 ms"}
    played = Played(tmp_path, [outage, kill], sleeper)
    events = await played.play()
    assert texts(events) == [
        (FaultBegan, "kill 1"),
        (FaultEnded, "kill 1"),
        (FaultBegan, "outage 0"),
        (FaultEnded, "outage 0"),
    ]
    began, _, cut, ended = (event.at.scenario_s for event in events)
    assert 900 <= began < 900 + SPEED
    assert 1200 <= cut <= 2100 <= ended
    assert played.head_end.killed == [(0, 0.01)]


async def test_every_time_that_something_befalls_the_network_is_recorded(
    tmp_path: Path, sleeper: int
) -> None:
    # The first step is at noon: the hours come at once and after a quarter of an hour.
    slow = {
        "do": "flap",
        "hours": ["12:00-12:10", "12:15-12:20"],
        "period": "300 s",
        "links": ["seed-1"],
    }
    cut = {"do": "partition", "at": "00:30", "for": "10 min", "region": "2 of 3"}
    played = Played(tmp_path, [slow, cut], sleeper, first="2026-01-12T12:00:00+01:00", speed=3000)
    events = await played.play()
    assert texts(events) == [
        (FaultBegan, "flap 0"),
        (FaultEnded, "flap 0"),
        (FaultBegan, "flap 0"),
        (FaultEnded, "flap 0"),
        (FaultBegan, "partition 1"),
        (FaultEnded, "partition 1"),
    ]
    assert {
        event.fault: event.description for event in events if isinstance(event, FaultBegan)
    } == {
        "flap 0": "100 % of seed-1 down 20 % of every 5 min (connections break)",
        "partition 1": (
            "100 % of all links in region 2 of 3 without a way to the head-end (octets hang)"
        ),
    }


BATTERIES = {"batteries": {"count": 6}, "bal": {"virtual": 2}}


async def test_the_battery_layer_dies_and_not_the_head_end(tmp_path: Path, sleeper: int) -> None:
    kill = {"do": "kill", "part": "bal", "at": "00:15", "restart_after": "10 ms"}
    played = Played(tmp_path, [kill], sleeper, more=BATTERIES)
    played.systems = {"bal": FakeSystem(), "billing": FakeSystem()}
    events = await played.play()
    assert texts(events) == [(FaultBegan, "kill 0"), (FaultEnded, "kill 0")]
    (began,) = (event for event in events if isinstance(event, FaultBegan))
    assert began.description == "battery layer killed"
    assert [system.killed for system in played.systems.values()] == [[0.01], []]
    assert played.head_end.killed == []


async def test_a_system_that_is_not_there_is_noted(tmp_path: Path, sleeper: int) -> None:
    kill = {"do": "kill", "part": "bal", "at": "00:01"}
    events = await Played(tmp_path, [kill], sleeper, more=BATTERIES).play()
    assert [event.text for event in events if isinstance(event, Note)] == [
        "kill 0: there is no bal"
    ]


async def test_an_outage_of_batteries_is_recorded(tmp_path: Path, sleeper: int) -> None:
    cut = {"do": "outage", "of": "batteries", "at": "00:10", "for": "5 min", "share": "50 %"}
    events = await Played(tmp_path, [cut], sleeper, more=BATTERIES).play()
    assert texts(events) == [(FaultBegan, "outage 0"), (FaultEnded, "outage 0")]
    (began,) = (event for event in events if isinstance(event, FaultBegan))
    assert began.description == "50 % of all links of batteries cut off"


async def test_what_befalls_meters_is_recorded(tmp_path: Path, sleeper: int) -> None:
    failure = {"do": "event", "event": "power-failure", "at": "00:05", "for": "5 min"}
    tamper = {"do": "event", "event": "tamper", "at": "00:06", "share": "5 %"}
    played = Played(tmp_path, [failure, tamper], sleeper, protocol="c12")
    events = await played.play()
    assert texts(events) == [(FaultBegan, "event 0"), (FaultEnded, "event 0")]
    (began,) = (event for event in events if isinstance(event, FaultBegan))
    assert began.description == "power-failure of 100 % of the ANSI meters"
    assert [event.text for event in events if isinstance(event, Note)] == [
        "event 1: tamper of 5 % of the ANSI meters"
    ]


LOSS = {"do": "lose", "at": "00:16", "before": "00:15"}


async def test_what_is_lost_is_recovered_and_the_fault_lasts_until_it_is_back(
    tmp_path: Path, sleeper: int
) -> None:
    played = Played(tmp_path, [LOSS | {"recover_after": "10 ms"}], sleeper)
    played.head_end.back.set()
    events = await played.play()
    assert texts(events) == [(FaultBegan, "lose 0"), (FaultEnded, "lose 0")]
    first_s = played._prepared.fleet.first_s
    assert played.head_end.asked == [
        ("lose", 0, first_s + 900),
        ("recover", first_s, first_s + 900),
    ]
    assert "lose 0: 1,234 readings are gone" in [e.text for e in events if isinstance(e, Note)]


async def test_a_loss_that_goes_on_keeps_the_timeline_until_it_is_cancelled(
    tmp_path: Path, sleeper: int
) -> None:
    played = Played(tmp_path, [LOSS | {"recover_after": "0 s"}], sleeper)
    with trio.move_on_after(1.0) as soon:
        await played.play()
    assert soon.cancelled_caught
    assert [what for what, *_ in played.head_end.asked] == ["lose", "recover"]


async def test_a_loss_may_be_left_to_others(tmp_path: Path, sleeper: int) -> None:
    played = Played(tmp_path, [LOSS | {"recover": False}], sleeper)
    await played.play()
    assert [what for what, *_ in played.head_end.asked] == ["lose"]


@pytest.mark.parametrize("part", ["fleet", "headend"])
async def test_a_frozen_process_stands_still_and_goes_on(
    part: str, tmp_path: Path, sleeper: int
) -> None:
    freeze = {"do": "freeze", "at": "00:01", "for": "300 ms", "part": part}
    played = Played(tmp_path, [freeze], sleeper)
    process = psutil.Process(sleeper)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(played.play)
        with trio.fail_after(5):
            while process.status() != psutil.STATUS_STOPPED:
                await trio.lowlevel.checkpoint()
    assert process.status() != psutil.STATUS_STOPPED


async def test_a_frozen_process_goes_on_when_the_run_ends_first(
    tmp_path: Path, sleeper: int
) -> None:
    freeze = {"do": "freeze", "at": "00:01", "for": "60 s", "part": "fleet"}
    played = Played(tmp_path, [freeze], sleeper)
    process = psutil.Process(sleeper)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(played.play)
        with trio.fail_after(5):
            while process.status() != psutil.STATUS_STOPPED:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert process.status() != psutil.STATUS_STOPPED


async def test_a_shard_that_is_not_there_is_noted(tmp_path: Path, sleeper: int) -> None:
    kill = {"do": "kill", "at": "00:01", "shard": 3}
    freeze = {"do": "freeze", "at": "00:01", "for": "1 s", "part": "fleet", "shard": 3}
    played = Played(tmp_path, [kill, freeze], sleeper)
    notes = [event.text for event in await played.play() if isinstance(event, Note)]
    assert sorted(notes) == [
        "freeze 1: there is no fleet shard 3",
        "kill 0: there is no headend shard 3",
    ]
    assert played.head_end.killed == []


@pytest.fixture
def gone() -> int:
    """Pid of nobody."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_freezing_a_process_that_has_died_harms_nobody(tmp_path: Path, gone: int) -> None:
    freeze = {"do": "freeze", "at": "00:01", "for": "10 ms", "part": "fleet"}
    assert texts(await Played(tmp_path, [freeze], gone).play()) == [
        (FaultBegan, "freeze 0"),
        (FaultEnded, "freeze 0"),
    ]
