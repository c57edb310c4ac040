"""The book, on both back ends: once billed is billed, and what is kept is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pytest

from harness.billing.book import Book
from harness.billing.calendar import Month, day_number
from harness.billing.errors import RatesChangedError, Reason
from harness.billing.tables import BILLS, DAILY, VIRTUAL_METERS, WITHHELD
from harness.billing.tariffs import Rates
from harness.store.interface import ExportFormat
from harness.store.schema import Table
from tests.support.stores import Place

MARCH, APRIL = Month(2026, 3), Month(2026, 4)
RATES = Rates(
    month="2026-03", peak=Decimal("0.3"), off_peak=Decimal("0.2"), peak_hours="07:00-22:00"
)
Columns = dict[str, np.ndarray]


def columns(table: Table, rows: Sequence[Sequence[int]]) -> Columns:
    """Return rows as columns of a table."""
    cells = np.array(rows, np.int64).reshape(-1, len(table.types)).T
    return {
        name: cell.astype(dtype)
        for (name, dtype), cell in zip(table.types.items(), cells, strict=True)
    }


def bill(meter: int, month: Month = MARCH, amount: int = 5000, next_base: int = 900) -> list[int]:
    """Return a line of bills."""
    return [meter, month.number, amount, 1000, next_base, 31, 31, 7, 8, 9, 2976, 1, 5]


def bills(*rows: Sequence[int]) -> Columns:
    """Return lines of bills as columns."""
    return columns(BILLS, rows)


def withheld(*rows: Sequence[int]) -> Columns:
    """Return lines of what is withheld as columns."""
    return columns(WITHHELD, rows)


@pytest.fixture
def book(address: str) -> Iterator[Book]:
    """An empty book."""
    opened = Book.open(address)
    yield opened
    opened.close()


def test_the_first_bill_of_a_meter_and_month_stays(book: Book, address: str) -> None:
    assert book.add_bills(bills(bill(1), bill(2)), withheld()) == 2
    assert book.add_bills(bills(bill(2, amount=1), bill(3)), withheld()) == 1
    book.close()
    again = Book.open(address)
    assert again.add_bills(bills(bill(1, amount=1), bill(2)), withheld()) == 0
    assert again.bills(month=MARCH)["amount_cents"].tolist() == [5000, 5000, 5000]
    assert again.billed(MARCH).tolist() == [1, 2, 3]
    assert again.billed(APRIL).tolist() == []
    again.close()


def test_how_long_bills_took_outlives_billing(book: Book, address: str) -> None:
    assert book.made_us(MARCH) is None
    book.add_bills(bills(bill(1), bill(1, APRIL)), withheld(), took_us=400)
    # The same bills took longer until the last of them; others were made another time.
    book.add_bills(bills(bill(2)), withheld(), took_us=1_000)
    later = bills(bill(3))
    later["created_at"] = later["created_at"] + 5
    book.add_bills(later, withheld(), took_us=30)
    book.add_bills(later, withheld(), took_us=2_000)
    book.close()
    again = Book.open(address)
    assert (again.made_us(MARCH), again.made_us(APRIL)) == (1_030, 400)
    again.close()


def test_an_exception_undoes_bills_and_what_was_withheld(book: Book) -> None:
    broken = withheld([7, MARCH.number, Reason.NO_CLOSING, 5])
    del broken["at_s"]
    with pytest.raises(Exception, match=r"at_s|NULL"):
        book.add_bills(bills(bill(1)), broken)
    assert book.totals(MARCH).bills == 0
    assert book.add_bills(bills(bill(1)), withheld()) == 1


def test_what_was_withheld_is_forgotten_when_it_is_billed(book: Book) -> None:
    book.add_bills(bills(bill(1)), withheld([2, 202603, Reason.NO_CLOSING, 7]))
    book.add_bills(bills(), withheld([2, 202603, Reason.REGISTER_FELL, 8], [3, 202604, 0, -1]))
    assert book.withheld(MARCH)["reason"].tolist() == [Reason.REGISTER_FELL]
    assert book.withheld(MARCH)["at_s"].tolist() == [8]
    book.add_bills(bills(bill(2)), withheld())
    assert book.withheld(MARCH)["meter"].tolist() == []
    assert book.withheld(APRIL)["at_s"].tolist() == [-1]


def test_the_base_bill_is_that_after_the_last_earlier_bill(book: Book) -> None:
    book.add_bills(
        bills(bill(1), bill(2, next_base=800), bill(2, APRIL, next_base=700)), withheld()
    )
    for month, told in (
        (MARCH, {}),
        (APRIL, {1: 900, 2: 800}),
        (Month(2026, 6), {1: 900, 2: 700}),
    ):
        found = book.base_bills(month)
        assert dict(zip(*map(np.ndarray.tolist, found.values()), strict=True)) == told


def test_a_month_is_added_up(book: Book) -> None:
    book.add_bills(bills(bill(1), bill(2), bill(1, APRIL)), withheld([3, 202603, 0, -1]))
    totals = book.totals(MARCH)
    assert (totals.bills, totals.withheld, totals.amount_cents) == (2, 1, 10_000)
    assert (totals.peak_wh, totals.off_peak_wh, totals.export_wh, totals.missing) == (14, 16, 18, 2)
    assert book.totals(Month(2027, 1)).amount_cents == 0


def test_bills_come_a_page_at_a_time(book: Book) -> None:
    book.add_bills(bills(*(bill(meter) for meter in range(5)), bill(2, APRIL)), withheld())
    assert book.bills(month=MARCH, after=1, count=2)["meter"].tolist() == [2, 3]
    assert book.bills(meter=2)["month"].tolist() == [202603, 202604]


def test_rates_of_a_billed_month_cannot_change(book: Book) -> None:
    book.note_rates([RATES])
    other = RATES.model_copy(update={"peak": Decimal("0.31")})
    book.note_rates([other])
    assert book.rates()["peak_micro"].tolist() == [310_000]
    book.add_bills(bills(bill(1)), withheld())
    book.note_rates([other])
    with pytest.raises(RatesChangedError, match="2026-03"):
        book.note_rates([RATES])
    assert book.rates()["peak_micro"].tolist() == [310_000]


def test_energy_of_days_is_replaced_and_added_up_with_virtual_meters(book: Book) -> None:
    first = day_number(date(2026, 3, 1))
    book.put_daily(columns(DAILY, [[1, first, 10, 1], [1, first + 1, 20, 2], [2, first, 5, 0]]))
    book.put_daily(columns(DAILY, [[1, first + 1, 30, 3], [1, first + 2, 1000, 1000]]))
    stored = columns(VIRTUAL_METERS, [[1, 100, 200, first, 7, 70], [1, 200, 300, first + 1, 8, 80]])
    assert book.put_virtual_meters(stored) == 2
    assert book.put_virtual_meters(stored) == 0
    span = date(2026, 3, 1), date(2026, 3, 3)
    found = book.energy(*span, count=10)
    assert {name: column.tolist() for name, column in found.items()} == {
        "meter": [1, 2],
        "days": [2, 1],
        "import_wh": [40, 5],
        "export_wh": [4, 0],
        "charged_mwh": [15, 0],
        "discharged_mwh": [150, 0],
    }
    assert book.energy(*span, meter=2)["import_wh"].tolist() == [5]
    told = book.energy_of_all(*span)
    assert [int(column[0]) for column in told.values()] == [2, 3, 45, 4, 15, 150]
    assert int(book.energy_of_all(date(2030, 1, 1), date(2030, 1, 2))["meters"][0]) == 0


def test_sums_beyond_a_float_are_exact(book: Book) -> None:
    day = day_number(date(2026, 3, 1))
    book.put_daily(columns(DAILY, [[1, day, 2**60 + 1, 0], [1, day + 1, 2**60, 0]]))
    assert int(book.energy(date(2026, 3, 1), date(2026, 3, 9))["import_wh"][0]) == 2**61 + 1


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_exports_hold_whole_tables(book: Book, tmp_path: Path, file_format: ExportFormat) -> None:
    book.add_bills(bills(bill(2), bill(1)), withheld())
    book.put_daily(columns(DAILY, [[1, day_number(date(2026, 3, 1)), 10, 1]]))
    path = tmp_path / "table"
    book.export("bills", path, file_format)
    with duckdb.connect() as session:
        found = session.execute(f"SELECT * FROM read_{file_format}('{path}')").fetchall()
    assert found == [tuple(bill(1)), tuple(bill(2))]
    book.export_energy(date(2026, 3, 1), date(2026, 3, 2), path, file_format)
    with duckdb.connect() as session:
        found = session.execute(f"SELECT * FROM read_{file_format}('{path}')").fetchall()
    assert found == [(1, 1, 10, 1, 0, 0, 1000, 10_000, 1000, 1000, 10_000, 1000)]
    with pytest.raises(KeyError):
        book.export("bills; DROP TABLE bills", path, file_format)


def test_what_is_older_is_forgotten_and_bills_are_kept(book: Book) -> None:
    day = day_number(date(2026, 3, 1))
    book.note_rates([RATES, RATES.model_copy(update={"month": APRIL})])
    book.add_bills(bills(bill(1)), withheld())
    book.put_daily(columns(DAILY, [[1, day, 10, 1], [1, day + 31, 11, 1]]))
    book.put_virtual_meters(columns(VIRTUAL_METERS, [[1, 100, 200, day, 7, 70]]))
    book.forget(date(2026, 4, 1))
    assert book.rates()["month"].tolist() == [202604]
    found = book.energy(date(2026, 1, 1), date(2027, 1, 1))
    assert (found["import_wh"].tolist(), found["charged_mwh"].tolist()) == ([11], [0])
    assert book.totals(MARCH).bills == 1


def test_a_store_and_its_book_share_a_database(book: Book, address: str) -> None:
    if not address.startswith("postgresql"):
        return
    book.add_bills(bills(bill(1)), withheld())
    Place(address).open().close()
    assert book.totals(MARCH).bills == 1
