"""What Locust's users are told to ask of batteries and of billing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.load.clients.config import ClientsConfig
from harness.run.clients import asks_systems, write_clients
from harness.run.external_billing import ExternalBillingSystem
from harness.scenario.billing import ExternalBilling
from tests.support.recorded_run import RecordedFolder

URL = "http://127.0.0.1:9"
MARCH = {
    "steps": 4,
    "preloaded": 2971,
    "first": "2026-03-31T23:45:00+02:00",
}
RATES = [
    {"month": f"2026-{month}", "peak": "0.3", "off_peak": "0.2", "peak_hours": "07:00-22:00"}
    for month in ("04", "03", "02")
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(folder: Path, load: Mapping[str, Any], url: str | None = URL) -> ClientsConfig | None:
    """Return what is written for users of somebody's billing system."""
    target = {"kind": "external", "bills": "theirs.csv", "url": url}
    billing = {"time_zone": "Europe/Berlin", "rates": RATES, "target": target, "load": load}
    run = RecordedFolder(folder, {"behaviour": MARCH, "billing": billing})
    assert run.scenario.billing is not None
    assert isinstance(run.scenario.billing.target, ExternalBilling)
    system = ExternalBillingSystem(
        run.prepared, run.scenario.billing, run.scenario.billing.target, doubt=print
    )
    assert asks_systems(run.scenario) == any(load.values())
    write_clients(run.prepared, 0, {"bal": None, "billing": system})
    file = run.path / "load" / "clients.json"
    return ClientsConfig.model_validate_json(file.read_text()) if file.is_file() else None


def test_bills_statistics_and_exports_are_asked_for(tmp_path: Path) -> None:
    load = {
        "bills_per_s": 3,
        "bills_after": "7 s",
        "statistics_per_s": 2,
        "exports_per_s": 0.5,
        "exports": ["statistics", "bills"],
    }
    config = told(tmp_path, load)
    assert config is not None
    assert {name: system.url for name, system in config.systems.items()} == {"billing": URL}
    bills, statistics, exports = config.operations
    assert (bills.kind, bills.details, bills.rate_per_s) == ("bill", {"month": "2026-03"}, 3)
    # March ends 900 s after the first step and is billed a minute later, 300 times as fast.
    assert bills.begins_s == 960 / 300 + 7
    assert (statistics.kind, statistics.details) == ("statistics", {"day": "2026-03-31"})
    assert (exports.kind, exports.rate_per_s) == ("export", 0.5)
    assert exports.subjects == ("statistics", "bills")


def test_nobody_is_asked_anything_unless_the_scenario_says_so(tmp_path: Path) -> None:
    assert told(tmp_path, {}) is None
    assert told(tmp_path, {"exports_per_s": 0}, url=None) is None


@dataclass(frozen=True)
class Up:
    """A system that is up."""

    url: str | None
    token_file: Path | None = None


def of_batteries(folder: Path, load: Mapping[str, Any], system: Up | None) -> ClientsConfig:
    bal = {"virtual": 2, "partitions": [{"name": "a", "share": "50 %"}], "load": load}
    run = RecordedFolder(folder, {"batteries": {"count": 4}, "bal": bal})
    write_clients(run.prepared, 3, {"bal": system, "billing": None})
    return ClientsConfig.model_validate_json((run.path / "load" / "clients.json").read_text())


def test_snapshots_and_currents_of_virtual_batteries_are_asked_for(tmp_path: Path) -> None:
    load = {"status_per_s": 2, "commands_per_s": 0.5, "current": 700}
    config = of_batteries(tmp_path, load, Up(URL, tmp_path / "token"))
    assert config.clients == 3
    assert config.systems["bal"].token_file == tmp_path / "token"
    status, command = config.operations
    assert (status.name, status.kind, status.rate_per_s) == ("bal.status", "bal-status", 2)
    assert (command.kind, command.details) == ("bal-current", {"current_ma": 700})
    assert status.subjects == command.subjects == ("virtual-00001/a", "virtual-00002/a")
    assert {one.system for one in config.operations} == {"bal"}


def test_only_what_has_a_rate_is_asked(tmp_path: Path) -> None:
    (only,) = of_batteries(tmp_path, {"commands_per_s": 1}, Up(URL)).operations
    assert only.name == "bal.command"


@pytest.mark.parametrize("system", [None, Up(None)])
def test_who_has_no_api_is_asked_nothing(tmp_path: Path, system: Up | None) -> None:
    config = of_batteries(tmp_path, {"commands_per_s": 1}, system)
    assert (config.systems, config.operations) == ({}, ())
