"""Two back ends that say the same, and books that several have open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.tables import EXPORTED
from harness.store.errors import StoreError
from harness.store.usage import Usage, UsageQuestion
from tests.harness.billing.judged.test_bills import town
from tests.harness.billing.judged.test_statistics import ENERGY, read
from tests.harness.billing.judged.town import Registered, Town, YearMonth
from tests.support.postgres import PostgresServer

MONTHS: tuple[YearMonth, ...] = ((2026, 3), (2026, 4))
HOURLY = town("Europe/Berlin", MONTHS, "06:30-20:15", step_s=3600, lost=0.4)


def test_both_back_ends_have_the_same_rows(tmp_path: Path, postgres_server: PostgresServer) -> None:
    tables: list[dict[str, list[dict[str, int]]]] = []
    for address in (str(tmp_path / "book.duckdb"), postgres_server.new_database()):
        with closing(Book.open(address)) as book:
            book.note_rates(HOURLY.tariffs.rates)
            ENERGY.put(book)
            HOURLY.bill(book)
            HOURLY.bill(book)
            paths = {name: tmp_path / f"{name}-{len(tables)}" for name in EXPORTED}
            book.export_all(paths, "csv")
            tables.append({name: read(path, "csv") for name, path in paths.items()})
            # How long it took is all that may differ.
            for made in tables[-1]["bill_runs"]:
                assert made.pop("ended_at") >= made["began_at"]
    ours, theirs = tables
    assert ours == theirs
    assert all(ours[name] for name in EXPORTED if name != "withheld")


def test_a_book_that_somebody_has_open_is_told_and_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "book.duckdb"
    with closing(Book.open(path)) as book:
        with pytest.raises(StoreError, match=r"book\.duckdb"):
            Book.open(path)
        HOURLY.bill(book)
        assert book.totals(Month(2026, 3)).bills == 3


def test_two_who_bill_at_once_bill_nobody_twice(postgres_server: PostgresServer) -> None:
    address = postgres_server.new_database()
    both_asked = threading.Barrier(2, timeout=60)

    class Together(Registered):
        """Answers once the other one has asked too."""

        async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
            """See `UsageSource.answers`."""
            both_asked.wait()
            async for usage in super().answers(question):
                yield usage

    one_month = Town(
        HOURLY.zone_name,
        MONTHS[:1],
        HOURLY.prices,
        HOURLY.base,
        HOURLY.step_s,
        HOURLY.readings,
    )
    issued: list[int] = []

    def bill(book: Book) -> None:
        (outcome,) = one_month.bill(book, source=Together(HOURLY.readings))
        issued.append(outcome.issued)

    with ExitStack() as stack:
        books = [stack.enter_context(closing(Book.open(address))) for _ in range(2)]
        threads = [threading.Thread(target=bill, args=(book,)) for book in books]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(issued) == 3
        assert books[0].bills()["meter"].tolist() == [0, 1, 2]
        assert books[0].totals(Month(2026, 3)).withheld == 0


def test_questions_are_answered_while_bills_are_made(address: str) -> None:
    done = threading.Event()
    seen: set[tuple[int, int]] = set()

    def ask(book: Book) -> None:
        while not done.is_set():
            totals = book.totals(Month(2026, 3))
            seen.add((totals.bills, totals.amount_cents))

    with closing(Book.open(address)) as book:
        asking = [threading.Thread(target=ask, args=(book,)) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            made = HOURLY.billing(book)

            async def at_once() -> list[int]:
                month = Month(2026, 3)
                outcomes = await asyncio.gather(*(made.create_bills(month) for _ in range(3)))
                return sorted(outcome.issued for outcome in outcomes)

            assert asyncio.run(at_once()) == [0, 0, 3]
        finally:
            done.set()
            for thread in asking:
                thread.join()
        whole = book.totals(Month(2026, 3))
        assert seen <= {(0, 0), (3, whole.amount_cents)}
