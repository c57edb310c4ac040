from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from emulator.clock import ScenarioClock
from harness.errors import EnvironmentUnfitError
from harness.run.external import ExternalTarget
from harness.run.monitor import Monitor
from harness.run.preparation import free_ports
from harness.scenario import External
from reports.recording import RunRecord, RunRecorder, RunTime
from tests.harness.run.test_watching import TEXT, endpoint, until
from tests.support.recorded_run import RecordedFolder

READ_BACK = {"kind": "files", "folder": "theirs"}


class Watched:
    """A run against a foreign head-end, and what of it is recorded."""

    def __init__(self, folder: Path, **target: Any) -> None:
        changes = {
            "target": {"kind": "external", "read_back": READ_BACK, "settle": "3 s"} | target,
            "behaviour": {"mode": "push" if "push" in target else "pull", "steps": 4},
        }
        self.run = RecordedFolder(folder, changes)
        external = self.run.scenario.target
        assert isinstance(external, External)
        self.target = ExternalTarget(self.run.prepared, external)
        self.recorder = RunRecorder(self.run.path)
        self.monitor = Monitor(self.recorder, lambda: RunTime(scenario_s=0.0, wall_s=0.0))

    def recorded(self) -> dict[tuple[str, str], float]:
        """Return the last value of each series of the target, by metric and label."""
        self.recorder.close()
        return {
            (series.metric, series.label): series.values[-1]
            for series in RunRecord.load(self.run.path).series
            if series.source == "target"
        }


Make = Callable[..., Watched]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.chdir(tmp_path)
    made: list[Watched] = []

    def make_one(**target: Any) -> Watched:
        made.append(Watched(tmp_path, **target))
        return made[-1]

    yield make_one
    for watched in made:
        watched.recorder.close()


async def test_it_exports_the_plan_and_finds_the_head_end(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        push = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
        watched = make(push=push)
        async with trio.open_nursery() as nursery:
            await watched.target.start(nursery)
    folder = watched.run.prepared.provisioning
    assert (folder / "plan.csv").is_file()
    assert (folder / "expected.csv").is_file()


async def test_it_waits_for_a_head_end_that_starts_on_what_is_exported(make: Make) -> None:
    (port,) = free_ports(1)
    watched = make(push={"host": "127.0.0.1", "port": port})
    started = False

    async def start() -> None:
        nonlocal started
        async with trio.open_nursery() as nursery:
            await watched.target.start(nursery)
        started = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await trio.sleep(0.3)
        assert not started
        nursery.start_soon(trio.serve_tcp, lambda stream: stream.aclose(), port)
        await until(lambda: started)
        nursery.cancel_scope.cancel()


async def test_a_head_end_that_is_not_there_is_named(
    make: Make, autojump_clock: trio.testing.MockClock
) -> None:
    (port,) = free_ports(1)
    watched = make(push={"host": "127.0.0.1", "port": port})
    with pytest.raises(EnvironmentUnfitError, match=f"127.0.0.1:{port} .target.push."):
        await watched.target.start(None)  # type: ignore[arg-type]  # nothing to start in it
    assert 30 <= trio.current_time() < 31


async def test_who_pulls_needs_not_listen(make: Make) -> None:
    async with trio.open_nursery() as nursery:
        await make().target.start(nursery)


async def test_its_endpoint_and_its_logs_are_recorded(make: Make, tmp_path: Path) -> None:
    with endpoint(TEXT) as url:
        watch = {"prometheus": url, "logs": [{"file": "their.log", "count": "ERR(OR)?"}]}
        watched = make(watch=watch)
        async with trio.open_nursery() as nursery:
            await watched.target.start(nursery)
            (tmp_path / "their.log").write_text("ERROR\nwell\nERR\n")
            scraper = watched.target._scraper
            assert scraper is not None
            await until(lambda: scraper._fresh)
            await watched.target.observe(watched.monitor)
            nursery.cancel_scope.cancel()
    assert watched.target.counts() == {"log lines: their.log: ERR(OR)?": 2}
    assert watched.recorded() == {
        ("rows_total", "table=b,zone=a"): 12.0,
        ("depth", ""): 3.5,
        ("scrapes_failed_total", ""): 0.0,
        ("log_lines_matched_total", "their.log: ERR(OR)?"): 2.0,
    }


async def test_an_endpoint_that_is_away_harms_nothing(make: Make) -> None:
    with endpoint(TEXT, 503) as url:
        watched = make(watch={"prometheus": url})
        async with trio.open_nursery() as nursery:
            await watched.target.start(nursery)
            await until(watched.target.counts)
            await watched.target.observe(watched.monitor)
            nursery.cancel_scope.cancel()
    assert watched.recorded() == {("scrapes_failed_total", ""): 1.0}
    ((reason, count),) = watched.target.counts().items()
    assert (reason.startswith("scrapes failed: "), count) == (True, 1)


async def test_it_gets_time_to_finish_storing(
    make: Make, autojump_clock: trio.testing.MockClock
) -> None:
    began = trio.current_time()
    await make().target.stop()
    assert trio.current_time() - began == pytest.approx(3)


async def test_it_says_only_what_it_can(make: Make) -> None:
    target = make(watch={"processes": [os.getpid()]}).target
    await target.start_clock(ScenarioClock())
    assert target.pids() == {f"target-{os.getpid()}": os.getpid()}
    assert (target.missing(), target.commands_ended(), target.latencies()) == (None, 0, [])
