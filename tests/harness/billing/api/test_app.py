"""The API: what each route tells, and what becomes of wrong questions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import pytest
from starlette.testclient import TestClient

from emulator.identity import meter_name
from harness.api.exports import make_room
from harness.billing.api.app import application
from harness.billing.service import BillingService
from tests.harness.billing.test_service import clock_at, config, over_shards, shards_of
from tests.harness.billing.test_service import told as recovery_told
from tests.support.billing import AT_S, END_S, METERS, all_kept, registers, stored

TOKEN: Final = "a_token_of_a_test:_0123456789"
METER_1: Final = meter_name(1).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of March: meter 0 has no closing, meter 2's register fell."""
    values, keep = registers(), all_kept()
    keep[0, -1] = False
    values[2, 300, 0] = 5
    stored(str(tmp_path / "store.duckdb"), values, keep)
    return tmp_path


@contextmanager
def asking(folder: Path) -> Iterator[TestClient]:
    """Somebody with the token, for the length of a ``with``."""
    service = BillingService(config(folder, automatic=False))
    make_room(service.config.folder)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(application(service, TOKEN), headers=headers) as client:
        yield client
    service.close()


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """Somebody who asks about March."""
    with asking(folder) as client:
        yield client


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who asks a service whose store is away."""
    with asking(tmp_path) as client:
        yield client


def told(client: TestClient, path: str, **parameters: Any) -> Any:
    """Return what a question that succeeds is answered."""
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def billed(client: TestClient) -> dict[str, Any]:
    """Bill March."""
    answer = client.post("/bills", json={"month": "2026-03"})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def test_nothing_is_told_without_the_token(client: TestClient) -> None:
    for path in ("/bills?month=2026-03", "/status", "/export?what=everything", "/no-such"):
        answer = client.get(path, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401
        assert METER_1[:3] not in answer.text
    assert client.get("/health", headers={"Authorization": ""}).status_code == 200


def test_a_month_is_billed_once(client: TestClient) -> None:
    assert billed(client) == {"month": "2026-03", "issued": 3, "already": 0, "withheld": 2}
    assert billed(client) == {"month": "2026-03", "issued": 0, "already": 3, "withheld": 2}
    found = told(client, "/bills", month="2026-03")
    assert [bill["meter"][-2:] for bill in found["bills"]] == ["02", "04", "05"]
    assert found["next"] is None
    first = told(client, "/bills", month="2026-03", count=1)
    assert first["bills"] == found["bills"][:1]
    after = told(client, "/bills", month="2026-03", count=2, after=first["next"])
    assert after["bills"] == found["bills"][1:]


def test_a_bill_adds_up(client: TestClient) -> None:
    billed(client)
    bill = told(client, f"/bills/{METER_1}/2026-03")
    assert bill == told(client, "/bills/1/2026-03") == told(client, "/bills/1")["bills"][0]
    energy = bill["peak_wh"] * Decimal("0.3217") + (
        bill["off_peak_wh"] - bill["export_wh"]
    ) * Decimal("0.2093")
    assert abs(Decimal("12.34") + energy / 1000 - Decimal(bill["amount"])) <= Decimal("0.005")
    assert bill["base_bill"] == "12.34"
    assert (bill["days"], bill["month_days"], bill["missing"]) == (31, 31, 0)


def test_what_is_withheld_says_why(client: TestClient) -> None:
    billed(client)
    found = told(client, "/withheld", month="2026-03")["withheld"]
    assert [(item["meter"][-2:], item["reason"]) for item in found] == [
        ("01", "no_closing"),
        ("03", "register_fell"),
    ]
    # Hour 300 of March in Berlin: 13 March, 11:00 UTC.
    assert found[1]["at"] == "2026-03-13T11:00:00Z"
    assert "2026-03-13T11:00:00Z" in found[1]["message"]
    answer = client.get("/bills/2/2026-03")
    assert answer.status_code == 404
    assert "meter 2 has no bill for 2026-03" in answer.json()["detail"]


def test_rates_and_status(client: TestClient) -> None:
    billed(client)
    (march,) = told(client, "/rates", month="2026-03")
    assert march == {
        "month": "2026-03",
        "peak": "0.321700",
        "off_peak": "0.209300",
        "peak_from_s": 7 * 3600,
        "peak_until_s": 22 * 3600,
    }
    assert len(told(client, "/rates")) == 2
    status = told(client, "/status")
    assert status["meters"] == METERS
    assert status["scenario_time"] is None
    march, may = status["months"]
    bills = told(client, "/bills", month="2026-03")["bills"]
    assert Decimal(march["amount"]) == sum(Decimal(bill["amount"]) for bill in bills)
    assert (march["bills"], march["withheld"], may["bills"]) == (3, 2, 0)
    assert march["made_s"] >= 0
    assert may["made_s"] is None


def test_a_month_that_is_not_over_is_refused_once_there_is_a_clock(client: TestClient) -> None:
    triple = list(clock_at(END_S - 5))
    assert client.post("/clock", json={"triple": triple}).status_code == 200
    answer = client.post("/bills", json={"month": "2026-03"})
    assert answer.status_code == 409
    assert "2026-03 is not over" in answer.json()["detail"]
    assert told(client, "/status")["scenario_time"] == "2026-03-31T21:59:55Z"


def test_statistics_of_a_meter_and_of_all(client: TestClient) -> None:
    days = {"first": "2026-03-01", "end": "2026-04-01"}
    assert client.post("/statistics", json=days).status_code == 200
    values = registers()
    rise = values[1, -1] - values[1, 0]
    begin_ms = int(AT_S[0]) * 1000
    records = [
        {
            "name": "upper floor",
            "from_ms": begin_ms,
            "to_ms": begin_ms + 1000,
            "charged_mwh": 1500,
            "discharged_mwh": 2750,
        }
    ]
    for added in (1, 0):
        answer = client.post("/virtual-meters", json={"records": records})
        assert answer.json() == {"added": added}
    one = told(client, "/statistics", meter="1", day="2026-04-01")
    assert (one["first"], one["meters"], one["days"]) == ("2026-03-01", 1, 31)
    assert Decimal(one["total"]["consumed"]) == int(rise[0]) + Decimal("1.25")
    assert Decimal(one["total"]["generated"]) == int(rise[1]) + Decimal("2.75")
    assert Decimal(one["total"]["contributed"]) == int(rise[1])
    assert Decimal(one["per_day"]["contributed"]) == round(Decimal(int(rise[1])) / 31, 3)
    everybody = told(client, "/statistics", day="2026-04-01", period="five-years")
    # Meter 0 lacks the last reading, so its last day; meter 2's register fell.
    assert (everybody["meters"], everybody["days"]) == (4, 4 * 31 - 1)
    nothing = told(client, "/statistics", meter="2", day="2026-04-01")
    assert (nothing["days"], nothing["per_day"]["consumed"]) == (0, "0.000")


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_exports_are_files_that_leave_nothing_behind(
    client: TestClient, folder: Path, file_format: str
) -> None:
    billed(client)
    client.post("/statistics", json={"first": "2026-03-01", "end": "2026-03-03"})
    answer = client.get("/export", params={"what": "bills", "format": file_format})
    path = folder / f"bills.{file_format}"
    path.write_bytes(answer.content)
    with duckdb.connect() as session:
        query = f"SELECT meter, month FROM read_{file_format}('{path}')"
        found = session.execute(query).fetchall()
    assert found == [(1, 202603), (3, 202603), (4, 202603)]
    asked = {"what": "statistics", "day": "2026-03-03", "format": file_format}
    path.write_bytes(client.get("/export", params=asked).content)
    with duckdb.connect() as session:
        query = f"SELECT meter, days FROM read_{file_format}('{path}')"
        assert session.execute(query).fetchall() == [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]
    answer = client.get("/export", params={"what": "everything", "format": file_format})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert sorted(packed.namelist()) == [
            f"{name}.{file_format}"
            for name in ("bill_runs", "bills", "daily", "rates", "virtual_meters", "withheld")
        ]
    assert list((folder / "files").iterdir()) == []


def test_statistics_are_exported_up_to_today_by_the_scenario_clock(
    client: TestClient, folder: Path
) -> None:
    client.post("/statistics", json={"first": "2026-03-01", "end": "2026-03-03"})
    at_s = datetime(2026, 3, 2, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert client.post("/clock", json={"triple": list(clock_at(at_s))}).status_code == 200
    path = folder / "statistics.parquet"
    path.write_bytes(client.get("/export", params={"what": "statistics"}).content)
    with duckdb.connect() as session:
        query = f"SELECT DISTINCT days FROM read_parquet('{path}')"
        assert session.execute(query).fetchall() == [(1,)]


WRONG: Final[list[tuple[str, str, Any, int, str]]] = [
    ("GET", "/bills?month=2026-13", None, 422, "write a month"),
    ("GET", "/bills?month=2026-03&count=100000", None, 422, "less than or equal to 1000"),
    ("GET", "/bills/99", None, 404, "no meter 99"),
    ("GET", "/bills/MSM1", None, 422, "pattern"),
    ("GET", "/bills/1/March", None, 422, "write a month"),
    ("POST", "/bills", {"month": "2026-04"}, 422, "no rates for 2026-04"),
    ("POST", "/bills", {"month": 3}, 422, "write a month"),
    ("POST", "/bills", {"month": "2026-03", "again": True}, 422, "Extra inputs"),
    ("GET", "/withheld?month=x", None, 422, "write a month"),
    ("GET", "/rates?month=x", None, 422, "write a month"),
    ("GET", "/statistics", None, 422, "day"),
    ("GET", "/statistics?day=0001-01-01&period=five-years", None, 422, "day"),
    ("GET", "/statistics?day=2026-04-01&period=week", None, 422, "period"),
    ("POST", "/statistics", {"first": "2026-03-02", "end": "2026-03-02"}, 422, "later than first"),
    ("POST", "/statistics", {"first": "2000-01-01", "end": "2026-03-02"}, 422, "at most 366 days"),
    ("POST", "/virtual-meters", {"records": []}, 422, "at least 1"),
    ("GET", "/export?what=secrets", None, 422, "what"),
    ("GET", "/export?what=bills&format=xlsx", None, 422, "format"),
    ("GET", "/export?what=statistics", None, 422, "say before which day"),
    ("POST", "/clock", {"triple": [1, 2, 0]}, 422, "greater than 0"),
    ("POST", "/clock", {"triple": [1, 2]}, 422, "triple"),
    ("GET", "/recovery?month=2026", None, 422, "write a month"),
    ("POST", "/recovery", {"month": "2026-13"}, 422, "write a month"),
    ("POST", "/recovery", {}, 422, "month"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "reason"), WRONG)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    idle: TestClient, method: str, path: str, body: Any, status: int, reason: str
) -> None:
    answer = idle.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"] + str(answer.json().get("errors"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "attic"}, "'attic' is behind no meter"),
        ({"to_ms": 1000}, "to_ms must be later"),
        ({"charged_mwh": -1}, "greater than or equal to 0"),
        ({"discharged_mwh": 2**60}, "less than or equal"),
    ],
)
def test_records_without_sense_are_refused(
    idle: TestClient, changes: dict[str, Any], reason: str
) -> None:
    record: dict[str, Any] = {"name": "upper floor", "from_ms": 1000, "to_ms": 2000}
    record |= {"charged_mwh": 1, "discharged_mwh": 1} | changes
    answer = idle.post("/virtual-meters", json={"records": [record]})
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


def test_a_store_that_is_away_is_no_mistake_of_the_api(idle: TestClient) -> None:
    answer = idle.post("/bills", json={"month": "2026-03"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_a_month_is_recovered_and_how_far_that_is_is_told(tmp_path: Path) -> None:
    gap = {"concentrator": 3, "from_s": END_S - 900, "to_s": END_S, "missing": 7}
    shards = shards_of(tmp_path, [], [])
    shards[0].answers["gaps"] = [gap, gap | {"to_s": 0, "from_s": 0}]
    with over_shards(tmp_path, *shards, automatic=False) as service:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with TestClient(application(service, TOKEN), headers=headers) as client:
            nothing = told(client, "/recovery", month="2026-03")
            assert (nothing["state"], nothing["missing"], nothing["concentrators"]) == (
                "none",
                7,
                1,
            )
            answer = client.post("/recovery", json={"month": "2026-03"})
            assert answer.status_code == 202, answer.text
            assert [shard.asked[-3]["ask"] for shard in shards] == ["recover", "recover"]
            for number, shard in enumerate(shards):
                shard.answers["recoveries"] = [
                    recovery_told(missing=50, ended_at_us=2),
                    recovery_told(ended_at_us=None if number else 8_500_000),
                ]
            going = told(client, "/recovery", month="2026-03")
            assert (going["state"], going["lost"], going["read_again"], going["given_up"]) == (
                ("under way", 18, 8, 2)
            )
            assert (going["ended_at"], going["seconds"]) == (None, None)
            refused = client.post("/bills", json={"month": "2026-03"})
            assert refused.status_code == 409
            assert "being read again" in refused.json()["detail"]
            shards[1].answers["recoveries"] = [recovery_told(ended_at_us=3_000_000)]
            over = told(client, "/recovery", month="2026-03")
            assert (over["state"], over["seconds"]) == ("over", 7.5)
            refusal = {"error": "nothing to recover", "kind": "invalid"}
            shards[0].answers["recover"] = shards[1].answers["recover"] = refusal
            assert client.post("/recovery", json={"month": "2031-03"}).status_code == 422


def test_stores_without_a_head_end_recover_nothing(idle: TestClient) -> None:
    answer = idle.post("/recovery", json={"month": "2026-03"})
    assert answer.status_code == 409
    assert "no head-end" in answer.json()["detail"]
    assert told(idle, "/recovery", month="2026-03")["state"] == "none"


def test_the_documentation_names_every_route(idle: TestClient) -> None:
    paths = idle.get("/openapi.json").json()["paths"]
    assert {"/bills", "/bills/{meter}/{month}", "/statistics", "/export", "/recovery"} <= set(paths)
    page = idle.get("/docs").text
    assert all(path in page for path in paths)
