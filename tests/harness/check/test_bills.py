"""Bills held against the plan: every kind of difference, and the reading that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from harness.check.billing_truth import Accounts, BillingTruth
from harness.check.bills import (
    EXAMPLES_MAX,
    FATAL_BILLS,
    BillAccount,
    BillExample,
    BillsError,
    DeliveredBills,
    check_bills,
    told,
)
from tests.support.bills import TEN, billing, rates
from tests.support.stored import HandMadeReader, StoredRow

MARCH = rates(2026, 3)
TRUTH = billing([MARCH, rates(2026, 4)], step="3600 s")
METERS = TRUTH.plan.grid.meters
Bill = tuple[int, int, int]
"""(meter, month, cents)."""
RIGHT: list[Bill] = [
    (meter, bills.month, cents)
    for bills in TRUTH.bills()
    for meter, cents in enumerate(bills.amount_cents.tolist())
]


def delivered(bills: Sequence[Bill]) -> DeliveredBills:
    columns = np.array(bills, np.int64).reshape(-1, 3)
    return DeliveredBills(*columns.T)


def at_s(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=TRUTH.zone).timestamp())


def stored(truth: BillingTruth = TRUTH) -> list[StoredRow]:
    """Return a store in which all is right, March only."""
    begins_s, ends_s = MARCH.span(truth.zone)
    rows = []
    for moment_s in range(begins_s, ends_s + 1, truth.plan.step_s):
        values, status = truth.truth.registers(np.arange(METERS), truth.interval_of(moment_s))
        rows += [
            StoredRow(meter, moment_s, 1, int(status[meter]), tuple(values[meter].tolist()))
            for meter in range(METERS)
        ]
    return rows


ROWS = stored()


def reader(rows: Sequence[StoredRow]) -> HandMadeReader:
    return HandMadeReader(rows, TRUTH.truth.profile.names)


def one(account: BillAccount) -> BillExample:
    (example,) = account.examples
    return example


def test_bills_that_are_right_are_right() -> None:
    account = check_bills(delivered(RIGHT[::-1]), TRUTH, reader([]))
    assert account == BillAccount(due=2 * METERS, correct=2 * METERS)


def test_a_cent_is_enough() -> None:
    bills = list(RIGHT)
    meter, month, cents = bills[3]
    bills[3] = (meter, month, cents - 1)
    account = check_bills(delivered(bills), TRUTH)
    assert (account.due, account.correct, account.wrong) == (2 * METERS, 2 * METERS - 1, 1)
    assert one(account) == BillExample("wrong", 3, 202603, cents, (cents - 1,))
    assert "no reading is known that explains it" in told(one(account), TRUTH)


def test_a_bill_that_is_not_there_is_missing() -> None:
    account = check_bills(delivered(RIGHT[:-1]), TRUTH)
    assert (account.correct, account.missing) == (2 * METERS - 1, 1)
    assert one(account).found_cents == ()
    assert "for 2026-04 is not there, and must be" in told(one(account), TRUTH)


def test_nobody_is_billed_twice() -> None:
    meter, month, cents = RIGHT[5]
    account = check_bills(delivered([*RIGHT, RIGHT[5], (meter, month, 1)]), TRUTH)
    assert (account.correct, account.wrong, account.twice) == (2 * METERS, 0, 2)
    assert one(account) == BillExample("twice", meter, month, cents, (cents, cents, 1))
    assert told(one(account), TRUTH).endswith(f"must be {cents // 100}.{cents % 100:02}")


@pytest.mark.parametrize("bill", [(METERS, 202603, 5), (-1, 202603, 5), (0, 202605, 12345)])
def test_a_bill_of_no_meter_or_month_is_invented(bill: Bill) -> None:
    account = check_bills(delivered([*RIGHT, bill]), TRUTH)
    assert (account.correct, account.invented) == (2 * METERS, 1)
    assert one(account).expected_cents is None
    assert "has nothing in the plan to it" in told(one(account), TRUTH)


def test_who_is_no_customer_yet_has_no_bill() -> None:
    accounts = Accounts.alike(METERS, TEN)
    accounts.since_day[2] = MARCH.days[1] + 9
    truth = billing([MARCH, rates(2026, 4)], accounts=accounts, step="3600 s")
    account = check_bills(delivered([b for b in RIGHT if b[0] != 2]), truth)
    assert (account.due, account.correct, account.missing) == (2 * METERS - 1, 2 * METERS - 2, 1)
    early = check_bills(delivered([b for b in RIGHT if b[:2] != (2, 202604)]), truth)
    assert (early.correct, early.missing, early.invented) == (2 * METERS - 2, 1, 1)
    # Nothing of before a customer came explains the bill.
    came = at_s("2026-04-10T00:00:00")
    wrong = [(m, month, cents + (m == 2)) for m, month, cents in RIGHT if (m, month) != (2, 202603)]
    because = one(check_bills(delivered(wrong), truth, reader(changed(2, "2026-03-05T20:00:00"))))
    assert because.because is not None
    assert (because.because.captured_at_s, because.because.found) == (came, ())


def test_without_any_bill_all_are_missing_and_few_are_told() -> None:
    account = check_bills(delivered([]), TRUTH)
    assert account.missing == account.due == 2 * METERS
    assert len(account.examples) == EXAMPLES_MAX
    assert set(FATAL_BILLS) == {"wrong", "twice", "invented"}


def wrong_bill(meter: int) -> DeliveredBills:
    bills = [(m, month, cents + (m == meter and month == 202603)) for m, month, cents in RIGHT]
    return delivered(bills)


def changed(meter: int, *moments: str) -> list[StoredRow]:
    """Return the store with readings of one meter altered."""
    times = {at_s(moment) for moment in moments}
    return [
        row.altered() if row.meter == meter and row.captured_at_s in times else row for row in ROWS
    ]


def test_the_first_decisive_reading_explains_a_wrong_bill() -> None:
    # What lies between the bounds of the peak hours decides nothing.
    rows = changed(4, "2026-03-02T09:00:00", "2026-03-05T20:00:00", "2026-03-06T07:00:00")
    account = check_bills(wrong_bill(4), TRUTH, reader(rows))
    because = one(account).because
    assert (account.wrong, account.explained) == (1, 1)
    assert because is not None
    assert (because.meter, because.captured_at_s) == (4, at_s("2026-03-05T20:00:00"))
    assert because.interval == TRUTH.interval_of(because.captured_at_s)
    right, found = because.expected[1], because.found[1]
    assert found == right ^ 1
    assert (
        f"its reading of 2026-03-05T20:00:00+01:00 (interval {because.interval}) has import_wh "
        f"{found} in the store instead of {right}" in told(one(account), TRUTH)
    )


def test_a_reading_between_explains_where_no_decisive_one_does() -> None:
    account = check_bills(
        wrong_bill(4), TRUTH, reader(changed(4, "2026-03-02T09:00:00", "2026-03-20T03:00:00"))
    )
    because = one(account).because
    assert account.explained == 1
    assert because is not None
    assert because.captured_at_s == at_s("2026-03-02T09:00:00")


def test_a_reading_that_is_not_there_explains_a_missing_bill() -> None:
    ends = at_s("2026-04-01T00:00:00")
    rows = [row for row in ROWS if (row.meter, row.captured_at_s) != (2, ends)]
    bills = [bill for bill in RIGHT if bill[:2] != (2, 202603)]
    account = check_bills(delivered(bills), TRUTH, reader(rows))
    because = one(account).because
    assert because is not None
    assert (because.captured_at_s, because.found) == (ends, ())
    assert "its reading of 2026-04-01T00:00:00+02:00" in told(one(account), TRUTH)
    assert told(one(account), TRUTH).endswith("is not in the store")


def test_a_doubled_reading_with_other_values_explains_too() -> None:
    moment = at_s("2026-03-10T07:00:00")
    twin = next(row for row in ROWS if (row.meter, row.captured_at_s) == (1, moment))
    account = check_bills(wrong_bill(1), TRUTH, reader([*ROWS, twin.altered(3)]))
    because = one(account).because
    assert because is not None
    assert because.captured_at_s == moment
    assert "export_wh" in told(one(account), TRUTH)


def test_readings_that_are_all_right_explain_nothing() -> None:
    account = check_bills(wrong_bill(4), TRUTH, reader(ROWS))
    assert one(account).because is None
    assert told(one(account), TRUTH).endswith("so it is billing's own doing")
    assert (account.wrong, account.explained) == (1, 0)


def test_every_bill_is_explained_not_only_those_that_are_told_of() -> None:
    bills = [(m, month, cents + (month == 202603)) for m, month, cents in RIGHT]
    moment = at_s("2026-03-05T20:00:00")
    rows = [row for row in ROWS if row.captured_at_s != moment or row.meter == 0]
    account = check_bills(delivered(bills), TRUTH, reader(rows))
    assert (account.wrong, account.explained) == (METERS, METERS - 1)
    assert len(account.examples) == min(METERS, EXAMPLES_MAX)
    assert account.examples[0].because is None
    for example in account.examples[1:]:
        assert example.because is not None
        assert (example.because.captured_at_s, example.because.found) == (moment, ())


# ---- files -------------------------------------------------------------------------------------


def write(path: Path, query: str) -> Path:
    with duckdb.connect() as session:
        session.execute(f"COPY ({query}) TO '{path}'")
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 7 AS meter, '2026-03' AS month, 12.35::DECIMAL(12, 2) AS amount",
        "SELECT 'x' AS note, 12.35::DOUBLE AS amount, 202603 AS month, 7::UINTEGER AS meter",
        "SELECT 1235 AS amount_cents, 7 AS meter, 202603 AS month",
    ],
)
def test_bills_are_read_from_files(query: str, ending: str, tmp_path: Path) -> None:
    found = DeliveredBills.read(write(tmp_path / f"bills.{ending}", query))
    assert (found.meter.tolist(), found.month.tolist()) == ([7], [202603])
    assert found.amount_cents.tolist() == [1235]
    assert found.amount_cents.dtype == np.int64


def test_a_file_without_bills_has_none(tmp_path: Path) -> None:
    query = "SELECT 7 AS meter, 202603 AS month, 1.5 AS amount WHERE false"
    assert len(DeliveredBills.read(write(tmp_path / "bills.parquet", query))) == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 7 AS meter, 202603 AS month", "amount"),
        ("SELECT 7 AS meter, 'March' AS month, 1.5 AS amount", "March"),
        ("SELECT 7 AS meter, 202603 AS month, 1.505 AS amount", "whole number of cents"),
        ("SELECT 7 AS meter, 202603 AS month, NULL::DOUBLE AS amount", "without amount"),
        ("SELECT NULL::INT AS meter, 202603 AS month, 1.5 AS amount", "without meter"),
        ("SELECT 7.4 AS meter, 202603 AS month, 1.5 AS amount", "meter is '7.4'"),
        ("SELECT 7 AS meter, '2026-3' AS month, 1.5 AS amount", "month is '2026-3'"),
        ("SELECT 7 AS meter, 202613 AS month, 1.5 AS amount", "month is '202613'"),
        ("SELECT 7 AS meter, 202603.4 AS month, 1.5 AS amount", "month is '202603.4'"),
        ("SELECT 7 AS meter, 202603 AS month, 'inf'::DOUBLE AS amount", "amount is 'inf'"),
        ("SELECT 7 AS meter, 202603 AS month, 'nan'::DOUBLE AS amount", "amount is 'nan'"),
        ("SELECT 7 AS meter, 202603 AS month, 1e300 AS amount", "amount is '1e"),
        ("SELECT 7 AS meter, 202603 AS month, '12,50' AS amount", "amount is '12,50'"),
        ("SELECT 7 AS meter, 202603 AS month, 1235.5 AS amount_cents", "whole number of cents"),
    ],
)
def test_a_file_that_holds_no_bills_is_refused(query: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BillsError, match=message):
        DeliveredBills.read(write(tmp_path / "bills.parquet", query))


@pytest.mark.parametrize("text", ["meter,month,amount\n", "meter;month;amount\n"])
def test_a_csv_file_that_has_only_a_head_line_has_no_bills(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bills.csv"
    path.write_text(text)
    assert len(DeliveredBills.read(path)) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no bills"),
        ("7,2026-03,12.50\n", "holds no bills"),
        ("meter,month,amount\n7,2026-03\n", "without amount|holds no bills"),
        ("meter;month;amount\n7;2026-03;12,50\n", "amount is '12,50'"),
        ("meter,month,amount\n7,2026-03-01,12.50\n", "month is '2026-03-01'"),
        ("meter,month,amount\n7,2026-03,inf\n", "amount is 'inf'"),
        ("meter,month,amount\nM7,2026-03,1\n", "meter is 'M7'"),
    ],
)
def test_a_csv_file_that_could_be_guessed_at_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bills.csv"
    path.write_text(text)
    with pytest.raises(BillsError, match=message):
        DeliveredBills.read(path)


def test_large_and_negative_amounts_are_read_to_the_cent(tmp_path: Path) -> None:
    path = tmp_path / "bills.csv"
    path.write_text(
        "Meter,Month,Amount\n7,2026-03,12345678901.23\n8,202603,-0.05\n9,202603,0.1500000000000002\n"
    )
    found = DeliveredBills.read(path)
    assert found.amount_cents.tolist() == [1_234_567_890_123, -5, 15]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BillsError, match=r"none\.parquet"):
        DeliveredBills.read(tmp_path / "none.parquet")
