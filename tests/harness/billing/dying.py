"""The making of March's bills, which dies by SIGKILL at one point of it, or another.

Run as ``python -m tests.harness.billing.dying STORE BOOK...``. The first book is made whole; each
other one belongs to a process of its own that ends at another point, spread evenly over all there
are: before and after every statement and every commit. Prints how many points there are.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import Any

import numpy as np

from harness.billing import backends
from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.calendar import day_number
from harness.billing.engine import Billing, Outcome, Rhythm
from harness.billing.sources import StoreSource
from harness.store.usage import Usage, UsageQuestion
from tests.support.billing import MARCH, METERS, PROFILE, STEP_S, TARIFFS

CREATED_AT_US = 1


class MeterByMeter:
    """A source that answers for one meter at a time, as if each were in a store of its own."""

    def __init__(self, store: str) -> None:
        self._source = StoreSource([store])

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `UsageSource.answers`."""
        async for usage in self._source.answers(question):
            for meter in usage.standing.meter:
                energy, standing = usage.energy, usage.standing
                own = energy.take(energy.meter == meter), standing.take(standing.meter == meter)
                yield Usage(*own)


def bill(store: str, address: str) -> Outcome:
    """Bill March: of one customer only a part of it."""
    accounts = Accounts.alike(METERS, TARIFFS.base_cents)
    accounts.since_day[1] = day_number(date(2026, 3, 11))
    with closing(Book.open(address)) as book:
        billing = Billing(book, MeterByMeter(store), TARIFFS, accounts, Rhythm(STEP_S, PROFILE))
        return asyncio.run(billing.create_bills(MARCH, created_at_us=CREATED_AT_US))


class Points:
    """Counts the points of a life, and ends it at one of them."""

    def __init__(self, dies_at: int | None) -> None:
        self.passed = 0
        self._dies_at = dies_at

    def passing(self) -> None:
        self.passed += 1
        if self.passed == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Let every statement and commit of the back ends be two points, this process long."""
        for kind in (backends._DuckDbWriting, backends._PostgresWriting):
            for name in ("add", "replace", "execute"):
                setattr(kind, name, self._around(getattr(kind, name)))
        for back_end in (backends.DuckDbBackEnd, backends.PostgresBackEnd):
            back_end.writing = self._around_writing(back_end.writing)  # type: ignore[method-assign]

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            self.passing()
            answer = call(*arguments)
            self.passing()
            return answer

        return called

    def _around_writing(self, writing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def called(back_end: Any) -> Iterator[Any]:
            with writing(back_end) as transaction:
                yield transaction
            self.passing()

        return called


def _lived(store: str, address: str, dies_at: int | None) -> int:
    """Return how many points there were, or 0 of a life that ended at one."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            points = Points(dies_at)
            points.watch()
            bill(store, address)
            os.write(writing, str(points.passed).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return int(told.read() or 0)


def main() -> None:
    store, whole, *books = sys.argv[1:]
    points = _lived(store, whole, None)
    for dies_at, book in zip(np.linspace(1, points, len(books)), books, strict=True):
        assert _lived(store, book, round(dies_at)) == 0, "it is dead"
    sys.stdout.write(f"{points}\n")


if __name__ == "__main__":
    main()
