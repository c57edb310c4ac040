"""Bills held against the plan, to the cent, and the first reading that explains a difference.

What a bill must be comes from `harness.check.billing_truth`; what it is, from a file that a billing
system wrote. A store is asked only where the two differ (`harness.check.bill_faults`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.check.bill_faults import ReadingFault, decisive_faults, faults_at, first_faults
from harness.check.billing_truth import BillingTruth, TrueBills
from harness.store.interface import StoredReader

Int64Array = NDArray[np.int64]

EXAMPLES_MAX: Final = 10
FATAL_BILLS: Final = {
    "wrong": "bills that are not right to the cent",
    "twice": "bills of a meter and month that were billed already",
    "invented": "bills of no meter or month of the plan",
}
"""What no billing system may do, by the names of `BillAccount`."""


class BillsError(Exception):
    """A file of bills cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class DeliveredBills:
    """Bills as a billing system made them, in columns: int64 (n,) each.

    Attributes:
        meter: meter numbers.
        month: as numbers such as 202603.
        amount_cents: what is to be paid.
    """

    meter: Int64Array
    month: Int64Array
    amount_cents: Int64Array

    def __len__(self) -> int:
        return len(self.meter)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a Parquet or CSV file with the columns ``meter``, ``month`` and ``amount``.

        ``month`` is written 2026-03 or 202603. In place of ``amount``, ``amount_cents`` will do.

        Raises:
            BillsError: there is no such file, it lacks a column, or it holds something else, such
                as an amount that is no whole number of cents.
        """
        try:
            columns = _bill_columns(path)
        except (duckdb.Error, OSError) as error:
            raise BillsError(f"{path} holds no bills: {error}") from error
        for name, column in columns.items():
            if np.ma.is_masked(column):
                raise BillsError(f"{path} has bills without {name}")
        cents = np.rint(columns["amount"])
        if not np.allclose(cents, columns["amount"], rtol=0, atol=1e-6):
            raise BillsError(f"{path} has bills that are no whole number of cents")
        meter, month, amount = (
            np.asarray(column, np.int64) for column in (columns["meter"], columns["month"], cents)
        )
        return cls(meter, month, amount)


def _bill_columns(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the columns of a file; ``amount`` in cents, as floating point."""
    with duckdb.connect() as session:
        read = session.read_csv if path.suffix == ".csv" else session.read_parquet
        file = read(str(path))
        amount = "amount_cents" if "amount_cents" in file.columns else "amount * 100"
        columns: dict[str, NDArray[np.generic]] = file.select(
            "meter::BIGINT AS meter, replace(month::VARCHAR, '-', '')::BIGINT AS month, "
            f"({amount})::DOUBLE AS amount"
        ).fetchnumpy()
        return columns


@dataclass(frozen=True, slots=True)
class BillExample:
    """One bill that failed, for a person to look at.

    Attributes:
        fate: which count of `BillAccount` it is in.
        meter: its number.
        month: as a number such as 202603.
        expected_cents: what it must be; ``None`` where there must be none.
        found_cents: what it is, once for each time it was billed.
        because: the first reading that explains it; ``None`` where the store has them all right, or
            was not asked.
    """

    fate: str
    meter: int
    month: int
    expected_cents: int | None
    found_cents: tuple[int, ...]
    because: ReadingFault | None = None


@dataclass(slots=True)
class BillAccount:
    """All bills that must be there and all that are; due = correct + wrong + missing."""

    due: int = 0
    correct: int = 0
    wrong: int = 0
    missing: int = 0
    twice: int = 0
    """Bills beyond the first of a meter and month; the first is judged by its amount."""
    invented: int = 0
    explained: int = 0
    """Of those wrong and missing, how many the store explains: a reading that the bill follows from
    is not there as its meter registered it. What lies between those is looked at for examples only;
    the rest is the billing system's own doing."""
    examples: list[BillExample] = field(default_factory=list)


def check_bills(
    delivered: DeliveredBills, truth: BillingTruth, reader: StoredReader | None = None
) -> BillAccount:
    """Hold every bill against the plan.

    Args:
        delivered: what was billed, in the order in which it was.
        truth: what must be billed.
        reader: the store the bills were made from; without it no reason is looked for.

    Raises `StoreError` when the store cannot be read.
    """
    account = BillAccount()
    planned = np.zeros(len(delivered), np.bool_)
    for bills in truth.bills():
        mine = _of_month(delivered, bills)
        planned[mine] = True
        examples, doubtful = _judge(delivered, mine, bills, account)
        if reader is not None and doubtful.any():
            explained, examples = _explain(examples, doubtful, bills, truth, reader)
            account.explained += explained
        account.examples += examples[: EXAMPLES_MAX - len(account.examples)]
    strange = np.flatnonzero(~planned)
    account.invented += len(strange)
    for bill in strange[: EXAMPLES_MAX - len(account.examples)].tolist():
        columns = (delivered.meter, delivered.month, delivered.amount_cents)
        meter, month, cents = (int(column[bill]) for column in columns)
        account.examples.append(BillExample("invented", meter, month, None, (cents,)))
    return account


def _of_month(delivered: DeliveredBills, bills: TrueBills) -> NDArray[np.intp]:
    """Return the places of the bills of a month of meters that have one."""
    known = (delivered.meter >= 0) & (delivered.meter < len(bills.is_due))
    places = np.flatnonzero(known & (delivered.month == bills.month))
    return places[bills.is_due[delivered.meter[places]]]


def _judge(
    delivered: DeliveredBills, mine: NDArray[np.intp], bills: TrueBills, account: BillAccount
) -> tuple[list[BillExample], NDArray[np.bool_]]:
    """Count the bills of one month.

    Returns examples of those that failed, and the meters whose bill is wrong or missing.
    """
    meter, cents = delivered.meter[mine], delivered.amount_cents[mine]
    meters = len(bills.amount_cents)
    count = np.bincount(meter, minlength=meters)
    first = np.zeros(meters, np.int64)
    first[meter[::-1]] = cents[::-1]
    fates = {
        "wrong": (count > 0) & (first != bills.amount_cents),
        "missing": bills.is_due & (count == 0),
        "twice": count > 1,
    }
    account.due += int(np.count_nonzero(bills.is_due))
    account.correct += int(np.count_nonzero((count > 0) & ~fates["wrong"]))
    account.wrong += int(np.count_nonzero(fates["wrong"]))
    account.missing += int(np.count_nonzero(fates["missing"]))
    account.twice += int(np.maximum(count - 1, 0).sum())
    examples = [
        BillExample(
            fate,
            number,
            bills.month,
            int(bills.amount_cents[number]),
            tuple(cents[meter == number].tolist()),
        )
        for fate, which in fates.items()
        for number in np.flatnonzero(which)[:EXAMPLES_MAX].tolist()
    ]
    return examples, fates["wrong"] | fates["missing"]


def _explain(
    examples: Sequence[BillExample],
    doubtful: NDArray[np.bool_],
    bills: TrueBills,
    truth: BillingTruth,
    reader: StoredReader,
) -> tuple[int, list[BillExample]]:
    """Return how many doubtful bills the store explains, and the examples with their reasons."""
    first = decisive_faults(doubtful, bills, truth, reader)
    told_of = {example.meter for example in examples if doubtful[example.meter]}
    faults = faults_at({meter: int(first[meter]) for meter in told_of}, truth, reader)
    others = first_faults(told_of - faults.keys(), bills, truth, reader)
    explained = [
        replace(example, because=(faults | others).get(example.meter)) for example in examples
    ]
    return int(np.count_nonzero(first)) + len(others), explained


def told(example: BillExample, truth: BillingTruth) -> str:
    """Return one sentence on a bill that failed."""
    month = f"{example.month // 100:04}-{example.month % 100:02}"
    bill = f"{example.fate}: the bill of meter {example.meter} for {month}"
    if example.expected_cents is None:
        return f"{bill}, {_money(example.found_cents[0])}, has nothing in the plan to it"
    found = " and then ".join(map(_money, example.found_cents)) or "not there"
    text = f"{bill} is {found}, and must be {_money(example.expected_cents)}"
    return f"{text}: {_reason(example, truth)}" if example.fate != "twice" else text


def _reason(example: BillExample, truth: BillingTruth) -> str:
    fault = example.because
    if fault is None:
        return "no reading is known that explains it"
    when = datetime.fromtimestamp(fault.captured_at_s, truth.zone).isoformat()
    reading = f"its reading of {when} (interval {fault.interval})"
    if not fault.found:
        return f"{reading} is not in the store"
    names = ("status", *truth.truth.profile.names)
    differing = [
        f"{name} {found} in the store instead of {expected}"
        for name, expected, found in zip(names, fault.expected, fault.found, strict=True)
        if expected != found
    ]
    return f"{reading} has {', '.join(differing)}"


def _money(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
