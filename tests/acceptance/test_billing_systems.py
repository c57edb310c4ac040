"""Billing beside batteries: virtual meters in its statistics, and a billing system of others."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.command_line import WholeRun, run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

METERS, PARTITIONS = 100, 12
MIDNIGHT_MS = 1_774_994_400_000  # 2026-04-01T00:00+02:00
SCENARIO = f"""\
name = "billing"
seed = 7
speed = 300
link = "none"
[grid]
transformer_stations = 10
meters = {METERS}
sizes = [{{ name = "small", meters = [5, 25], share = "100 %" }}]
[limits]
drain = "5 s"
[behaviour]
preloaded = 2971
steps = 4
first = "2026-03-31T23:45:00+02:00"
concentrators = [{{ name = "always", share = "100 %", reachable = "100 %" }}]
[batteries]
count = 12
[bal]
virtual = 6
partitions = [{{ name = "a", share = "50 %" }}, {{ name = "b", share = "50 %" }}]
[bal.load]
commands_per_s = 10
current = 2000
[billing]
time_zone = "Europe/Berlin"
base_bill = "12.50"
virtual_meters = true
rates = [{{ month = "2026-03", peak = "0.3245", off_peak = "0.2387", peak_hours = "07:00-22:00" }}]
[billing.load]
statistics_per_s = 5
exports_per_s = 1
exports = ["statistics", "bills"]
"""
TOKEN = "of-the-vendor"


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run over the end of March 2026, with our own billing."""
    path = tmp_path_factory.mktemp("billing") / "billing.toml"
    path.write_text(SCENARIO)
    return run_scenario(path)


def records_of(run: WholeRun) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(
        (run.path / "billing" / "virtual-meters.json").read_text()
    )
    return records


def test_statistics_of_meters_with_partitions_behind_them_have_what_flowed(
    billed: WholeRun,
) -> None:
    assert billed.status == 0, billed.output
    records = records_of(billed)
    assert {record["meter"] for record in records} == set(range(PARTITIONS))
    assert {(record["name"], record["meter"]) for record in records} >= {
        ("virtual-00001/a", 0),
        ("virtual-00006/b", 11),
    }
    # A day each: what flowed before midnight is of March.
    march = [record for record in records if record["to_ms"] == MIDNIGHT_MS]
    assert len(march) == PARTITIONS
    assert len(records) == 2 * PARTITIONS
    assert {record["from_ms"] for record in records} == {MIDNIGHT_MS - 900_000, MIDNIGHT_MS}
    assert sum(record["charged_mwh"] for record in march) > 0
    assert sum(record["discharged_mwh"] for record in march) > 0
    with duckdb.connect() as session:
        found = session.execute(
            "SELECT meter, charged_mwh, discharged_mwh, days, import_wh FROM "
            f"read_parquet('{billed.path / 'billing' / 'statistics.parquet'}')"
        ).fetchall()
        plain = session.execute(
            f"ATTACH '{billed.path / 'billing' / 'book.duckdb'}' AS book (READ_ONLY);"
            "SELECT meter, CAST(sum(import_wh) AS BIGINT), count(*) FROM book.daily "
            "GROUP BY meter ORDER BY meter"
        ).fetchall()
    flowed = {one["meter"]: (one["charged_mwh"], one["discharged_mwh"]) for one in march}
    assert {meter: (charged, given) for meter, charged, given, *_ in found} == {
        meter: flowed.get(meter, (0, 0)) for meter in range(METERS)
    }
    assert [(meter, wh, days) for meter, _, _, days, wh in found] == plain
    assert {days for *_, days, _ in found} == {31}


def test_exports_are_asked_for(billed: WholeRun) -> None:
    assert "billing.export" in billed.verdict.latency_s


@dataclass(slots=True)
class Vendor:
    """Somebody's own billing system, with our paths; it has its bills from elsewhere."""

    bills: bytes
    asked: Counter[str] = field(default_factory=Counter)
    records: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def vendor(billed: WholeRun) -> Iterator[Vendor]:
    """It is right: the same readings cost the same."""
    system = Vendor((billed.path / "billing" / "bills.parquet").read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            self._answer(path, system.bills if path == "/export" else b"{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            system.records += body["records"]
            self._answer(self.path, b"{}")

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, path: str, body: bytes) -> None:
            entitled = self.headers["Authorization"] == f"Bearer {TOKEN}"
            system.asked[path] += 1
            self.send_response(200 if entitled else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        system.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield system
        server.shutdown()


def test_a_billing_system_of_others_is_told_asked_and_judged(
    vendor: Vendor, tmp_path: Path
) -> None:
    (tmp_path / "vendor.token").write_text(TOKEN + "\n")
    path = tmp_path / "vendor.toml"
    path.write_text(
        SCENARIO.replace("exports_per_s = 1\n", "")
        + "[billing.target]\n"
        + f'kind = "external"\nurl = "{vendor.url}"\ntoken_file = "vendor.token"\n'
        + f'bills_url = "{vendor.url}/export?what=bills"\nsettle = "1 s"\n'
    )
    run = run_scenario(path)
    assert run.status == 0, run.output
    bills = run.verdict.bills
    assert bills is not None
    assert (bills.due, bills.correct, bills.made_s) == (METERS, METERS, None)
    assert "billing.statistics" in run.verdict.latency_s
    assert not (run.path / "logs" / "billing.log").exists()
    tariffs = json.loads((run.path / "provisioning" / "tariffs.json").read_text())
    assert tariffs["rates"][0]["peak"] == "0.3245"
    meters = (run.path / "provisioning" / "virtual-meters.csv").read_text().splitlines()
    assert meters[:2] == ["name,meter", "virtual-00001/a,0"]
    assert vendor.asked["/export"] == 1
    told = [{key: one[key] for key in one if key != "meter"} for one in records_of(run)]
    assert vendor.records == told
    assert len(told) == 2 * PARTITIONS
