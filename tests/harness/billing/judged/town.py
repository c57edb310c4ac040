"""Months of readings for the auditor: made by a seed, billed by ours, audited by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from harness.billing.accounts import Accounts
from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.engine import Billing, Outcome, Rhythm
from harness.billing.tariffs import Tariffs
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_query import usage
from tests.harness.billing.judged.auditor import (
    AuditedBill,
    Price,
    Readings,
    audited,
    begins_s,
    month_after,
)
from tests.support.stores import REGISTERS

YearMonth = tuple[int, int]
PRICE = Price(Decimal("0.3217"), Decimal("0.2093"), "07:00-22:00")


class Registered:
    """A source of usage over readings in memory, asked as a store is."""

    def __init__(self, readings: Mapping[int, Readings]) -> None:
        self._readings = readings

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `harness.billing.sources.UsageSource.answers`."""
        lines = [
            (meter, 1, at_s, 0, imported, mine.exported[at_s])
            for meter, mine in self._readings.items()
            for at_s, imported in mine.imported.items()
        ]
        names = ("meter", "profile", "captured_at", "stored_at", *REGISTERS)
        columns = np.array(lines, np.int64).reshape(-1, len(names)).T
        readings = dict(zip(names, columns, strict=True))  # noqa: F841 - DuckDB finds it
        with duckdb.connect() as session:
            session.execute("CREATE TABLE readings AS FROM readings")
            yield usage(lambda query, _: session.execute(query).fetchnumpy(), question, REGISTERS)


@dataclass(frozen=True, slots=True)
class Town:
    """Who is billed for what, and by which clock."""

    zone_name: str
    months: tuple[YearMonth, ...]
    prices: Mapping[YearMonth, Price]
    base: Decimal
    step_s: int
    readings: Mapping[int, Readings]

    @property
    def zone(self) -> ZoneInfo:
        """The customers' clock."""
        return ZoneInfo(self.zone_name)

    @property
    def tariffs(self) -> Tariffs:
        """The prices as a scenario writes them."""
        rates = [
            {
                "month": f"{year}-{month:02}",
                "peak": str(self.prices[year, month].peak),
                "off_peak": str(self.prices[year, month].off_peak),
                "peak_hours": self.prices[year, month].hours,
            }
            for year, month in self.months
        ]
        told = {"time_zone": self.zone_name, "base_bill": str(self.base), "rates": rates}
        return Tariffs.model_validate(told)

    def billing(self, book: Book, **changes: Any) -> Billing:
        """Return what bills the town."""
        first_s = min(min(mine.imported) for mine in self.readings.values())
        accounts = changes.pop("accounts", None) or self.accounts()
        return Billing(
            book,
            changes.pop("source", None) or Registered(self.readings),
            self.tariffs,
            accounts,
            Rhythm(self.step_s, captured_s=first_s),
            **changes,
        )

    def accounts(self) -> Accounts:
        """Return accounts that are all alike."""
        return Accounts.alike(max(self.readings) + 1, int(self.base * 100))

    def bill(self, book: Book, **changes: Any) -> list[Outcome]:
        """Bill all months, in order."""
        made = self.billing(book, **changes)
        return [asyncio.run(made.create_bills(Month(*month))) for month in self.months]

    def audit(
        self, meter: int, stay: tuple[date, date] | None = None
    ) -> dict[YearMonth, AuditedBill]:
        """Return the bills of one meter, by month, where it was a customer's."""
        found, base = {}, self.base
        for month in self.months:
            since, until = date(*month, 1), month_after(*month)
            if stay is not None:
                since, until = max(since, stay[0]), min(until, stay[1])
            if since < until:
                price, mine = self.prices[month], self.readings[meter]
                bill = audited(mine, month, self.zone, price, base, self.base, (since, until))
                found[month], base = bill, bill.next_base
        return found


def span(months: Sequence[YearMonth], zone: ZoneInfo) -> tuple[int, int]:
    """Return when the first of some months begins and the last one ends."""
    return begins_s(date(*months[0], 1), zone), begins_s(month_after(*months[-1]), zone)


def booked(book: Book, meter: int) -> dict[YearMonth, AuditedBill]:
    """Return the bills of one meter as the book has them."""
    columns = {name: column.tolist() for name, column in book.bills(meter=meter).items()}
    lines = [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]
    return {
        divmod(line["month"], 100): AuditedBill(
            Decimal(line["amount_cents"]) / 100,
            Decimal(line["next_base_cents"]) / 100,
            line["peak_wh"],
            line["off_peak_wh"],
            line["export_wh"],
        )
        for line in lines
    }


def differences(town: Town, book: Book) -> list[str]:
    """Return every bill of which book and auditor say different things."""
    found = []
    for meter in town.readings:
        ours, theirs = booked(book, meter), town.audit(meter)
        found += [
            f"meter {meter}, {month}: {ours.get(month)} and not {theirs.get(month)}"
            for month in sorted({*ours, *theirs})
            if ours.get(month) != theirs.get(month)
        ]
    return found


def closed(town: Town, address: str, **changes: Any) -> list[str]:
    """Bill a town in a book of its own; return the differences."""
    with closing(Book.open(address)) as book:
        town.bill(book, **changes)
        return differences(town, book)
