"""A recorded run, opened for judging: grid, plan, truth and store as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from pydantic import ValidationError

from emulator.delivery_record import DeliveryRecord
from emulator.fleet_config import FleetConfig
from emulator.grid import Grid, generate_grid
from emulator.meter_events import MeterEvents
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.run_folder import RunFolder
from emulator.schedule import Schedule
from harness.ledger.reconcile import Group, RunTimes
from harness.load.clients.summary import LOAD_FOLDER
from harness.recorded_folder import RESOLVED
from harness.run.facts import FACTS_FILE, RunFacts
from harness.scenario import Scenario
from reports.recording import LabRecord, RecordError
from reports.recording.errors import explain

SUMMARY: Final = "summary.json"
EXECUTIONS: Final = "executions.ndjson"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """Everything of a run that its verdict depends on, but the store."""

    folder: RunFolder
    scenario: Scenario
    fleet: FleetConfig
    facts: RunFacts
    grid: Grid
    schedule: Schedule
    truth: Truth
    events: MeterEvents

    @classmethod
    def open(cls, path: Path) -> RecordedRun:
        """Open the run recorded in ``path``.

        Raises:
            OSError: a part of the record is missing.
            RecordError, ValueError: a part of the record is not what it should be.
        """
        folder = RunFolder(path)
        with told_by_file(path / RESOLVED):
            scenario = Scenario.from_resolved((path / RESOLVED).read_text())
        with told_by_file(folder.fleet_file):
            fleet = folder.fleet()
        with told_by_file(path / FACTS_FILE):
            facts = RunFacts.load(path)
        grid = generate_grid(fleet.grid, fleet.behaviour, fleet.seed)
        plan = Plan(grid, fleet.behaviour, fleet.first_s, fleet.seed)
        truth = Truth(grid, fleet.behaviour, fleet.first_s, fleet.seed, folder=fleet.pattern_folder)
        schedule = Schedule.of(plan, fleet.outages)
        events = MeterEvents(fleet.events, plan)
        return cls(folder, scenario, fleet, facts, grid, schedule, truth, events)

    def doubting(self, doubts: Sequence[str]) -> Self:
        """Return the same run with more reasons not to trust it."""
        told = (*self.facts.doubts, *doubts)
        return replace(self, facts=self.facts.model_copy(update={"doubts": told}))

    @property
    def lab(self) -> LabRecord | None:
        """What the lab of the run counted; ``None``: its links were not real.

        Raises `RecordError` for a file that is not what it should be.
        """
        return LabRecord.load(self.folder.path)

    def delivery_records(self) -> list[DeliveryRecord]:
        """Return what the fleet recorded, shard by shard; a shard that never began has none."""
        return [
            DeliveryRecord.open(self.folder.shard(shard), self.grid)
            for shard in range(self.fleet.shards)
            if (self.folder.shard(shard) / "shard.json").is_file()
        ]

    def summaries(self) -> list[dict[str, Any]]:
        """Return the last word of every shard that wrote one. Raises `RecordError`."""
        paths = [self.folder.shard(shard) / SUMMARY for shard in range(self.fleet.shards)]
        return [_object(path) for path in paths if path.is_file()]

    def client_summaries(self) -> list[dict[str, Any]]:
        """Return the last word of every client of a system beside the head-end.

        Raises `RecordError`.
        """
        paths = sorted((self.folder.path / LOAD_FOLDER).glob("client-*.json"))
        return [_object(path) for path in paths]

    def executions(self) -> list[dict[str, Any]]:
        """Return every command that an emulated meter carried out, in no particular order."""
        paths = [self.folder.shard(shard) / EXECUTIONS for shard in range(self.fleet.shards)]
        texts = [path.read_text() for path in paths if path.is_file()]
        # What follows the last newline was cut short with its shard.
        lines = [line for text in texts for line in text.split("\n")[:-1]]
        return [json.loads(line) for line in lines]

    def steps_opened(self) -> int:
        """Return how many steps had opened when the drain began: readings of later ones defer."""
        steps, began_s = self.schedule.plan.steps, self.facts.drain_began_s
        if began_s is None:
            return steps
        elapsed_s = self.facts.scenario_clock.scenario_at(began_s) - self.fleet.first_s
        return min(steps, max(0, int(elapsed_s // self.fleet.behaviour.step_s) + 1))

    def wall_s(self, scenario_s: float) -> float:
        """Return the wall seconds since the run began at a scenario time since the first step."""
        clock = self.facts.scenario_clock
        return clock.monotonic_at(self.fleet.first_s + scenario_s) - self.facts.began_s

    def times(self) -> RunTimes:
        """Return when the steps of the run opened in real time."""
        start_s = self.facts.scenario_clock.monotonic_at(self.fleet.first_s)
        step_s = self.fleet.behaviour.step_s / self.facts.scenario_clock.rate
        return RunTimes(
            start_us=int((start_s + self.facts.realtime_offset_s) * 1_000_000),
            step_us=step_s * 1_000_000,
        )

    def groups(self) -> list[Group]:
        """Return the classes whose readings are counted apart."""
        owner = self.grid.concentrator_of(np.arange(self.grid.meters))
        links = self.grid.link_category[owner]
        reach = self.grid.concentrator_reachability[owner]
        behaviour = self.fleet.behaviour
        return [
            *(
                Group("link", profile, np.isin(links, indices))
                for profile, indices in self._categories_by_profile().items()
            ),
            *(
                Group("concentrator accessibility", item.name, reach == index)
                for index, item in enumerate(behaviour.concentrators)
            ),
            *(
                Group("meter accessibility", item.name, self.grid.meter_reachability == index)
                for index, item in enumerate(behaviour.meters)
            ),
        ]

    def _categories_by_profile(self) -> dict[str, list[int]]:
        """Return the link categories of each profile: two may share one."""
        found: dict[str, list[int]] = {}
        for index, link in enumerate(self.fleet.grid.links):
            found.setdefault(link.profile, []).append(index)
        return found


def _object(path: Path) -> dict[str, Any]:
    with told_by_file(path):
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return found


@contextmanager
def told_by_file(path: Path) -> Iterator[None]:
    """Raise `RecordError` that says which file it is that does not hold what it should."""
    try:
        yield
    except ValidationError as error:
        raise RecordError(explain(error), path=path) from None
    except KeyError as error:
        raise RecordError(f"it lacks {error}", path=path) from error
    except ValueError as error:
        raise RecordError(str(error), path=path) from error
