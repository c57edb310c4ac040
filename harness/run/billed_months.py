"""Which months and days a run lets end, by the clock of those who are billed."""

from __future__ import annotations

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from harness.billing.calendar import Month, day_of, month_span
from harness.run.preparation import Prepared
from harness.scenario.billing import Billing

AFTER_S: Final = 60.0
"""Scenario seconds after a month's end at which it is billed for the first time."""


def billed_months(prepared: Prepared, billing: Billing) -> list[str]:
    """Return the months with rates that end while the run goes on, or before it."""
    return [str(month) for month, _ in _billed(prepared, billing)]


def bills_begin_s(prepared: Prepared, billing: Billing) -> float:
    """Return the real seconds after the first step at which the first of them ends."""
    first_s = prepared.fleet.first_s
    ended_s = min((ends_s for _, ends_s in _billed(prepared, billing)), default=first_s)
    return max(0.0, (ended_s + AFTER_S - first_s) / prepared.scenario.speed)


def ended_days(prepared: Prepared, billing: Billing) -> tuple[date, date]:
    """Return the day of the first capture that is lived through, and that of the last.

    Those from the first to before the last have ended.
    """
    zone = ZoneInfo(billing.time_zone)
    return day_of(prepared.fleet.first_s, zone), day_of(_last_s(prepared), zone)


def _billed(prepared: Prepared, billing: Billing) -> list[tuple[Month, int]]:
    zone, fleet = ZoneInfo(billing.time_zone), prepared.fleet
    first_s = fleet.first_s - fleet.behaviour.preloaded * fleet.behaviour.step_s
    spans = [(rates.month, month_span(rates.month, zone)) for rates in billing.rates]
    return [
        (month, ends_s)
        for month, (begins_s, ends_s) in spans
        if first_s <= begins_s and ends_s <= _last_s(prepared)
    ]


def _last_s(prepared: Prepared) -> int:
    fleet = prepared.fleet
    return fleet.first_s + (fleet.behaviour.steps - 1) * fleet.behaviour.step_s
