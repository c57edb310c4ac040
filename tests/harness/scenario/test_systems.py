"""What a scenario says of the systems beside the head-end: batteries, their layer, billing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from harness.bal.model.refresh import RefreshMode
from harness.bal.model.values import Policy
from tests.support.scenario_files import SMALL, load, problems

BATTERIES = SMALL + "[batteries]\ncount = 20\n"
BAL = "[bal]\nvirtual = 4\n"
BILLING = """\
[billing]
time_zone = "Europe/Berlin"
rates = [{ month = "2026-03", peak = "0.3", off_peak = "0.2", peak_hours = "07:00-22:00" }]
"""


def test_batteries_and_their_layer_have_defaults(tmp_path: Path) -> None:
    scenario = load(tmp_path, BATTERIES + BAL)
    assert scenario.bal is not None
    assert scenario.batteries is not None
    assert scenario.batteries.count == 20
    assert (scenario.bal.virtual, scenario.bal.policy) == (4, Policy.PROPORTIONAL)
    assert scenario.bal.refresh is RefreshMode.LAZY
    assert scenario.bal.staleness == 900
    assert scenario.bal.load_driver.status_per_s == 0
    assert load(tmp_path, SMALL).bal is None


def test_what_is_written_comes_back_from_the_resolved_scenario(tmp_path: Path) -> None:
    text = BATTERIES + BAL + "[bal.load]\nstatus_per_s = 2.5\n" + BILLING
    scenario = load(tmp_path, text)
    assert type(scenario).from_resolved(scenario.resolved_json()) == scenario
    assert scenario.billing is not None
    assert scenario.billing.tariffs.rates[0].peak == Decimal("0.3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + BAL, "there are no batteries"),
        (BATTERIES + "[bal]\n", 'say how many batteries are "virtual"'),
        (BATTERIES + "[bal]\nvirtual = 21\n", "there are only 20 batteries"),
        (BATTERIES + '[bal]\nvirtual = 2\ntopology = "x.toml"\n', "virtual"),
        (
            BATTERIES
            + "[bal]\nvirtual = 2\npartitions = ["
            + '{ name = "a", share = "60 %" }, { name = "b", share = "60 %" }]\n',
            "120 %",
        ),
        (BATTERIES + "[bal]\nvirtual = 2\napi = false\n[bal.load]\nstatus_per_s = 1\n", "API"),
        (
            SMALL + '[batteries]\ncount = 2\nlinks = [{ profile = "gpsr", share = "100 %" }]\n',
            "no such link profile",
        ),
        (SMALL + BILLING.replace("2026-03", "2026-13"), "month"),
        (SMALL + BILLING.replace('"0.3"', '"-0.3"'), "rates"),
        (SMALL + BILLING.replace("Europe/Berlin", "Europe/Berlyn"), "time_zone"),
        (SMALL + '[billing]\ntime_zone = "UTC"\nrates = []\n', "rates"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    lines = problems(tmp_path, text)
    assert any(said in line for line in lines), lines
    assert all(line.startswith("x.toml:") for line in lines), lines
