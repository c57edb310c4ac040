"""Bills of a month with a clock change, held against a walk through its hours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest

from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.engine import Billing, Outcome, Rhythm
from harness.billing.errors import MonthNotOverError, NoRatesError, Reason
from harness.billing.sources import StoreSource, UsageSource
from harness.billing.tables import BILLS, WITHHELD
from harness.store.usage import Usage, UsageQuestion
from tests.support.billing import (
    AT_S,
    BERLIN,
    END_S,
    MARCH,
    METERS,
    PRICES,
    PROFILE,
    STEP_S,
    TARIFFS,
    all_kept,
    registers,
    stored,
)


def by_hand(values: np.ndarray, base: str, days: int = 31) -> int:
    """Return the bill of one meter in cents, an hour at a time."""
    amount = Decimal(base) * days / 31
    for at_s, before, after in zip(AT_S, values, values[1:], strict=False):
        local = datetime.fromtimestamp(int(at_s), UTC).astimezone(BERLIN)
        if local.day <= 31 - days:
            continue
        price = Decimal(PRICES["peak" if 7 <= local.hour < 22 else "off_peak"])
        came, went = (Decimal(int(wh)) / 1000 for wh in after - before)
        amount += came * price - went * Decimal(PRICES["off_peak"])
    amount = max(amount, Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return int(amount * 100)


def billing(book: Book, source: UsageSource, accounts: Accounts | None = None) -> Billing:
    """Return what makes bills."""
    accounts = accounts or Accounts.alike(METERS, TARIFFS.base_cents)
    return Billing(book, source, TARIFFS, accounts, Rhythm(STEP_S, PROFILE))


def billed(address: str, tmp_path: Path, accounts: Accounts | None = None) -> tuple[Book, Outcome]:
    """Bill March from a store; return the book, which is kept where the store is."""
    book = Book.open(address if "://" in address else tmp_path / "bills.duckdb")
    made = billing(book, StoreSource([address]), accounts)
    return book, asyncio.run(made.create_bills(MARCH))


def test_bills_are_right_to_the_cent(address: str, tmp_path: Path) -> None:
    values = registers()
    stored(address, values, all_kept())
    book, outcome = billed(address, tmp_path)
    with closing(book):
        assert outcome == Outcome(MARCH, issued=METERS, already=0, withheld=0)
        found = book.bills(month=MARCH)
        assert found["amount_cents"].tolist() == [by_hand(v, "12.34") for v in values]
        assert found["amount_cents"][3] == 0
        assert found["next_base_cents"].tolist() == [1234, 1234, 1234, 926, 1234]
        assert found["readings"].tolist() == [31 * 24 - 1 + 1] * METERS
        assert found["missing"].tolist() == [0] * METERS
        total = found["peak_wh"] + found["off_peak_wh"]
        assert total.tolist() == (values[:, -1, 0] - values[:, 0, 0]).tolist()


def test_nobody_is_billed_twice(address: str, tmp_path: Path) -> None:
    stored(address, registers(), all_kept())
    book, _ = billed(address, tmp_path)
    first = book.bills()["amount_cents"].tolist()
    book.close()
    book, outcome = billed(address, tmp_path)
    with closing(book):
        assert outcome == Outcome(MARCH, issued=0, already=METERS, withheld=0)
        assert book.bills()["amount_cents"].tolist() == first


def test_who_is_billed_stays_so_whatever_becomes_of_the_readings(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    billed(str(tmp_path / "store.duckdb"), tmp_path)[0].close()
    keep = ~all_kept()
    keep[0, 0] = True
    stored(str(tmp_path / "lost.duckdb"), registers(), keep)
    book, outcome = billed(str(tmp_path / "lost.duckdb"), tmp_path)
    with closing(book):
        assert outcome == Outcome(MARCH, issued=0, already=METERS, withheld=0)
        assert book.totals(MARCH).withheld == 0


def test_the_base_bill_is_the_one_the_month_before_left(tmp_path: Path) -> None:
    values = registers()
    stored(str(tmp_path / "store.duckdb"), values, all_kept())
    with closing(Book.open(tmp_path / "bills.duckdb")) as book:
        line = [1, 202602, 0, 1000, 750, 28, 28, 0, 0, 0, 0, 0, 0]
        cells = zip(BILLS.types.items(), line, strict=True)
        february = {name: np.array([cell], dtype) for (name, dtype), cell in cells}
        no_one = {name: np.zeros(0, dtype) for name, dtype in WITHHELD.types.items()}
        book.add_bills(february, no_one)
    book, _ = billed(str(tmp_path / "store.duckdb"), tmp_path)
    with closing(book):
        found = book.bills(month=MARCH)
        assert found["base_cents"].tolist() == [1234, 750, 1234, 1234, 1234]
        assert found["amount_cents"][1] == by_hand(values[1], "7.50")
        # 7.50 x 1.25 = 9.375, half-up.
        assert found["next_base_cents"][1] == 938


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    stores = [tmp_path / "a.duckdb", tmp_path / "b.duckdb"]
    values = registers()
    for path, mine in zip(stores, ([0, 1], [2, 3, 4]), strict=True):
        keep = np.zeros_like(all_kept())
        keep[mine] = True
        stored(str(path), values, keep)

    class Broken(StoreSource):
        async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
            async for usage in super().answers(question):
                yield usage
                raise ConnectionResetError

    with closing(Book.open(tmp_path / "bills.duckdb")) as book:
        with pytest.raises(ConnectionResetError):
            asyncio.run(billing(book, Broken(stores)).create_bills(MARCH))
        assert book.totals(MARCH).bills == 2
        assert book.totals(MARCH).withheld == 0
        outcome = asyncio.run(billing(book, StoreSource(stores)).create_bills(MARCH))
        assert outcome == Outcome(MARCH, issued=3, already=2, withheld=0)
        assert book.bills()["amount_cents"].tolist() == [by_hand(v, "12.34") for v in values]


def test_what_cannot_be_billed_is_withheld_and_the_others_are(address: str, tmp_path: Path) -> None:
    values, keep = registers(), all_kept()
    keep[0, 0] = False  # no opening
    keep[1, -1] = False  # no closing
    values[2, 300, 0] = 5  # fell in between
    keep[4] = False  # silent
    stored(address, values, keep)
    book, outcome = billed(address, tmp_path)
    with closing(book):
        assert outcome == Outcome(MARCH, issued=1, already=0, withheld=4)
        held = book.withheld(MARCH)
        assert list(zip(*(held[name].tolist() for name in held), strict=True)) == [
            (0, 202603, Reason.NO_OPENING, AT_S[1]),
            (1, 202603, Reason.NO_CLOSING, AT_S[-2]),
            (2, 202603, Reason.REGISTER_FELL, AT_S[300]),
            (4, 202603, Reason.NO_READINGS, -1),
        ]
    # What is missing arrives: those are billed now.
    keep[0, 0], keep[1, -1] = True, True
    only = np.zeros_like(keep)
    only[0, 0], only[1, -1], only[4] = True, True, True
    stored(address, values, only)
    book, outcome = billed(address, tmp_path)
    with closing(book):
        assert outcome == Outcome(MARCH, issued=3, already=1, withheld=1)
        assert book.withheld(MARCH)["meter"].tolist() == [2]
        assert book.bills(meter=1)["amount_cents"].tolist() == [by_hand(values[1], "12.34")]


def test_missing_readings_within_are_estimated_and_told(address: str, tmp_path: Path) -> None:
    values, keep = registers(), all_kept()
    keep[0, 5:10] = False  # from 05:00 to 09:00, over the beginning of the peak hours
    keep[1, 13] = False
    stored(address, values, keep)
    book, _ = billed(address, tmp_path)
    with closing(book):
        found = book.bills()
        assert found["missing"].tolist() == [5, 1, 0, 0, 0]
        assert found["amount_cents"].tolist()[1:] == [by_hand(v, "12.34") for v in values[1:]]
        # The gap of 6 hours from 04:00: 3 are before 07:00.
        begin, end = values[0, 4], values[0, 10]
        evenly = values[0].copy()
        evenly[5:7] = begin
        evenly[7:10] = begin + (end - begin) * 3 // 6
        assert found["amount_cents"][0] == by_hand(evenly, "12.34")


def test_part_of_a_month_is_prorated(tmp_path: Path) -> None:
    values = registers()
    address = str(tmp_path / "store.duckdb")
    stored(address, values, all_kept())
    text = "meter,base_bill,since,until\n1,20.01,2026-03-11,\n2,,,2026-03-01\n"
    (tmp_path / "accounts.csv").write_text(text)
    accounts = Accounts.load(tmp_path / "accounts.csv", int, METERS, TARIFFS.base_cents)
    book, outcome = billed(address, tmp_path, accounts)
    with closing(book):
        assert (outcome.issued, outcome.withheld) == (4, 0)
        assert book.bills(meter=1)["days"].tolist() == [21]
        assert book.bills(meter=1)["amount_cents"].tolist() == [by_hand(values[1], "20.01", 21)]
        assert book.bills(meter=2)["meter"].tolist() == []
        assert book.bills(meter=4)["amount_cents"].tolist() == [by_hand(values[4], "12.34")]


def test_a_month_without_rates_and_one_that_lasts_are_refused(tmp_path: Path) -> None:
    with closing(Book.open(tmp_path / "bills.duckdb")) as book:
        made = billing(book, StoreSource([]))
        with pytest.raises(NoRatesError, match="2026-04"):
            asyncio.run(made.create_bills(Month(2026, 4)))
        with pytest.raises(MonthNotOverError, match="2026-03"):
            asyncio.run(made.create_bills(MARCH, now_s=END_S - 0.5))


def test_days_are_noted_where_their_readings_tell_all(address: str, tmp_path: Path) -> None:
    values, keep = registers(), all_kept()
    keep[1, 24 * 5 :] = False  # silent from 6 March, 00:00 on
    values[2, 300, 0] = 5
    stored(address, values, keep)
    with closing(Book.open(tmp_path / "bills.duckdb")) as book:
        made = billing(book, StoreSource([address]))
        asyncio.run(made.note_days(date(2026, 3, 1), date(2026, 4, 1)))
        asyncio.run(made.note_days(date(2026, 3, 12), date(2026, 3, 15)))
        found = book.energy(date(2026, 3, 1), date(2026, 4, 1), count=10)
        assert found["meter"].tolist() == [0, 1, 3, 4]
        assert found["days"].tolist() == [31, 4, 31, 31]
        assert found["import_wh"][0] == values[0, -1, 0] - values[0, 0, 0]
        # 29 March has 23 hours, after 28 days of 24.
        begin = 28 * 24
        found = book.energy(date(2026, 3, 29), date(2026, 3, 30), meter=4)
        assert found["import_wh"].tolist() == [values[4, begin + 23, 0] - values[4, begin, 0]]
        assert found["export_wh"].tolist() == [values[4, begin + 23, 1] - values[4, begin, 1]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,abc,,", "accounts.csv:2"),
        ("1,-1,,", "base_bill must be 0 to"),
        ("1,NaN,,", "accounts.csv:2"),
        ("1,1.005,,", "whole cents"),
        ("1,,2026-02-30,", "accounts.csv:2"),
        ("1,,2026-03-02,2026-03-02", "until must be later"),
    ],
)
def test_accounts_without_sense_are_refused_by_line(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(f"meter,base_bill,since,until\n{line}\n")
    with pytest.raises(ValueError, match=reason):
        Accounts.load(path, int, METERS, 1000)
    path.write_text("meter\n1\n")
    with pytest.raises(ValueError, match="columns must be"):
        Accounts.load(path, int, METERS, 1000)
