"""Bills/s of a month of 100,000 and 1,000,000 meters, on both back ends.

A store is filled with the readings that a month's bills rest on, at every beginning and end of the
peak hours, then usage is summed up, and bills are made from it and written to a book. What lies
between those readings costs the look for registers that fall: `--every` fills that in too.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.calendar import Month, month_span, peak_windows, zone_of
from harness.billing.engine import Billing, Rhythm
from harness.billing.sources import StoreSource
from harness.billing.tariffs import Rates, Tariffs
from harness.store.interface import UsageReader
from harness.store.opening import open_reader, open_store
from harness.store.rows import Rows
from harness.store.usage import UsageQuestion
from tests.support.postgres import find_binaries, running_server

METERS: Final = (100_000, 1_000_000)
MARCH: Final = Month(2026, 3)
REGISTERS: Final = ("import_wh", "export_wh")
TARIFFS: Final = Tariffs(
    time_zone="Europe/Berlin",
    rates=(
        Rates(
            month=MARCH, peak=Decimal("0.32"), off_peak=Decimal("0.21"), peak_hours="07:00-22:00"
        ),
    ),
)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--meters", type=int, nargs="*", default=METERS)
    parser.add_argument("--every", type=int, help="fill a reading every so many seconds in, too")
    asked = parser.parse_args(arguments or [])
    table = Table(title="bills of a month", title_justify="left")
    for heading in ("back end", "meters", "readings", "filled in s", "usage in s", "bills in s"):
        table.add_column(heading, justify="right")
    table.add_column("bills/s, all in all", justify="right")
    for name, places in (("DuckDB", _file), ("PostgreSQL", _database)):
        for meters in asked.meters:
            with places() as place:
                if place is not None:
                    table.add_row(name, *_measured(place, meters, asked.every))
    Console().print(table)


@contextmanager
def _file() -> Iterator[tuple[str, str] | None]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/store.duckdb", f"{folder}/book.duckdb"


@contextmanager
def _database() -> Iterator[tuple[str, str] | None]:
    binaries = find_binaries()
    if binaries is None:
        yield None
        return
    with running_server(binaries) as server:
        url = server.new_database()
        yield url, url


def _measured(place: tuple[str, str], meters: int, every_s: int | None) -> list[str]:
    store, book = place
    moments = _moments(every_s)
    filled_s = _timed(lambda: _fill(store, meters, moments))
    zone = zone_of(TARIFFS.time_zone)
    windows = peak_windows(*month_span(MARCH, zone), zone, TARIFFS.rates[0].peak_hours)
    question = UsageQuestion(windows, every_s or 900)

    def usage() -> None:
        with closing(open_reader(store)) as reader:
            assert isinstance(reader, UsageReader)
            reader.usage(question)

    usage_s = _timed(usage)
    bills_s = _timed(lambda: _bill(store, book, meters, every_s or 900))
    numbers = (
        f"{meters:,}",
        f"{meters * len(moments):,}",
        *(f"{s:.1f}" for s in (filled_s, usage_s, bills_s)),
    )
    return [*numbers, f"{meters / bills_s:,.0f}"]


def _moments(every_s: int | None) -> list[int]:
    zone = zone_of(TARIFFS.time_zone)
    begin_s, end_s = month_span(MARCH, zone)
    windows = peak_windows(begin_s, end_s, zone, TARIFFS.rates[0].peak_hours)
    moments = {begin_s, end_s, *(window.from_s for window in windows)}
    return sorted(moments | set(range(begin_s, end_s, every_s) if every_s else ()))


def _fill(address: str, meters: int, moments: list[int]) -> None:
    numbers = np.arange(meters, dtype=np.uint32)
    with closing(open_store(address, REGISTERS, create=True)) as store:
        for place, at_s in enumerate(moments):
            values = np.stack(
                [numbers % 1000 * np.uint32(place), numbers % 7 * np.uint32(place)], 1
            )
            ones = np.ones(meters, np.uint8)
            at = np.full(meters, at_s, np.int64)
            store.put(Rows(numbers, ones, at, 0 * ones, values, 0 * ones), {}, 1)


def _bill(store: str, address: str, meters: int, step_s: int) -> None:
    with closing(Book.open(address)) as book:
        accounts = Accounts.alike(meters, TARIFFS.base_cents)
        billing = Billing(book, StoreSource([store]), TARIFFS, accounts, Rhythm(step_s))
        outcome = asyncio.run(billing.create_bills(MARCH))
        assert outcome.issued == meters, outcome


def _timed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
