from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emulator.clock import ScenarioClock
from harness.run.journal import Journal
from harness.run.latencies import LatencyLog
from harness.run.load import Load
from harness.run.monitor import Monitor
from harness.run.observing import Observer
from harness.run.progress import PlainProgress
from reports.recording import FramesRefused, Metric, RunRecord, RunRecorder
from tests.support.recorded_run import RecordedFolder
from tests.support.targets import FakeTarget


class Observed:
    """A run observed, and what its record says then."""

    def __init__(self, folder: Path, changes: dict[str, Any]) -> None:
        self.run = RecordedFolder(folder, changes)
        self.run.summary(0, counts={"readings pushed": 30, "connections opened": 5}, lag_s_max=0.5)
        self.target = FakeTarget()
        self.recorder = RunRecorder(self.run.path)
        clock = ScenarioClock()
        clock.start(0.0, float(self.run.prepared.fleet.first_s), 1e-9)
        self.journal = Journal(
            self.recorder, self.run.prepared.fleet.first_s, clock, 0.0, lambda: None
        )
        self.exceeded: list[int] = []
        self.observer = Observer(
            self.run.prepared,
            self.target,
            Load(folder / "unused.sock", lambda shard, code: None),
            Monitor(self.recorder, self.journal.now),
            self.journal,
            PlainProgress(Console(file=io.StringIO())),
            LatencyLog(self.recorder),
            self.exceeded.append,
        )

    async def observe(self) -> RunRecord:
        await self.observer.observe([])
        self.recorder.close()
        return RunRecord.load(self.run.path)


async def test_counts_latencies_and_resources_are_recorded(tmp_path: Path) -> None:
    observed = Observed(tmp_path, {})
    observed.target.counted.update({"commits.rows_stored": 28})
    record = await observed.observe()
    series = {(s.source, s.metric): s.values[-1] for s in record.series}
    assert series["run", Metric.OWED] == 40
    assert series["run", Metric.ACKNOWLEDGED] == 30
    assert series["run", Metric.STORED] == 28
    assert series["run", Metric.LAG_S] == 0.5
    assert series["run", Metric.RSS_BYTES] > 1e6
    assert [interval.series for interval in record.latency] == ["push"]


async def test_frames_refused_since_the_last_time_are_an_event(tmp_path: Path) -> None:
    observed = Observed(tmp_path, {})
    observed.target.counted.update({"refused: replay": 2})
    await observed.observer.observe([])
    observed.target.counted.update({"refused: replay": 3})
    record = await observed.observe()
    refused = [event for event in record.events if isinstance(event, FramesRefused)]
    assert [(event.cause, event.count) for event in refused] == [("replay", 2), ("replay", 3)]


@pytest.mark.parametrize(("bound", "is_exceeded"), [("1 MiB", True), ("100_000 MiB", False)])
async def test_more_memory_than_the_scenario_allows_is_told(
    bound: str, is_exceeded: bool, tmp_path: Path
) -> None:
    observed = Observed(tmp_path, {"limits": {"memory": bound}})
    await observed.observe()
    assert bool(observed.exceeded) is is_exceeded


async def test_a_process_that_is_gone_keeps_what_it_had_spent(tmp_path: Path) -> None:
    observed = Observed(tmp_path, {})
    monitor = Monitor(observed.recorder, observed.journal.now)
    monitor.sample({"run": os.getpid()})
    spent_s = monitor.cpu_s()["run"]
    monitor.sample({"gone": 2**22 + 1})
    assert monitor.cpu_s() == {"run": spent_s}
    assert monitor.rss_bytes == 0
    observed.recorder.close()
