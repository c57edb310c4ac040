"""A recorded run that never ran: prepared, and everything delivered by hand, in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from hdrh.histogram import HdrHistogram

from emulator.delivery_record import DeliveryRecord, Mark
from emulator.fleet_config import part_of
from harness.run.facts import IssuedCommand, RunFacts
from harness.run.preparation import Prepared, prepare
from harness.scenario import Scenario
from harness.store.commands import Command
from harness.store.opening import open_store
from harness.store.rows import Rows
from reports.recording import RunRecorder

BEGAN_S: Final = 1_000.0
START_S: Final = 1_004.0
"""CLOCK_MONOTONIC of the first step."""
OFFSET_S: Final = 1_700_000_000.0
STORED_AFTER_S: Final = 0.1

SCENARIO: Final[dict[str, Any]] = {
    "name": "recorded",
    "seed": 7,
    "speed": 300.0,
    "link": "none",
    "grid": {
        "transformer_stations": 6,
        "meters": 40,
        "sizes": [{"name": "small", "meters": [2, 12], "share": "100 %"}],
    },
    "behaviour": {"mode": "push", "steps": 4},
}


class RecordedFolder:
    """A run directory in which every reading was delivered as it came due.

    Args:
        out: where the folder is made.
        changes: keys of the scenario to replace.
        facts: fields of ``run.json`` to replace.
        commands: what the run ordered.
        journal: what the head-end says became of it.
    """

    def __init__(
        self,
        out: Path,
        changes: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        *,
        commands: Sequence[IssuedCommand] = (),
        journal: Sequence[Command] = (),
    ) -> None:
        self.scenario = Scenario.model_validate({**SCENARIO, **(changes or {})})
        self.prepared: Prepared = prepare(
            self.scenario, scenario_file=Path("none.toml"), out=out / "runs"
        )
        self.path = self.prepared.folder.path
        (self.path / "resolved.json").write_text(self.scenario.resolved_json())
        with RunRecorder(self.path):
            pass
        self.step_s = self.prepared.fleet.behaviour.step_s / self.scenario.speed
        self.store = self.path / "store" / "shard-0.duckdb"
        self.store.parent.mkdir()
        self._deliver(journal)
        for shard in range(self.prepared.fleet.shards):
            self.summary(shard)
        values = {
            "clock": (START_S, float(self.prepared.fleet.first_s), self.scenario.speed),
            "realtime_offset_s": OFFSET_S,
            "began_s": BEGAN_S,
            "started_at": "2026-11-21T10:00:00+00:00",
            "ended_at": "2026-11-21T10:01:00+00:00",
            "wall_s": 4 * self.step_s + 10.0,
            "command": "meterstorm run",
            "versions": {},
            "host": {},
            "stores": ("store/shard-0.duckdb",),
            "commands": tuple(commands),
        }
        RunFacts.model_validate(values | dict(facts or {})).write(self.path)

    def summary(self, shard: int, **changes: Any) -> None:
        """Write the last word of a shard, changed as given."""
        latency = HdrHistogram(1, 3_600_000_000, 3)
        latency.record_value(100_000, 10)
        part = {"series": "push", "link": "seed-1", "histogram": latency.encode().decode()}
        summary = {"counts": {}, "lag_s_max": 0.01, "latencies": [part], "links": {}} | changes
        (self.prepared.folder.shard(shard) / "summary.json").write_text(json.dumps(summary))

    def executed(self, *executions: Mapping[str, Any]) -> None:
        """Write what the meters of shard 0 carried out; the last line is cut short."""
        lines = "".join(json.dumps(line) + "\n" for line in executions)
        path = self.prepared.folder.shard(0) / "executions.ndjson"
        path.write_text(lines + '{"meter": 1, "ki')

    def tamper(self, *statements: str) -> None:
        """Run SQL behind the store's back."""
        tamper(self.store, *statements)

    def _deliver(self, journal: Sequence[Command]) -> None:
        prepared, grid = self.prepared, self.prepared.grid
        shards, steps = prepared.fleet.shards, prepared.schedule.plan.steps
        meters = np.arange(grid.meters)
        store = open_store(self.store, prepared.truth.profile.names, create=True)
        due = np.array(
            [prepared.schedule.delivery_step_block(i, 0, grid.meters) for i in range(steps)]
        )
        for step in range(steps):
            intervals, which = np.nonzero(due == step)
            values, status = prepared.truth.registers(which, intervals)
            count = len(which)
            rows = Rows(
                meter=which.astype(np.uint32),
                profile=np.full(count, prepared.truth.profile.number, np.uint8),
                captured_at_s=prepared.schedule.plan.captured_at(intervals),
                status=status,
                values=values,
                via=np.zeros(count, np.uint8),
            )
            at_s = START_S + step * self.step_s + STORED_AFTER_S + OFFSET_S
            store.put(rows, {}, int(at_s * 1_000_000))
        for command in journal:
            store.add_command(command)
        store.close()
        for shard in range(shards):
            part = part_of(grid.concentrators, shards, shard)
            folder = prepared.folder.shard(shard)
            record = DeliveryRecord.create(folder, grid, part.start, part.stop, steps)
            for number in part:
                mine = meters[grid.meters_of(number).start : grid.meters_of(number).stop]
                intervals, which = np.nonzero(due[:, mine] < steps)
                for mark in Mark:
                    record.mark(mark, number, mine[which], intervals)


def tamper(store: Path, *statements: str) -> None:
    """Run SQL behind the back of an embedded store."""
    with duckdb.connect(store) as session:
        for statement in statements:
            session.execute(statement)


CHANGE_ONE: Final = (
    "UPDATE readings SET import_wh = import_wh + 1 WHERE (meter, captured_at) IN "
    "(SELECT meter, captured_at FROM readings ORDER BY captured_at, meter LIMIT 1)"
)
REMOVE_ONE: Final = (
    "DELETE FROM readings WHERE (meter, captured_at) IN "
    "(SELECT meter, captured_at FROM readings ORDER BY captured_at, meter DESC LIMIT 1)"
)
DOUBLE_ONE: Final = (
    "INSERT INTO readings SELECT * FROM readings WHERE (meter, captured_at) IN "
    "(SELECT meter, captured_at FROM readings ORDER BY captured_at DESC, meter LIMIT 1)"
)
