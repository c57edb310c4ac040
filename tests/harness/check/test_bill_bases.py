"""Bills that are wrong because of what a month before was billed, and why that one was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
import pytest

from harness.check.bills import BillAccount, DeliveredBills, check_bills, told
from tests.support.bills import HOUR_S, billing, rates
from tests.support.stored import HandMadeReader, StoredRow

CHEAP = Decimal("0.000001")
HOURS = {"peak_from_s": 6 * HOUR_S, "peak_until_s": 21 * HOUR_S}
MONTHS = [rates(2026, month, peak=CHEAP, off_peak=CHEAP, **HOURS) for month in (2, 3, 4)]
TRUTH = billing(MONTHS, step="10800 s", zone="UTC")
"""Energy costs next to nothing, so bills are base bills: 10.00 each."""
METERS = TRUTH.plan.grid.meters
MARCH_S = int(datetime.fromisoformat("2026-03-01T00:00:00+00:00").timestamp())
APRIL_S = int(datetime.fromisoformat("2026-04-01T00:00:00+00:00").timestamp())


def reader(wrong: Sequence[tuple[int, int]] = ()) -> HandMadeReader:
    """Return a store in which all is right but readings of (meter, time)."""
    begins_s, ends_s = MONTHS[0].span(TRUTH.zone)[0], MONTHS[-1].span(TRUTH.zone)[1]
    rows = []
    for at_s in range(begins_s, ends_s + 1, TRUTH.plan.step_s):
        values, status = TRUTH.truth.registers(np.arange(METERS), TRUTH.interval_of(at_s))
        for meter in range(METERS):
            row = StoredRow(meter, at_s, 1, int(status[meter]), tuple(values[meter].tolist()))
            rows.append(row.altered() if (meter, at_s) in wrong else row)
    return HandMadeReader(rows, TRUTH.truth.profile.names)


def judged(
    changes: dict[tuple[int, int], int | None], wrong: Sequence[tuple[int, int]]
) -> BillAccount:
    """Judge right bills but for some of (meter, month): other cents, or None for no bill."""
    bills = [
        (meter, bills.month, changes.get((meter, bills.month), cents))
        for bills in TRUTH.bills()
        for meter, cents in enumerate(bills.amount_cents.tolist())
    ]
    columns = np.array([bill for bill in bills if bill[2] is not None], np.int64)
    return check_bills(DeliveredBills(*columns.T), TRUTH, reader(wrong))


def expected(meter: int, month: int) -> int:
    """Return what a bill must be, in cents."""
    (bills,) = (bills for bills in TRUTH.bills() if bills.month == month)
    return int(bills.amount_cents[meter])


def test_the_bills_of_this_town_are_base_bills() -> None:
    assert {expected(meter, 202604) for meter in range(METERS)} == {1000}


def test_a_reading_of_the_month_before_explains_a_base_bill_that_fell() -> None:
    # April was billed as if March had been below nothing, which a reading of March explains.
    account = judged({(2, 202604): 750}, [(2, MARCH_S)])
    (example,) = account.examples
    assert (account.wrong, account.explained) == (1, 1)
    assert example.because is not None
    assert (example.because.meter, example.because.captured_at_s) == (2, MARCH_S)
    assert "its reading of 2026-03-01T00:00:00+00:00" in told(example, TRUTH)


def test_the_first_of_all_months_before_is_told() -> None:
    account = judged({(2, 202604): 563}, [(2, MONTHS[0].span(TRUTH.zone)[0]), (2, MARCH_S)])
    (example,) = account.examples
    assert example.because is not None
    assert example.because.captured_at_s == MONTHS[0].span(TRUTH.zone)[0]


def test_a_reading_of_its_own_month_comes_first() -> None:
    account = judged({(2, 202604): 750}, [(2, MARCH_S), (2, APRIL_S)])
    (example,) = account.examples
    assert example.because is not None
    assert example.because.captured_at_s == APRIL_S


@pytest.mark.parametrize("cents", [999, 751, 1250, 0, 564])
def test_what_no_base_bill_leads_to_is_billing_s_own_doing(cents: int) -> None:
    account = judged({(2, 202604): cents}, [(2, MARCH_S)])
    (example,) = account.examples
    assert (account.explained, example.because) == (0, None)


def test_somebody_else_s_reading_and_a_later_one_explain_nothing() -> None:
    account = judged({(2, 202603): 750}, [(1, MARCH_S - 3 * 3600 * 8), (1, MARCH_S)])
    assert (account.wrong, account.explained) == (1, 0)
    end_s = MONTHS[-1].span(TRUTH.zone)[1]
    account = judged({(2, 202603): 750}, [(2, end_s)])
    assert (account.wrong, account.explained) == (1, 0)


def test_a_bill_that_waits_for_one_before_is_explained_by_its_reading() -> None:
    account = judged({(2, 202603): None, (2, 202604): None}, [(2, MARCH_S)])
    assert (account.missing, account.explained) == (2, 2)
    assert [example.because.captured_at_s for example in account.examples if example.because] == [
        MARCH_S,
        MARCH_S,
    ]
