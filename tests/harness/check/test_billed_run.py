from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from harness.billing.tariffs import Rates
from harness.check.billed_run import billing_truth, months_of
from harness.check.recorded import RecordedRun
from tests.support.bills import TEN, billing, rates
from tests.support.recorded_run import SCENARIO, RecordedFolder

BERLIN = ZoneInfo("Europe/Berlin")


def written(*months: str) -> tuple[Rates, ...]:
    return tuple(
        Rates.model_validate(
            {"month": month, "peak": "0.32", "off_peak": "0.21", "peak_hours": "07:00-20:00"}
        )
        for month in months
    )


@pytest.mark.parametrize(("opened", "covered"), [(4, [202603, 202604]), (3, [202603])])
def test_a_month_is_owed_when_its_last_reading_is(opened: int, covered: list[int]) -> None:
    # The plan ends with the reading of 1 May, 00:00, its fourth live one.
    truth = billing([rates(2026, 3), rates(2026, 4)], step="3600 s")
    found = months_of(
        written("2026-05", "2026-04", "2026-02", "2026-03"),
        BERLIN,
        truth.plan,
        truth.truth,
        opened,
    )
    assert [month.number for month in found] == covered
    assert (found[0].peak, found[0].off_peak) == (Decimal("0.32"), Decimal("0.21"))
    assert (found[0].peak_from_s, found[0].peak_until_s) == (7 * 3600, 20 * 3600)


def test_a_recorded_run_owes_a_bill_of_every_meter(tmp_path: Path) -> None:
    behaviour = {
        **SCENARIO["behaviour"],
        "step": "1 h",
        "preloaded": 28 * 24 + 1 - 4,
        "first": "2026-02-28T21:00:00+00:00",
    }
    run = RecordedRun.open(RecordedFolder(tmp_path, {"behaviour": behaviour}).path)
    truth = billing_truth(run, "UTC", written("2026-02", "2026-03"), TEN)
    (bills,) = truth.bills()
    assert bills.month == 202602
    assert bills.is_due.all()
    assert (bills.base_cents == 1000).all()
    assert (bills.amount_cents > 0).any()


def test_a_run_of_hours_owes_no_bill(tmp_path: Path) -> None:
    run = RecordedRun.open(RecordedFolder(tmp_path).path)
    assert list(billing_truth(run, "UTC", written("2026-02"), TEN).bills()) == []
