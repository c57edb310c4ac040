"""The bills of our own billing system, held against a check that shares nothing with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from harness.billing.accounts import Accounts as BilledAccounts
from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.engine import Billing, Rhythm
from harness.billing.sources import StoreSource
from harness.billing.tariffs import Tariffs
from harness.check.billing_rules import MonthRates
from harness.check.billing_truth import Accounts, BillingTruth
from harness.check.bills import BillAccount, DeliveredBills, check_bills, told
from harness.preload.filling import History, fill
from harness.store.opening import open_reader, open_store
from tests.support.bills import HOUR_S, TEN, billing, rates
from tests.support.recorded_run import tamper

CHEAP_NIGHTS = {"peak_from_s": 22 * HOUR_S, "peak_until_s": 6 * HOUR_S}
EPOCH = date(1970, 1, 1)


def accounts_of(meters: int) -> Accounts:
    """Return accounts of which a few are special."""
    accounts = Accounts.alike(meters, TEN)
    accounts.base_cents[1] = 3333
    accounts.since_day[2] = (date(2026, 3, 28) - EPOCH).days
    accounts.until_day[3] = (date(2026, 3, 30) - EPOCH).days
    return accounts


def fill_store(path: Path, truth: BillingTruth) -> None:
    """Write all that is captured: history and the live steps alike."""
    everything = History(
        truth.plan, truth.truth, range(truth.plan.grid.meters), truth.truth.intervals
    )
    with closing(open_store(path, truth.truth.profile.names, create=True)) as store:
        fill(store, everything, 1)


def tariffs_of(truth: BillingTruth) -> Tariffs:
    def clock(seconds: int) -> str:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"

    return Tariffs.model_validate(
        {
            "time_zone": str(truth.zone),
            "base_bill": TEN,
            "rates": [
                {
                    "month": f"{month.year}-{month.month:02}",
                    "peak": month.peak,
                    "off_peak": month.off_peak,
                    "peak_hours": f"{clock(month.peak_from_s)}-{clock(month.peak_until_s)}",
                }
                for month in truth.rates
            ],
        }
    )


def bill(folder: Path, store: Path, truth: BillingTruth) -> DeliveredBills:
    """Let billing make the bills of every month, twice each, and return what it exports."""
    accounts = BilledAccounts.alike(truth.plan.grid.meters, 0)
    accounts.initial_cents[:] = truth.accounts.base_cents
    accounts.since_day[:] = np.maximum(truth.accounts.since_day, 0)
    accounts.until_day[:] = truth.accounts.until_day
    with closing(Book.open(folder / "book.duckdb")) as book:
        source, rhythm = StoreSource([store]), Rhythm(truth.plan.step_s)
        engine = Billing(book, source, tariffs_of(truth), accounts, rhythm)
        for month in truth.rates:
            for _ in range(2):
                asyncio.run(engine.create_bills(Month(month.year, month.month)))
        book.export("bills", folder / "bills.parquet", "parquet")
    return DeliveredBills.read(folder / "bills.parquet")


def judged(folder: Path, truth: BillingTruth, *tampering: str) -> BillAccount:
    store = folder / "store.duckdb"
    fill_store(store, truth)
    if tampering:
        tamper(store, *tampering)
    bills = bill(folder, store, truth)
    with closing(open_reader(store)) as reader:
        return check_bills(bills, truth, reader)


@pytest.mark.parametrize(
    ("months", "zone"),
    [
        ([rates(2026, 3)], "Europe/Berlin"),
        ([rates(2026, 10, **CHEAP_NIGHTS)], "Europe/Berlin"),
        ([rates(2026, 3, peak_from_s=2 * HOUR_S, peak_until_s=3 * HOUR_S)], "Europe/Berlin"),
        ([rates(2026, 2), rates(2026, 3), rates(2026, 4, peak=Decimal("1.25"))], "UTC"),
        ([rates(2026, 3), rates(2026, 4)], "Australia/Sydney"),
    ],
)
def test_bills_are_right_to_the_cent(
    months: Sequence[MonthRates], zone: str, tmp_path: Path
) -> None:
    plain = billing(months, zone)
    truth = BillingTruth(plain.plan, plain.truth, zone, months, accounts_of(plain.plan.grid.meters))
    account = judged(tmp_path, truth)
    assert [told(example, truth) for example in account.examples] == []
    assert account.correct == account.due
    assert account.due >= (plain.plan.grid.meters - 2) * len(months)
    amounts = np.concatenate([bills.amount_cents[bills.is_due] for bills in truth.bills()])
    assert amounts.any()


def test_a_reading_that_was_changed_is_found(tmp_path: Path) -> None:
    truth = billing([rates(2026, 3)])
    # 12 March 2026 07:00 in Berlin, where the peak hours begin; 10 kWh less are told.
    changed_s = 1_773_295_200
    account = judged(
        tmp_path,
        truth,
        f"UPDATE readings SET import_wh = import_wh - 1 "
        f"WHERE meter = 5 AND captured_at = {changed_s}",
        f"UPDATE readings SET import_wh = import_wh - 9999999 "
        f"WHERE meter = 6 AND captured_at = {changed_s}",
    )
    found = {example.meter: example for example in account.examples}
    # A watt-hour less: the register still does not fall, and may or may not be worth a cent.
    assert set(found) <= {5, 6}
    because = found[6].because
    assert found[6].fate == "missing"
    assert because is not None
    assert because.captured_at_s == changed_s
    assert "2026-03-12T07:00:00+01:00" in told(found[6], truth)


def test_a_reading_that_is_missing_is_found(tmp_path: Path) -> None:
    truth = billing([rates(2026, 3)])
    begins_s, _ = rates(2026, 3).span(truth.zone)
    account = judged(
        tmp_path, truth, f"DELETE FROM readings WHERE meter = 4 AND captured_at = {begins_s}"
    )
    (example,) = account.examples
    assert (example.fate, example.meter, account.missing) == ("missing", 4, 1)
    assert example.because is not None
    assert (example.because.captured_at_s, example.because.found) == (begins_s, ())
