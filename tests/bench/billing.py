"""Bills/s of a month of 100,000 and 1,000,000 meters, on both back ends.

A store is filled through its own interface with the readings that a month's bills rest on: at the
month's ends and at every beginning and end of peak hours, 64 of each meter. Then usage is summed
up, and bills are made from it and written to a book, all of which is the time of the bills.

A meter has 2,973 readings in a real month. Those between the bounds cost a look for registers that
fall, so the first line of each back end is of fewer meters with all of them. ``--every`` fills in
more for any number of meters.

The largest database takes 8 GB below the temporary folder.

Before anything is timed every bill of a small store is held against plain decimals, and a sample of
each store that was timed is afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.engine import Billing, Rhythm
from harness.billing.sources import StoreSource
from harness.billing.tariffs import Rates, Tariffs
from harness.store.opening import is_postgres, open_store
from harness.store.rows import Rows
from harness.store.usage import Usage, UsageQuestion
from tests.bench.billing_load import BASE, MARCH, OFF_PEAK, PEAK, ZONE, Load
from tests.support.postgres import find_binaries, running_server

Where = Callable[[], AbstractContextManager[tuple[str, str] | None]]
"""A place for a store and a book, gone afterwards; `None` where there can be none."""

BACK_ENDS: Final = ("DuckDB", "PostgreSQL")
METERS: Final = (100_000, 1_000_000)
WHOLE: Final = 3_000
"""Meters with all readings of the month."""
CHECKED: Final = 1_000
STEP_S: Final = 900
ROWS_PER_LOAD: Final = 250_000
WRITERS: Final = 2
"""Shards that fill a database at once; a file has one writer."""
REGISTERS: Final = ("import_wh", "export_wh")
TARIFFS: Final = Tariffs(
    time_zone=ZONE.key,
    base_bill=BASE,
    rates=(Rates(month=MARCH, peak=PEAK, off_peak=OFF_PEAK, peak_hours="07:00-22:00"),),
)


class _TimedSource:
    """A store that says how long it took to answer."""

    def __init__(self, store: str) -> None:
        self._source = StoreSource([store])
        self.lasted_s = 0.0

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `harness.billing.sources.UsageSource.answers`."""
        begin_s = time.perf_counter()
        async for usage in self._source.answers(question):
            self.lasted_s += time.perf_counter() - begin_s
            yield usage
            begin_s = time.perf_counter()


def main(arguments: list[str] | None = None) -> None:
    """Measure and print.

    Raises:
        AssertionError: a bill is not what it must be.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--meters", type=int, nargs="*", help="instead of 100,000 and 1,000,000")
    parser.add_argument("--every", type=int, help="fill a reading every so many seconds in, too")
    parser.add_argument("--back-end", choices=BACK_ENDS, help="this one only")
    asked = parser.parse_args(arguments or [])
    loads = [Load(meters, asked.every) for meters in asked.meters or METERS]
    if asked.meters is None:
        loads.insert(0, Load(WHOLE, STEP_S))
    table = Table(title="bills of a month", title_justify="left")
    for heading in ("back end", "meters", "readings of each", "filled in", "readings/s"):
        table.add_column(heading, justify="right")
    for heading in ("usage in", "bills in, all in all", "bills/s"):
        table.add_column(heading, justify="right")
    for name in [asked.back_end] if asked.back_end else BACK_ENDS:
        for line in _lines(name, _file if name == "DuckDB" else _database, loads):
            table.add_row(*line)
    Console(width=120).print(table)


def _lines(name: str, place: Where, loads: Sequence[Load]) -> Iterator[list[str]]:
    _check(place)
    for load in loads:
        with place() as addresses:
            if addresses is not None:
                yield [name, *_measured(*addresses, load)]


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


def _check(place: Where) -> None:
    with place() as addresses:
        if addresses is not None:
            load = Load(CHECKED)
            _fill(addresses[0], load)
            _bill(*addresses, load)
            _compare(addresses[1], load)


def _measured(store: str, book: str, load: Load) -> list[str]:
    begin_s = time.perf_counter()
    _fill(store, load)
    filled_s = time.perf_counter() - begin_s
    usage_s, bills_s = _bill(store, book, load)
    _compare(book, load)
    readings = load.meters * len(load.moments)
    return [
        f"{load.meters:,}",
        f"{len(load.moments):,}",
        f"{filled_s:.1f} s",
        f"{readings / filled_s:,.0f}",
        f"{usage_s:.1f} s",
        f"{bills_s:.1f} s",
        f"{load.meters / bills_s:,.0f}",
    ]


def _fill(address: str, load: Load) -> None:
    writers = WRITERS if is_postgres(address) else 1
    bounds = [load.meters * number // writers for number in range(writers + 1)]
    open_store(address, REGISTERS, create=True).close()
    with ThreadPoolExecutor(writers) as pool:
        shards = [range(*ends) for ends in pairwise(bounds)]
        list(pool.map(partial(_fill_shard, address, load), shards))


def _fill_shard(address: str, load: Load, meters: range) -> None:
    together = max(1, ROWS_PER_LOAD // max(1, len(meters)))
    with closing(open_store(address, REGISTERS, create=False)) as store:
        for begin in range(0, len(load.moments), together):
            places = range(begin, min(begin + together, len(load.moments)))
            for first in range(meters.start, meters.stop, ROWS_PER_LOAD):
                some = range(first, min(first + ROWS_PER_LOAD, meters.stop))
                store.load(Rows.concatenate([load.rows(place, some) for place in places]), 1)


def _bill(store: str, address: str, load: Load) -> tuple[float, float]:
    """Make the bills; return how long usage took of that, and how long it took, seconds."""
    source = _TimedSource(store)
    begin_s = time.perf_counter()
    with closing(Book.open(address)) as book:
        accounts = Accounts.alike(load.meters, TARIFFS.base_cents)
        billing = Billing(book, source, TARIFFS, accounts, Rhythm(load.every_s or STEP_S))
        outcome = asyncio.run(billing.create_bills(MARCH))
        assert outcome.issued == load.meters, outcome
    return source.lasted_s, time.perf_counter() - begin_s


def _compare(address: str, load: Load) -> None:
    """Hold some bills, from everywhere among the meters, against plain decimals."""
    with closing(Book.open(address)) as book:
        bills = book.bills(month=MARCH, count=load.meters + 1)
    assert np.array_equal(bills["meter"], np.arange(load.meters))
    for meter in range(0, load.meters, max(1, load.meters // CHECKED)):
        cents = int(bills["amount_cents"][meter])
        assert cents == load.cents(meter), (meter, cents, load.cents(meter))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
