"""Billing's own book: bills, what was withheld, rates, and energy by day.

A bill is there once for each meter and month: whoever asks for it again, after a restart too, gets
the first one. So nobody is billed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.billing.backends import BackEnd, open_back_end
from harness.billing.calendar import Month, day_number, day_numbered
from harness.billing.errors import READINGS_MISSING, RatesChangedError, Reason
from harness.billing.tables import (
    BILL_RUNS,
    BILLS,
    DAILY,
    EXPORTED,
    RATES,
    VIRTUAL_METERS,
    WITHHELD,
)
from harness.billing.tariffs import Rates
from harness.store.interface import ExportFormat
from harness.store.schema import Columns, listed

Int64Columns = Mapping[str, NDArray[np.int64]]
_BILL: Final = tuple(BILLS.types)
_FIRST_MONTH: Final = (
    "(SELECT min(month) FROM (SELECT month FROM bills UNION ALL SELECT month FROM withheld "
    f"WHERE reason IN ({Reason.NO_CLOSING:d}, {Reason.GAPS:d}, {Reason.NO_EARLIER_BILL:d})) "
    "AS begun)"
)
STATISTICS: Final = {
    "generated_mwh": "1000 * export_wh + discharged_mwh",
    "consumed_mwh": "1000 * import_wh + discharged_mwh - charged_mwh",
    "contributed_mwh": "1000 * export_wh",
}
"""What is made of energy, in mWh."""


@dataclass(frozen=True, slots=True)
class MonthTotals:
    """One month's bills, added up; energies in Wh, money in cents."""

    bills: int
    withheld: int
    amount_cents: int
    peak_wh: int
    off_peak_wh: int
    export_wh: int
    missing: int


class Book:
    """The book; every method blocks and raises `harness.store.errors.StoreError`."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = back_end

    @classmethod
    def open(cls, address: str | Path) -> Book:
        """Open the book at ``address``, made if missing; see `open_back_end`."""
        return cls(open_back_end(address))

    def close(self) -> None:
        """Let go of it."""
        self._back_end.close()

    def note_rates(self, rates: Iterable[Rates]) -> None:
        """Keep rates, in place of others of the same month.

        Raises:
            RatesChangedError: bills of that month were made at other ones.
        """
        columns = _rates_columns(list(rates))
        kept = self.rates()
        place = {month: i for i, month in enumerate(kept["month"].tolist())}
        for i, month in enumerate(columns["month"].tolist()):
            was = place.get(month)
            differs = was is not None and any(columns[name][i] != kept[name][was] for name in kept)
            if differs and len(self.billed(Month.of_number(month))):
                raise RatesChangedError(Month.of_number(month))
        with self._back_end.writing() as writing:
            writing.replace(RATES, columns)

    def rates(self) -> Int64Columns:
        """Return the columns of all rates, by month."""
        return self._all("SELECT * FROM rates ORDER BY month", tuple(RATES.types))

    def billed(self, month: Month) -> NDArray[np.int64]:
        """Return the meters that have a bill of that month."""
        query = f"SELECT meter FROM bills WHERE month = {month.number:d} ORDER BY meter"
        return self._all(query, ("meter",))["meter"]

    def base_bills(self, month: Month) -> Int64Columns:
        """Return the base bill of ``month`` for each meter with an earlier bill: base_cents."""
        return self._all(
            "SELECT DISTINCT ON (meter) meter, next_base_cents AS base_cents FROM bills "
            f"WHERE month < {month.number:d} ORDER BY meter, month DESC",
            ("meter", "base_cents"),
        )

    def tried(self) -> list[Month]:
        """Return the months that had their turn, from the first whose beginning is known on."""
        found = self._all(
            "SELECT month FROM bills UNION SELECT month FROM withheld "
            f"WHERE month >= {_FIRST_MONTH}",
            ("month",),
        )
        return sorted(map(Month.of_number, found["month"].tolist()))

    def waiting(self, month: Month, since: Month) -> NDArray[np.int64]:
        """Return the meters that miss a bill which may still come and ``month`` follows from.

        Readings of before the month ``since`` come no more, and a register that fell does not rise
        again: nobody waits for such a bill. Nor for months of whose beginning nobody has readings,
        and of no month before: they may well be from before there were any.
        """
        missing = listed([f"{reason:d}" for reason in READINGS_MISSING])
        query = (
            f"SELECT DISTINCT meter FROM withheld WHERE month >= {since.number:d} "
            f"AND month < {month.number:d} AND reason IN ({missing}) "
            f"AND month >= {_FIRST_MONTH}"
        )
        return self._all(query, ("meter",))["meter"]

    def waiting_months(self) -> list[Month]:
        """Return the months of which bills wait for earlier ones."""
        found = self._all(
            f"SELECT DISTINCT month FROM withheld WHERE reason = {Reason.NO_EARLIER_BILL:d}",
            ("month",),
        )
        return sorted(map(Month.of_number, found["month"].tolist()))

    def withheld_meters(self, month: Month) -> NDArray[np.int64]:
        """Return the meters whose bill of a month is withheld."""
        query = f"SELECT meter FROM withheld WHERE month = {month.number:d} ORDER BY meter"
        return self._all(query, ("meter",))["meter"]

    def release(self, month: Month, meters: NDArray[np.int64]) -> None:
        """Forget that a month's bills of some meters are withheld."""
        if not len(meters):
            return
        numbers = listed([str(meter) for meter in meters.tolist()])
        with self._back_end.writing() as writing:
            writing.execute(
                f"DELETE FROM withheld WHERE month = {month.number:d} AND meter IN ({numbers})"
            )

    def add_bills(self, bills: Columns, withheld: Columns, *, took_us: int = 0) -> int:
        """Add bills where there is none, and note those withheld; return how many were added.

        One transaction; of a meter that is billed now, what was withheld is forgotten. ``took_us``
        is the time since their ``created_at``: what it took to make them.
        """
        with self._back_end.writing() as writing:
            added = writing.add(BILLS, bills)
            writing.replace(WITHHELD, withheld)
            if added:
                writing.replace(BILL_RUNS, _bill_runs(bills, took_us))
            months = sorted(set(np.asarray(bills["month"]).tolist()))
            for month in months:
                writing.execute(
                    f"DELETE FROM withheld WHERE month = {month:d} AND meter IN "
                    f"(SELECT meter FROM bills WHERE month = {month:d})"
                )
        return added

    def bills(
        self,
        *,
        month: Month | None = None,
        meter: int | None = None,
        after: int = -1,
        count: int = 1000,
    ) -> Int64Columns:
        """Return bills by meter and month, of one or the other if given, ``after`` a meter."""
        conditions = [f"meter > {after:d}"]
        conditions += [f"month = {month.number:d}"] if month else []
        conditions += [f"meter = {meter:d}"] if meter is not None else []
        return self._all(
            f"SELECT * FROM bills WHERE {' AND '.join(conditions)} "
            f"ORDER BY meter, month LIMIT {count:d}",
            _BILL,
        )

    def withheld(self, month: Month, *, after: int = -1, count: int = 1000) -> Int64Columns:
        """Return which bills of a month are withheld, by meter."""
        return self._all(
            f"SELECT * FROM withheld WHERE month = {month.number:d} AND meter > {after:d} "
            f"ORDER BY meter LIMIT {count:d}",
            tuple(WITHHELD.types),
        )

    def totals(self, month: Month) -> MonthTotals:
        """Return a month's bills, added up."""
        names = ("amount_cents", "peak_wh", "off_peak_wh", "export_wh", "missing")
        sums = listed([_total(name) for name in names])
        found = self._all(
            f"SELECT count(*) AS bills, {sums}, (SELECT count(*) FROM withheld "
            f"WHERE month = {month.number:d}) AS withheld FROM bills "
            f"WHERE month = {month.number:d}",
            ("bills", "withheld", *names),
        )
        return MonthTotals(**{name: int(column[0]) for name, column in found.items()})

    def made_us(self, month: Month) -> int | None:
        """Return how long the making of a month's bills took, in real time; None without any."""
        found = self._all(
            "SELECT coalesce(sum(ended_at - began_at), -1) AS us FROM bill_runs "
            f"WHERE month = {month.number:d}",
            ("us",),
        )
        us = int(found["us"][0])
        return None if us < 0 else us

    def put_daily(self, columns: Columns) -> None:
        """Note energy by meter and day, in place of what was noted of them."""
        with self._back_end.writing() as writing:
            writing.replace(DAILY, columns)

    def put_virtual_meters(self, columns: Columns) -> int:
        """Add records of virtual meters that are not there; return how many were added."""
        with self._back_end.writing() as writing:
            return writing.add(VIRTUAL_METERS, columns)

    def virtual_meters(self, from_ms: int, to_ms: int) -> Int64Columns:
        """Return the records that share time with [from_ms, to_ms), by meter and time."""
        return self._all(
            f"SELECT * FROM virtual_meters WHERE from_ms < {to_ms:d} AND to_ms > {from_ms:d} "
            "ORDER BY meter, from_ms",
            tuple(VIRTUAL_METERS.types),
        )

    def noted_until(self) -> date | None:
        """Return the day after the last one of which energy is noted; None without any."""
        found = self._all("SELECT coalesce(max(day), -1) AS day FROM daily", ("day",))
        last = int(found["day"][0])
        return None if last < 0 else day_numbered(last + 1)

    def energy(
        self, first: date, end: date, *, meter: int | None = None, after: int = -1, count: int = 1
    ) -> Int64Columns:
        """Return energy added up over the days [first, end), by meter.

        Columns: meter, days (that something is known of), import_wh, export_wh, charged_mwh,
        discharged_mwh.
        """
        return self._all(
            _energy_query(first, end, meter, after, count),
            ("meter", "days", "import_wh", "export_wh", "charged_mwh", "discharged_mwh"),
        )

    def energy_of_all(self, first: date, end: date) -> Int64Columns:
        """Return what `energy` says of all meters, added up, and ``meters``, how many they are.

        ``days`` counts each meter's.
        """
        names = ("days", "import_wh", "export_wh", "charged_mwh", "discharged_mwh")
        sums = listed([_total(name) for name in names])
        query = _energy_query(first, end, None, -1, None)
        return self._all(
            f"SELECT count(*) AS meters, {sums} FROM ({query}) AS each_meter", ("meters", *names)
        )

    def export(self, name: str, path: Path, file_format: ExportFormat) -> None:
        """Write a table to a file, by its key. Raises `KeyError` if there is no such table."""
        self.export_all({name: path}, file_format)

    def export_all(self, paths: Mapping[str, Path], file_format: ExportFormat) -> None:
        """Write tables to files, as they were at one moment. Raises as `export` does."""
        queries = {
            path: f"SELECT * FROM {name} ORDER BY {listed(EXPORTED[name].key)}"
            for name, path in paths.items()
        }
        self._back_end.export(queries, file_format)

    def export_energy(self, first: date, end: date, path: Path, file_format: ExportFormat) -> None:
        """Write what `energy` says of all meters to a file, and what statistics make of it.

        ``generated_mwh``, ``consumed_mwh`` and ``contributed_mwh`` are those of the API, and with
        ``_per_day`` the averages of the days that are known, rounded half-up.
        """
        query = _energy_query(first, end, None, -1, None)
        sums = ", ".join(f"{sum_of} AS {name}" for name, sum_of in STATISTICS.items())
        averages = ", ".join(f"{_average(name)} AS {name}_per_day" for name in STATISTICS)
        statistics = f"SELECT *, {sums} FROM ({query}) AS energies"
        query = f"SELECT *, {averages} FROM ({statistics}) AS told ORDER BY meter"
        self._back_end.export({path: query}, file_format)

    def forget(self, before: date) -> None:
        """Drop rates of the months and energy of the days before a day."""
        month = Month(before.year, before.month).number
        with self._back_end.writing() as writing:
            writing.execute(f"DELETE FROM rates WHERE month < {month:d}")
            for table in (DAILY, VIRTUAL_METERS):
                writing.execute(f"DELETE FROM {table.name} WHERE day < {day_number(before):d}")

    def _all(self, query: str, names: tuple[str, ...]) -> Int64Columns:
        return self._back_end.fetch(query, names)


def _energy_query(first: date, end: date, meter: int | None, after: int, count: int | None) -> str:
    days = f"day >= {day_number(first):d} AND day < {day_number(end):d} AND meter > {after:d}"
    if meter is not None:
        days += f" AND meter = {meter:d}"
    limit = "" if count is None else f" LIMIT {count:d}"
    return (
        "SELECT metered.meter, days, import_wh, export_wh, "
        "coalesce(charged_mwh, 0) AS charged_mwh, coalesce(discharged_mwh, 0) AS discharged_mwh "
        f"FROM (SELECT meter, count(*) AS days, {_total('import_wh')}, "
        f"{_total('export_wh')} FROM daily WHERE {days} GROUP BY meter) AS metered "
        f"LEFT JOIN (SELECT meter, {_total('charged_mwh')}, "
        f"{_total('discharged_mwh')} FROM virtual_meters WHERE {days} "
        f"GROUP BY meter) AS stored ON stored.meter = metered.meter ORDER BY metered.meter{limit}"
    )


def _average(name: str) -> str:
    # Whole numbers until they divide without rest, for both back ends divide in their own ways.
    doubled = f"(2 * {name} + CASE WHEN {name} < 0 THEN -days ELSE days END)"
    return f"CAST(({doubled} - {doubled} % (2 * days)) / (2 * days) AS BIGINT)"


def _total(name: str) -> str:
    # Sums have wider types than their terms, which would come out as floats.
    return f"CAST(coalesce(sum({name}), 0) AS BIGINT) AS {name}"


def _rates_columns(rates: list[Rates]) -> dict[str, NDArray[np.int64]]:
    rows = [
        (
            item.month.number,
            item.peak_micro,
            item.off_peak_micro,
            item.peak_hours.from_s,
            item.peak_hours.until_s,
        )
        for item in rates
    ]
    return dict(zip(RATES.types, np.array(rows, np.int64).T, strict=True))


def _bill_runs(bills: Columns, took_us: int) -> Columns:
    """Return when bills were made, by month and when somebody set out to make them."""
    rows = np.stack([np.asarray(bills["month"]), np.asarray(bills["created_at"])], axis=1)
    month, began_at = np.unique(rows, axis=0).T
    return {"month": month, "began_at": began_at, "ended_at": began_at + took_us}
