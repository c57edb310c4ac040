"""What Locust's users ask of the systems beside the head-end: written before they start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.load.clients.config import CONFIG_NAME, ClientsConfig, Operation, System
from harness.load.clients.summary import LOAD_FOLDER
from harness.run.batteries import BatterySystem
from harness.run.battery_files import commanded
from harness.run.preparation import Prepared
from harness.scenario.model import Scenario

BAL: Final = "bal"
STATUS: Final = "bal.status"
COMMAND: Final = "bal.command"


def asks_systems(scenario: Scenario) -> bool:
    """Return whether Locust's users ask a system anything."""
    return any(True for _ in _operations(scenario, ("anybody",)))


def write_clients(prepared: Prepared, workers: int, batteries: BatterySystem | None) -> None:
    """Write what the clients do, once the systems are up and their addresses known."""
    if not asks_systems(prepared.scenario):
        return
    systems = {}
    if batteries is not None and batteries.url is not None:
        systems[BAL] = System(url=batteries.url, token_file=batteries.token_file, timeout_s=120.0)
    config = ClientsConfig(
        seed=prepared.scenario.seed,
        clients=max(1, workers),
        span_s=prepared.scenario.span_s / prepared.scenario.speed,
        systems=systems,
        operations=tuple(_operations(prepared.scenario, _subjects(prepared))),
    )
    folder: Path = prepared.folder.path / LOAD_FOLDER
    folder.mkdir(exist_ok=True)
    (folder / CONFIG_NAME).write_text(config.model_dump_json(indent=1))


def _subjects(prepared: Prepared) -> tuple[str, ...]:
    scenario = prepared.scenario
    assert scenario.bal is not None, "somebody asks it"
    assert scenario.batteries is not None, "a layer has batteries"
    return tuple(commanded(scenario.bal, scenario.batteries.count))


def _operations(scenario: Scenario, subjects: tuple[str, ...]) -> Iterator[Operation]:
    if scenario.bal is None or not subjects:
        return
    load = scenario.bal.load_driver
    if load.status_per_s:
        yield Operation(
            name=STATUS,
            kind="bal-status",
            system=BAL,
            rate_per_s=load.status_per_s,
            subjects=subjects,
        )
    if load.commands_per_s:
        yield Operation(
            name=COMMAND,
            kind="bal-current",
            system=BAL,
            rate_per_s=load.commands_per_s,
            subjects=subjects,
            details={"current_ma": load.current},
        )
