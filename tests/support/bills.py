"""Months of bills: prices, and plans that cover the months to the quarter-hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from emulator.behaviour_parameters import BehaviourParameters
from emulator.plan import Plan
from harness.check.billing_rules import MonthRates
from harness.check.billing_truth import Accounts, BillingTruth
from tests.support.grids import small_grid, truth_of

HOUR_S: Final = 3600
TEN: Final = Decimal("10.00")
SUN: Final = [
    {
        "name": "sun",
        "source": "bdew:p25",
        "annual": ["2000 kWh", "9000 kWh"],
        "export": "sun:50.0",
        "share": "100 %",
    }
]


def rates(year: int, month: int, **changes: Any) -> MonthRates:
    plain = MonthRates(year, month, Decimal("0.3210"), Decimal("0.2105"), 7 * HOUR_S, 20 * HOUR_S)
    return replace(plain, **changes)


def billing(
    months: Sequence[MonthRates],
    zone: str = "Europe/Berlin",
    accounts: Accounts | None = None,
    **behaviour: Any,
) -> BillingTruth:
    """Return the bills of a plan that covers exactly these months, its last four steps live."""
    step_s = int(behaviour.get("step", "900 s").split()[0])
    first_s, _ = months[0].span(ZoneInfo(zone))
    _, last_s = months[-1].span(ZoneInfo(zone))
    preloaded = (last_s - first_s) // step_s + 1 - 4
    parameters = BehaviourParameters.model_validate(
        {"steps": 4, "preloaded": preloaded, **behaviour}
    )
    lives_s = first_s + preloaded * step_s
    grid, truth = truth_of(small_grid(2, patterns=SUN), parameters, first_s=lives_s)
    if accounts is None:
        accounts = Accounts.alike(grid.meters, TEN)
    return BillingTruth(Plan(grid, parameters, lives_s, 7), truth, zone, months, accounts)
