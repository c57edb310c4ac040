"""What Locust's users ask of the systems beside the head-end: written before they start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from harness.bal.tls import TlsFiles
from harness.load.clients.config import CONFIG_NAME, ClientsConfig, Operation, System
from harness.load.clients.summary import LOAD_FOLDER
from harness.run.battery_files import commanded
from harness.run.billed_months import billed_months, bills_begin_s
from harness.run.billing_questions import day_of
from harness.run.preparation import Prepared
from harness.scenario.bal import Bal, BalLoad, ExternalBal
from harness.scenario.billing import Billing, BillingLoad
from harness.scenario.model import Scenario

BAL: Final = "bal"
BILLING: Final = "billing"
ANSWER_S: Final = 120.0
"""Real seconds for an answer: batteries behind slow links may have to be read first."""
SUBJECTS_MAX: Final = 10_000
"""Meters that bills are fetched of: a part of them, evenly, says as much as all."""

Details: TypeAlias = Mapping[str, int | str]


class Asked(Protocol):
    """A system with an API, once it is up; ``url`` is None where it has none."""

    @property
    def url(self) -> str | None:
        """Where its API is."""

    @property
    def token_file(self) -> Path | None:
        """File with its token."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One kind of request.

    Attributes:
        name: as it appears in statistics and in the record.
        kind: one of `harness.load.clients.operations.KINDS`.
        rate: key of the system's load with its rate; none of it, and it is not asked.
        about: whom it may be about.
        details: what the kind wants to know besides; None where there is nothing to ask for.
        begins_s: real seconds after the start of the clock at which the first may be due.
    """

    name: str
    kind: str
    rate: str
    about: Callable[[Prepared], tuple[str, ...]]
    details: Callable[[Prepared], Details | None] = lambda _: {}
    begins_s: Callable[[Prepared], float] = lambda _: 0.0


def asks_systems(scenario: Scenario) -> bool:
    """Return whether Locust's users ask a system anything."""
    loads = (_load(scenario, system) for system in QUESTIONS)
    return any(load is not None and load.asks for load in loads)


def write_clients(prepared: Prepared, workers: int, there: Mapping[str, Asked | None]) -> None:
    """Write what the clients do, once the systems are up and their addresses known.

    Args:
        prepared: the run.
        workers: of Locust.
        there: the systems by name, `BAL` and `BILLING`.
    """
    if not asks_systems(prepared.scenario):
        return
    up = {
        name: System(
            url=system.url,
            tls=_tls(prepared.scenario, name),
            token_file=system.token_file,
            timeout_s=ANSWER_S,
        )
        for name, system in there.items()
        if system is not None and system.url is not None
    }
    config = ClientsConfig(
        seed=prepared.scenario.seed,
        clients=max(1, workers),
        span_s=prepared.scenario.span_s / prepared.scenario.speed,
        first_s=prepared.fleet.first_s,
        speed=prepared.scenario.speed,
        systems=up,
        operations=tuple(one for name in up for one in _operations(prepared, name)),
    )
    folder: Path = prepared.folder.path / LOAD_FOLDER
    folder.mkdir(exist_ok=True)
    (folder / CONFIG_NAME).write_text(config.model_dump_json(indent=1))


def _load(scenario: Scenario, system: str) -> BalLoad | BillingLoad | None:
    part = {BAL: scenario.bal, BILLING: scenario.billing}[system]
    return None if part is None else part.load_driver


def _tls(scenario: Scenario, system: str) -> TlsFiles | None:
    if system != BAL or scenario.bal is None or not isinstance(scenario.bal.target, ExternalBal):
        return None
    return scenario.bal.target.tls


def _operations(prepared: Prepared, system: str) -> Iterator[Operation]:
    load = _load(prepared.scenario, system)
    for question in QUESTIONS[system]:
        rate = float(getattr(load, question.rate))
        details = question.details(prepared) if rate else None
        if details is not None:
            yield Operation(
                name=question.name,
                kind=question.kind,
                system=system,
                rate_per_s=rate,
                subjects=question.about(prepared),
                details=dict(details),
                begins_s=question.begins_s(prepared),
            )


def _bal(prepared: Prepared) -> Bal:
    assert prepared.scenario.bal is not None, "there is a layer"
    return prepared.scenario.bal


def _billing(prepared: Prepared) -> Billing:
    assert prepared.scenario.billing is not None, "there is billing"
    return prepared.scenario.billing


def _batteries(prepared: Prepared) -> tuple[str, ...]:
    assert prepared.scenario.batteries is not None, "a layer has batteries"
    return tuple(commanded(_bal(prepared), prepared.scenario.batteries.count))


def _meters(prepared: Prepared) -> tuple[str, ...]:
    meters = prepared.grid.meters
    return tuple(map(str, range(0, meters, -(-meters // SUBJECTS_MAX))))


def _first_month(prepared: Prepared) -> Details | None:
    months = billed_months(prepared, _billing(prepared))
    return {"month": months[0]} if months else None


def _bills_begin_s(prepared: Prepared) -> float:
    billing = _billing(prepared)
    return bills_begin_s(prepared, billing) + billing.load_driver.bills_after


def _first_day(prepared: Prepared) -> Details:
    return {"day": day_of(prepared.fleet.first_s, _billing(prepared).time_zone)}


QUESTIONS: Final[Mapping[str, tuple[_Question, ...]]] = {
    BAL: (
        _Question("bal.status", "bal-status", "status_per_s", _batteries),
        _Question(
            "bal.command",
            "bal-current",
            "commands_per_s",
            _batteries,
            lambda prepared: {"current_ma": _bal(prepared).load_driver.current},
        ),
    ),
    BILLING: (
        _Question("billing.bill", "bill", "bills_per_s", _meters, _first_month, _bills_begin_s),
        _Question("billing.statistics", "statistics", "statistics_per_s", _meters, _first_day),
        _Question(
            "billing.export",
            "export",
            "exports_per_s",
            lambda prepared: _billing(prepared).load_driver.exports,
        ),
    ),
}
"""Who is asked what, by the name of the system."""
