"""What Locust's users ask of the systems beside the head-end: written before they start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.load.clients.config import CONFIG_NAME, ClientsConfig, Operation, System
from harness.load.clients.summary import LOAD_FOLDER
from harness.run.batteries import BatterySystem
from harness.run.battery_files import commanded
from harness.run.billed_months import billed_months, bills_begin_s
from harness.run.billing import BillingSystem
from harness.run.billing_questions import day_of
from harness.run.external_billing import ExternalBillingSystem
from harness.run.preparation import Prepared
from harness.scenario.billing import Billing
from harness.scenario.model import Scenario

BAL: Final = "bal"
BILLING: Final = "billing"
ANSWER_S: Final = 120.0
"""Real seconds for an answer: batteries behind slow links may have to be read first."""
SUBJECTS_MAX: Final = 10_000
"""Meters that bills are fetched of: a part of them, evenly, says as much as all."""


def asks_systems(scenario: Scenario) -> bool:
    """Return whether Locust's users ask a system anything."""
    there = [scenario.bal, scenario.billing]
    return any(system is not None and system.load_driver.asks for system in there)


def write_clients(
    prepared: Prepared,
    workers: int,
    batteries: BatterySystem | None,
    billing: BillingSystem | ExternalBillingSystem | None,
) -> None:
    """Write what the clients do, once the systems are up and their addresses known."""
    if not asks_systems(prepared.scenario):
        return
    systems: dict[str, System] = {}
    operations: list[Operation] = []
    if batteries is not None and batteries.url is not None:
        systems[BAL] = System(
            url=batteries.url, token_file=batteries.token_file, timeout_s=ANSWER_S
        )
        operations += _of_batteries(prepared.scenario)
    if billing is not None and billing.url is not None:
        systems[BILLING] = System(
            url=billing.url, token_file=billing.token_file, timeout_s=ANSWER_S
        )
        operations += _of_billing(prepared, prepared.scenario.billing)
    config = ClientsConfig(
        seed=prepared.scenario.seed,
        clients=max(1, workers),
        span_s=prepared.scenario.span_s / prepared.scenario.speed,
        systems=systems,
        operations=tuple(operations),
    )
    folder: Path = prepared.folder.path / LOAD_FOLDER
    folder.mkdir(exist_ok=True)
    (folder / CONFIG_NAME).write_text(config.model_dump_json(indent=1))


def _of_batteries(scenario: Scenario) -> Iterator[Operation]:
    assert scenario.bal is not None, "there is a layer"
    assert scenario.batteries is not None, "a layer has batteries"
    load = scenario.bal.load_driver
    subjects = tuple(commanded(scenario.bal, scenario.batteries.count))
    if load.status_per_s:
        yield Operation(
            name="bal.status",
            kind="bal-status",
            system=BAL,
            rate_per_s=load.status_per_s,
            subjects=subjects,
        )
    if load.commands_per_s:
        yield Operation(
            name="bal.command",
            kind="bal-current",
            system=BAL,
            rate_per_s=load.commands_per_s,
            subjects=subjects,
            details={"current_ma": load.current},
        )


def _of_billing(prepared: Prepared, billing: Billing | None) -> Iterator[Operation]:
    assert billing is not None, "there is billing"
    load, meters = billing.load_driver, prepared.grid.meters
    months = billed_months(prepared, billing)
    subjects = tuple(map(str, range(0, meters, -(-meters // SUBJECTS_MAX))))
    if load.bills_per_s and months:
        yield Operation(
            name="billing.bill",
            kind="bill",
            system=BILLING,
            rate_per_s=load.bills_per_s,
            subjects=subjects,
            details={"month": months[0]},
            begins_s=bills_begin_s(prepared, billing) + load.bills_after,
        )
    if load.statistics_per_s:
        yield Operation(
            name="billing.statistics",
            kind="statistics",
            system=BILLING,
            rate_per_s=load.statistics_per_s,
            subjects=subjects,
            details={"day": day_of(prepared.fleet.first_s, billing.time_zone)},
        )
    if load.exports_per_s:
        yield Operation(
            name="billing.export",
            kind="export",
            system=BILLING,
            rate_per_s=load.exports_per_s,
            subjects=load.exports,
        )
