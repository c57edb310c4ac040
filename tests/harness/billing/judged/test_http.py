"""Questions meant to hurt: no handler dies, each wrong one is told what is wrong with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from starlette.testclient import TestClient

from tests.harness.billing.api.test_app import asking
from tests.harness.billing.test_service import service
from tests.support.billing import END_S, METERS, all_kept, registers, stored

MS_9987: Final = 253_000_000_000_000


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who asks about a March of which all readings are there."""
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with asking(tmp_path) as client:
        yield client


MONTHS: Final = ["2026-13", "2026-00", "2026-3", "0000-01", "9999-12", "\uff12026-03", ""]


@pytest.mark.parametrize("month", MONTHS)
def test_what_is_no_month_is_refused_wherever_it_is_asked_for(
    client: TestClient, month: str
) -> None:
    asked = [
        client.post("/bills", json={"month": month}),
        *(client.get(path, params={"month": month}) for path in ("/bills", "/withheld", "/rates")),
        client.get("/recovery", params={"month": month}),
        client.get(f"/bills/1/{month or '-'}"),
    ]
    for answer in asked:
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "month"


def test_the_first_and_the_last_month_there_are_have_no_bills_and_no_rates(
    client: TestClient,
) -> None:
    for month in ("1971-01", "9998-12"):
        assert client.get("/bills", params={"month": month}).json()["bills"] == []
        assert client.get("/recovery", params={"month": month}).json()["missing"] == 0
        answer = client.post("/bills", json={"month": month})
        assert (answer.status_code, month in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    "triple",
    [
        [0, 1e300, 1],
        [0, -1e10, 1],
        [1e308, 1.7e9, 1],
        [0, 1.7e9, 1e308],
        [0, "nan", 1],
        [0, "inf", 1],
        [0, 1e18, 1],
        [0, 0, -1],
    ],
)
def test_a_clock_that_shows_no_time_is_refused_and_the_old_one_goes_on(
    client: TestClient, triple: list[Any]
) -> None:
    good = [time.monotonic(), END_S, 1e-6]
    assert client.post("/clock", json={"triple": good}).status_code == 200
    before = client.get("/status").json()["scenario_time"]
    answer = client.post("/clock", json={"triple": triple})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("triple")
    assert client.get("/status").json()["scenario_time"] == before
    assert client.get("/export", params={"what": "statistics"}).status_code == 200


@pytest.mark.parametrize("from_ms", [0, MS_9987 - 1])
def test_records_of_any_time_that_calendars_have_are_taken(
    client: TestClient, from_ms: int
) -> None:
    record = {"name": "upper floor", "from_ms": from_ms, "to_ms": from_ms + 1}
    record |= {"charged_mwh": 2**50, "discharged_mwh": 0}
    assert client.post("/virtual-meters", json={"records": [record]}).json() == {"added": 1}
    record["to_ms"] = MS_9987 + 1
    assert client.post("/virtual-meters", json={"records": [record]}).status_code == 422


def test_money_and_energy_are_strings_and_whole_numbers(client: TestClient) -> None:
    client.post("/bills", json={"month": "2026-03"})
    for bill in client.get("/bills", params={"month": "2026-03"}).json()["bills"]:
        for name in ("amount", "base_bill", "next_base_bill"):
            assert bill[name] == str(Decimal(bill[name]).quantize(Decimal("0.01")))
        assert all(type(bill[name]) is int for name in ("peak_wh", "off_peak_wh", "export_wh"))
    (march, _) = client.get("/status").json()["months"]
    assert march["amount"] == str(Decimal(march["amount"]).quantize(Decimal("0.01")))


def test_pages_hold_each_bill_once_however_large_they_are(client: TestClient) -> None:
    client.post("/bills", json={"month": "2026-03"})
    for count in range(1, METERS + 2):
        found, after = [], -1
        while after is not None:
            asked: dict[str, str | int] = {"month": "2026-03", "count": count, "after": after}
            page = client.get("/bills", params=asked).json()
            found += [bill["meter"] for bill in page["bills"]]
            after = page["next"]
        assert len(found) == len(set(found)) == METERS


def test_exports_while_bills_are_made_hold_all_or_none_of_them(
    client: TestClient, tmp_path: Path
) -> None:
    def exported(number: int) -> int | None:
        answer = client.get("/export", params={"what": "bills"})
        if answer.status_code == 503:  # one at a time
            return None
        assert answer.status_code == 200
        path = tmp_path / f"bills-{number}.parquet"
        path.write_bytes(answer.content)
        with duckdb.connect() as session:
            ((count,),) = session.execute(f"SELECT count(*) FROM '{path}'").fetchall()
        return int(count)

    with ThreadPoolExecutor(8) as pool:
        counts = [pool.submit(exported, number) for number in range(6)]
        asked = [pool.submit(client.post, "/bills", json={"month": "2026-03"}) for _ in range(3)]
        outcomes = [answer.result().json() for answer in asked]
        assert {count.result() for count in counts} <= {None, 0, METERS}
    assert sum(outcome["issued"] for outcome in outcomes) == METERS
    assert sum(outcome["already"] for outcome in outcomes) == 2 * METERS


def test_a_clock_at_the_end_of_time_does_not_end_the_service(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    end_s = MS_9987 / 1000
    with service(tmp_path, clock=(time.monotonic(), end_s, 1e-6), statistics_months=1) as billing:

        async def a_while() -> None:
            keeping = asyncio.create_task(billing.keep())
            async with asyncio.timeout(30):
                while billing.standing.forgotten_on is None and not keeping.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert not keeping.done()
            keeping.cancel()

        asyncio.run(a_while())
