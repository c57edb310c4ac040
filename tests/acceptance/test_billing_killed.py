"""The process of billing, killed again and again while it makes a month's bills."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from harness.billing.book import Book
from harness.store.opening import open_store
from harness.store.rows import Rows
from tests.harness.billing.test_main import running, written
from tests.harness.billing.test_service import clock_at
from tests.support.billing import AT_S, BEGIN_S, END_S, MARCH, METERS, PROFILE, registers
from tests.support.postgres import PostgresServer
from tests.support.stores import REGISTERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(params=["duckdb", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where bills are kept."""
    if request.param == "duckdb":
        return str(tmp_path / "book.duckdb")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


def stores(folder: Path) -> Iterator[str]:
    """Make a store for each meter, as of head-end shards; yield their addresses."""
    values = registers()
    for meter in range(METERS):
        address = str(folder / f"store-{meter}.duckdb")
        rows = Rows(
            meter=np.full(len(AT_S), meter, np.uint32),
            profile=np.full(len(AT_S), PROFILE, np.uint8),
            captured_at_s=AT_S,
            status=np.zeros(len(AT_S), np.uint8),
            values=values[meter].astype(np.uint32),
            via=np.zeros(len(AT_S), np.uint8),
        )
        with closing(open_store(address, REGISTERS, create=True)) as store:
            store.put(rows, {}, 1)
        yield address


def ask_for_bills(client: httpx2.Client) -> dict[str, Any]:
    """Ask for March's bills; who is killed meanwhile does not answer."""
    with suppress(httpx2.TransportError):
        told: dict[str, Any] = client.post("/bills", json={"month": "2026-03"}).json()
        return told
    return {}


def billed(client: httpx2.Client) -> int:
    """Return how many bills there are."""
    months = client.get("/status").json()["months"]
    return next(int(one["bills"]) for one in months if one["month"] == "2026-03")


def test_a_month_of_which_every_bill_is_a_life(tmp_path: Path, book: str) -> None:
    """Killed as soon as there is one bill more, until all are made."""
    assert BEGIN_S < END_S
    changes = {"stores": list(stores(tmp_path)), "clock": clock_at(END_S + 3000), "book": book}
    path = written(tmp_path, automatic=False, **changes)
    kills = 0
    with ThreadPoolExecutor(1) as pool:
        for _ in range(METERS):
            with running(path) as (process, client):
                before = billed(client)
                asked = pool.submit(ask_for_bills, client)
                deadline = time.monotonic() + 60
                while not asked.done() and billed(client) == before:
                    assert time.monotonic() < deadline
                if asked.done():
                    break
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
    assert kills
    with running(path) as (process, client):
        assert ask_for_bills(client)["withheld"] == 0
        again = ask_for_bills(client)
        assert (again["issued"], again["already"]) == (0, METERS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with closing(Book.open(book)) as made:
        bills = made.bills(month=MARCH)
    assert bills["meter"].tolist() == list(range(METERS))
    values = registers()
    total = bills["peak_wh"] + bills["off_peak_wh"]
    assert total.tolist() == (values[:, -1, 0] - values[:, 0, 0]).tolist()
