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

from harness.check.bill_bases import NO_BILL, inherited_faults
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
        return cls(*(columns[name].astype(np.int64) for name in ("meter", "month", "cents")))


_WRITTEN: Final = {
    "meter": r"-?[0-9]{1,18}([.]0+)?",
    "month": r"[0-9]{4}-?(0[1-9]|1[0-2])",
    "amount": r"-?[0-9]{1,11}([.][0-9]+)?",
}
"""How each column is written: text is compared, so nothing is rounded or guessed by a reader."""


def _bill_columns(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return meter, month and cents of a file. Raises `BillsError`, `duckdb.Error`, `OSError`."""
    with duckdb.connect() as session:
        if path.suffix == ".csv":
            file = session.read_csv(str(path), header=True, all_varchar=True)
        else:
            file = session.read_parquet(str(path))
        in_cents = "amount_cents" in map(str.lower, file.columns)
        amount = "amount_cents" if in_cents else "amount"
        bills = file.select(
            "trim(meter::VARCHAR) AS meter, trim(month::VARCHAR) AS month, "
            f"trim({amount}::VARCHAR) AS amount"
        )
        for name, pattern in _WRITTEN.items():
            _look_at(path, bills, name, pattern)
        # Nine places: a sum in floating point is off by less, and nobody means the tenth.
        cents = "amount::DECIMAL(20, 9)" if in_cents else "amount::DECIMAL(20, 9) * 100"
        if bills.filter(f"{cents} <> round({cents}, 0)").limit(1).fetchall():
            raise BillsError(f"{path} has bills that are no whole number of cents")
        columns: dict[str, NDArray[np.generic]] = bills.select(
            "meter::DECIMAL(20, 1)::BIGINT AS meter, replace(month, '-', '')::BIGINT AS month, "
            f"round({cents}, 0)::BIGINT AS cents"
        ).fetchnumpy()
        return columns


def _look_at(path: Path, bills: duckdb.DuckDBPyRelation, name: str, pattern: str) -> None:
    """Raise `BillsError` if one of the bills has no ``name`` that is written like a pattern."""
    if bills.filter(f"{name} IS NULL").limit(1).fetchall():
        raise BillsError(f"{path} has bills without {name}")
    strange = (
        bills.filter(f"NOT regexp_full_match({name}, '{pattern}')").select(name).limit(1).fetchall()
    )
    if strange:
        raise BillsError(f"{path} has a bill whose {name} is {strange[0][0]!r}")


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
        looked_for: whether all that the store has of the time was looked at for one.
    """

    fate: str
    meter: int
    month: int
    expected_cents: int | None
    found_cents: tuple[int, ...]
    because: ReadingFault | None = None
    looked_for: bool = False


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
    earlier: list[TrueBills] = []
    for bills in truth.bills():
        mine = _of_month(delivered, bills)
        planned[mine] = True
        examples, doubtful, found_cents = _judge(delivered, mine, bills, account)
        if reader is not None and doubtful.any():
            first = decisive_faults(doubtful, bills, truth, reader)
            open_ones = doubtful & (first == 0)
            first += inherited_faults(open_ones, found_cents, bills, earlier, truth, reader)
            explained, examples = _explain(examples, doubtful, first, bills, truth, reader)
            account.explained += explained
        earlier.append(bills)
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
) -> tuple[list[BillExample], NDArray[np.bool_], Int64Array]:
    """Count the bills of one month.

    Returns examples of those that failed, the meters whose bill is wrong or missing, and what each
    was billed first (or `NO_BILL`).
    """
    meter, cents = delivered.meter[mine], delivered.amount_cents[mine]
    meters = len(bills.amount_cents)
    count = np.bincount(meter, minlength=meters)
    first = np.full(meters, NO_BILL, np.int64)
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
    return examples, fates["wrong"] | fates["missing"], first


def _explain(
    examples: Sequence[BillExample],
    doubtful: NDArray[np.bool_],
    first: Int64Array,
    bills: TrueBills,
    truth: BillingTruth,
    reader: StoredReader,
) -> tuple[int, list[BillExample]]:
    """Return how many doubtful bills the store explains, and the examples with their reasons.

    ``first`` is when the reading was captured that explains each, as far as it is known.
    """
    told_of = {example.meter for example in examples if doubtful[example.meter]}
    faults = faults_at({meter: int(first[meter]) for meter in told_of}, truth, reader)
    others = first_faults(told_of - faults.keys(), bills, truth, reader)
    explained = [
        replace(example, because=(faults | others).get(example.meter), looked_for=True)
        for example in examples
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
    if fault is None and example.looked_for:
        return "every reading of that time is in the store and right, so it is billing's own doing"
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
