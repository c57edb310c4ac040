"""Statistics and exports, recomputed from what went in: every period, format and back end."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import duckdb
import numpy as np
import pytest

from harness.billing.book import Book
from harness.billing.calendar import PERIODS, Period, day_number, past
from harness.billing.tables import BILLS, DAILY, VIRTUAL_METERS, WITHHELD
from harness.store.errors import StoreError
from harness.store.interface import ExportFormat
from harness.store.schema import Columns, Table
from tests.harness.billing.api.test_app import asking
from tests.support.billing import all_kept, registers, stored

SEED: Final = 20260301
LAST: Final = date(2028, 3, 31)
METERS: Final = 4
DAY_MS: Final = 86_400_000
Line = dict[str, int]
STATISTICS: Final = ("generated_mwh", "consumed_mwh", "contributed_mwh")


def columns(table: Table, lines: list[list[int]]) -> Columns:
    """Return lines as columns of a table."""
    cells = np.array(lines, np.int64).reshape(-1, len(table.types)).T
    typed = zip(table.types.items(), cells, strict=True)
    return {name: cell.astype(dtype) for (name, dtype), cell in typed}


class Energy:
    """Five years and more of days of a few meters, some unknown, some with a battery."""

    def __init__(self) -> None:
        random = Random(SEED)
        self.daily: list[list[int]] = []
        self.virtual: list[list[int]] = []
        for meter in range(METERS):
            for back in range(1, 5 * 366 + 40):
                day = LAST - timedelta(days=back)
                if random.random() < 0.9:
                    energy = [random.randrange(50_000), random.randrange(20_000)]
                    self.daily.append([meter, day_number(day), *energy])
                if meter and random.random() < 0.3:
                    begin_ms = day_number(day) * DAY_MS
                    flow = [random.randrange(10**7), random.randrange(10**7)]
                    span = [begin_ms, begin_ms + DAY_MS]
                    self.virtual.append([meter, *span, day_number(day), *flow])

    def put(self, book: Book) -> None:
        """Put all of it into a book."""
        book.put_daily(columns(DAILY, self.daily))
        book.put_virtual_meters(columns(VIRTUAL_METERS, self.virtual))

    def told(self, first: date, end: date) -> dict[int, Line]:
        """Return the statistics of a span by meter, added up one by one."""
        days = range(day_number(first), day_number(end))
        lines: dict[int, Line] = defaultdict(lambda: defaultdict(int))
        for meter, day, imported, exported in self.daily:
            if day in days:
                lines[meter]["days"] += 1
                lines[meter]["import_wh"] += imported
                lines[meter]["export_wh"] += exported
        for meter, _, _, day, charged, discharged in self.virtual:
            if day in days:
                lines[meter]["charged_mwh"] += charged
                lines[meter]["discharged_mwh"] += discharged
        for line in lines.values():
            given, taken = line["discharged_mwh"], line["charged_mwh"]
            line["generated_mwh"] = line["export_wh"] * 1000 + given
            line["consumed_mwh"] = line["import_wh"] * 1000 + given - taken
            line["contributed_mwh"] = line["export_wh"] * 1000
            for name in STATISTICS:
                exact = Decimal(line[name]) / line["days"]
                line[f"{name}_per_day"] = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        return lines


ENERGY: Final = Energy()


def read(path: Path, file_format: ExportFormat) -> list[Line]:
    """Return the lines of a file."""
    if file_format == "csv":
        with path.open(newline="") as file:
            return [{k: int(v) for k, v in line.items()} for line in csv.DictReader(file)]
    with duckdb.connect() as session:
        found = session.execute(f"SELECT * FROM read_parquet('{path}')")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, line, strict=True)) for line in found.fetchall()]


@pytest.fixture
def book(address: str) -> Iterator[Book]:
    """A book with all that energy."""
    with closing(Book.open(address)) as book:
        ENERGY.put(book)
        yield book


def test_exports_of_statistics_hold_every_period_to_the_day(book: Book, tmp_path: Path) -> None:
    periods: list[Period] = list(PERIODS)
    for period in periods:
        first = past(LAST, period)
        expected = ENERGY.told(first, LAST)
        formats: list[ExportFormat] = ["parquet", "csv"]
        for file_format in formats:
            path = tmp_path / f"{period}.{file_format}"
            book.export_energy(first, LAST, path, file_format)
            lines = read(path, file_format)
            assert [line["meter"] for line in lines] == list(range(METERS))
            for line in lines:
                told = expected[line["meter"]]
                assert {name: told[name] for name in line if name != "meter"} == {
                    name: value for name, value in line.items() if name != "meter"
                }, period


def test_what_the_api_tells_is_what_the_export_holds(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with asking(tmp_path) as client:
        client.post("/statistics", json={"first": "2026-03-01", "end": "2026-03-31"})
        record = {"from_ms": 1_772_400_000_000, "to_ms": 1_772_400_060_000}
        flow = {"charged_mwh": 12_345, "discharged_mwh": 678}
        sent = {"name": "upper floor", **record, **flow}
        assert client.post("/virtual-meters", json={"records": [sent]}).json() == {"added": 1}
        asked = {"what": "statistics", "day": "2026-03-31", "format": "csv"}
        text = client.get("/export", params=asked).text
        lines = {int(line["meter"]): line for line in csv.DictReader(io.StringIO(text))}
        for meter, line in lines.items():
            told: dict[str, Any] = client.get(
                "/statistics", params={"day": "2026-03-31", "meter": str(meter)}
            ).json()
            assert told["days"] == int(line["days"])
            for name in ("generated", "consumed", "contributed"):
                assert Decimal(told["total"][name]) * 1000 == int(line[f"{name}_mwh"])
                assert Decimal(told["per_day"][name]) * 1000 == int(line[f"{name}_mwh_per_day"])
        total = client.get("/statistics", params={"day": "2026-03-31"}).json()["total"]
        for name in ("generated", "consumed", "contributed"):
            whole = sum(int(line[f"{name}_mwh"]) for line in lines.values())
            assert Decimal(total[name]) * 1000 == whole


def test_everything_is_of_one_moment(address: str, tmp_path: Path) -> None:
    """A bill is either there or withheld, however often that changes meanwhile."""
    done = threading.Event()
    no_bill = columns(BILLS, [])
    nobody = columns(WITHHELD, [])

    def change(book: Book) -> None:
        for number in range(1, 500):
            if done.is_set():
                return
            month = 202600 + number
            book.add_bills(no_bill, columns(WITHHELD, [[1, month, 0, -1]]))
            book.add_bills(columns(BILLS, [[1, month, *[0] * 11]]), nobody)

    with closing(Book.open(address)) as book:
        changing = threading.Thread(target=change, args=(book,))
        changing.start()
        try:
            for turn in range(8):
                paths = {name: tmp_path / f"{name}-{turn}" for name in ("bills", "withheld")}
                book.export_all(paths, "csv")
                billed = {line["month"] for line in read(paths["bills"], "csv")}
                held = {line["month"] for line in read(paths["withheld"], "csv")}
                assert not billed & held
                whole = {202600 + number for number in range(1, len(billed) + len(held) + 1)}
                assert billed | held == whole
        finally:
            done.set()
            changing.join()


def test_an_export_that_fails_leaves_nothing_behind(book: Book, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "daily").mkdir()  # where a file cannot go
    with pytest.raises(StoreError):
        book.export_all({"rates": folder / "rates", "daily": folder / "daily"}, "csv")
    assert [path.name for path in folder.iterdir()] == ["daily"]


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_everything_can_be_read_back(tmp_path: Path, file_format: ExportFormat) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with asking(tmp_path) as client:
        client.post("/bills", json={"month": "2026-03"})
        client.post("/statistics", json={"first": "2026-03-01", "end": "2026-04-01"})
        answer = client.get("/export", params={"what": "everything", "format": file_format})
        bills = client.get("/bills", params={"month": "2026-03"}).json()["bills"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        packed.extractall(tmp_path / "all")
    lines = read(tmp_path / "all" / f"bills.{file_format}", file_format)
    assert [Decimal(line["amount_cents"]) / 100 for line in lines] == [
        Decimal(bill["amount"]) for bill in bills
    ]
    daily = read(tmp_path / "all" / f"daily.{file_format}", file_format)
    by_meter: dict[int, int] = defaultdict(int)
    for line in daily:
        by_meter[line["meter"]] += line["import_wh"]
    assert list(by_meter.values()) == [bill["peak_wh"] + bill["off_peak_wh"] for bill in bills]
