"""Billing killed in the middle of a month's bills: nobody billed twice, nobody lost, no half."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.billing.book import Book
from tests.harness.billing.dying import bill
from tests.support.billing import MARCH, METERS, all_kept, registers, stored
from tests.support.command_line import ROOT
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow
LIVES = 8
SILENT = 4
"""A meter that lacks its last reading."""


@pytest.fixture(params=["duckdb", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Where the books of so many lives may be."""
    if request.param == "duckdb":
        return [str(tmp_path / f"{number}.duckdb") for number in range(1 + LIVES)]
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return [server.new_database() for _ in range(1 + LIVES)]


def told(address: str) -> tuple[dict[int, tuple[int, ...]], list[int]]:
    """Return the bill of each meter, and the meters whose bills are withheld."""
    with closing(Book.open(address)) as book:
        bills = book.bills(month=MARCH)
        meters = bills["meter"].tolist()
        assert len(set(meters)) == len(meters), "somebody was billed twice"
        lines = zip(*(column.tolist() for column in bills.values()), strict=True)
        return dict(zip(meters, lines, strict=True)), book.withheld_meters(MARCH).tolist()


def test_bills_that_are_killed_at_any_point_are_made_once_each(
    tmp_path: Path, books: list[str]
) -> None:
    keep = all_kept()
    keep[SILENT, -1] = False
    store = str(tmp_path / "store.duckdb")
    stored(store, registers(), keep)
    command = [sys.executable, "-m", "tests.harness.billing.dying", store, *books]
    ended = subprocess.run(
        command, cwd=ROOT, check=True, timeout=120, capture_output=True, text=True
    )
    assert int(ended.stdout.split()[-1]) > 3 * METERS
    whole, withheld = told(books[0])
    assert (sorted(whole), withheld) == ([0, 1, 2, 3], [SILENT])
    reached = set()
    for book in books[1:]:
        bills, held = told(book)
        # What is there is whole and right, and of nobody there is both.
        assert bills.items() <= whole.items()
        assert set(held) <= {SILENT}
        reached.add(len(bills))
        outcome = bill(store, book)
        assert (outcome.issued, outcome.already) == (len(whole) - len(bills), len(bills))
        assert told(book) == (whole, withheld)
    assert reached & {1, 2, 3}, "it died between bills"
    assert len(reached) > 2
