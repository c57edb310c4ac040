"""Watching a run while it goes on: processes, head-end, fleet, and what people see of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from emulator.tally import RECEIVED, SENT
from harness.load.clients.summary import clients_of, summary_path
from harness.run.journal import Journal
from harness.run.latencies import LatencyLog
from harness.run.load import Load
from harness.run.monitor import Monitor
from harness.run.preparation import Prepared
from harness.run.processes import RunProcess
from harness.run.progress import Progress, Standing
from harness.run.target import Target
from reports.recording import Metric

EVERY_S: Final = 1.0
SHARD_SUMMARY: Final = "summary.json"
REFUSED: Final = "refused: "


class Observer:
    """Samples everything once a second into the record, and shows where the run stands.

    Args:
        prepared: the run.
        target: the system under test.
        load: Locust and the fleet.
        monitor: samples processes.
        journal: takes what is worth an event.
        progress: shows people where the run stands.
        latencies: takes what the fleet measured.
        exceeded: called once all processes together hold more memory than the scenario allows.
        beside: process ids of the systems beside the head-end, by name.
    """

    def __init__(
        self,
        prepared: Prepared,
        target: Target,
        load: Load,
        monitor: Monitor,
        journal: Journal,
        progress: Progress,
        latencies: LatencyLog,
        exceeded: Callable[[int], None],
        beside: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._beside = beside
        self._prepared = prepared
        self._target = target
        self._load = load
        self._monitor = monitor
        self._journal = journal
        self._progress = progress
        self._latencies = latencies
        self._exceeded = exceeded
        self._refused: Counter[str] = Counter()

    async def run(self, processes: Sequence[RunProcess]) -> None:
        """Observe once a second until cancelled."""
        due = trio.current_time()
        while True:
            await self.observe(processes)
            due = max(due + EVERY_S, trio.current_time())
            await trio.sleep_until(due)

    async def observe(self, processes: Sequence[RunProcess]) -> None:
        """Observe once."""
        fleet = {f"fleet-{shard}": pid for shard, pid in self._load.pids.items()}
        ours = {process.name: process.pid for process in processes}
        systems = {**self._target.pids(), **self._beside()}
        self._monitor.sample({"run": os.getpid(), **ours, **fleet, **systems})
        self._mind_memory()
        await self._target.observe(self._monitor)
        summaries = read_summaries(self._prepared)
        self._record_octets(summaries)
        clients = read_client_summaries(self._prepared)
        self._latencies.take(self._journal.now().wall_s, [*summaries, *clients])
        standing = self._standing(summaries)
        self._record(standing)
        self._note_refusals()
        self._progress.show(standing)

    def _mind_memory(self) -> None:
        bound = self._prepared.scenario.limits.memory
        if bound is not None and self._monitor.rss_bytes > bound:
            self._exceeded(self._monitor.rss_bytes)

    def _standing(self, summaries: Sequence[Mapping[str, Any]]) -> Standing:
        now = self._journal.now()
        counts: Counter[str] = Counter()
        lag_s = 0.0
        for summary in summaries:
            counts.update(summary.get("counts", {}))
            lag_s = max(lag_s, summary.get("lag_s_max", 0.0))
        step = int(now.scenario_s // self._prepared.fleet.behaviour.step_s)
        owed = int(self._prepared.owed_per_step[: max(0, step + 1)].sum())
        stored = self._target.counts()
        return Standing(
            at=now,
            step=min(step, self._prepared.schedule.plan.steps - 1),
            steps=self._prepared.schedule.plan.steps,
            owed=owed,
            delivered=self._delivered(counts["readings pushed"]),
            stored=stored["commits.rows_stored"],
            connections=counts["connections opened"] - counts["connections closed"],
            failed=counts["push.failed"],
            lag_s=lag_s,
            commands=(self._target.commands_ended(), self._prepared.scenario.commands.count),
        )

    def _delivered(self, readings: int) -> tuple[str, int] | None:
        if self._prepared.fleet.behaviour.mode != "push":
            return None
        return ("acknowledged" if self._prepared.confirms else "sent", readings)

    def _record(self, standing: Standing) -> None:
        put = self._monitor.put
        put("run", Metric.OWED, standing.owed)
        if standing.delivered is not None:
            metric = Metric.ACKNOWLEDGED if self._prepared.confirms else Metric.SENT
            put("run", metric, standing.delivered[1])
        put("run", Metric.STORED, standing.stored)
        put("run", Metric.LAG_S, standing.lag_s)
        put("run", Metric.CONNECTIONS, standing.connections)

    def _record_octets(self, summaries: Sequence[Mapping[str, Any]]) -> None:
        for shard, summary in enumerate(summaries):
            counts = summary.get("counts", {})
            self._monitor.carried(f"fleet-{shard}", counts.get(RECEIVED, 0), counts.get(SENT, 0))

    def _note_refusals(self) -> None:
        refused = Counter(
            {
                name.removeprefix(REFUSED): count
                for name, count in self._target.counts().items()
                if name.startswith(REFUSED)
            }
        )
        for cause, count in (refused - self._refused).items():
            self._journal.refused("headend", cause, count)
        self._refused = refused


def read_summaries(prepared: Prepared) -> list[dict[str, Any]]:
    """Return what each fleet shard last wrote of itself; empty before it wrote anything."""
    return [_summary(prepared, shard) for shard in range(prepared.fleet.shards)]


def read_client_summaries(prepared: Prepared) -> list[dict[str, Any]]:
    """Return what each client of a system beside the head-end last wrote of itself."""
    config = clients_of(prepared.folder.path)
    return [_read(summary_path(prepared.folder.path, number)) for number in range(config)]


def _summary(prepared: Prepared, shard: int) -> dict[str, Any]:
    return _read(prepared.folder.shard(shard) / SHARD_SUMMARY)


def _read(path: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return summary
