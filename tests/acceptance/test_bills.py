"""A month of bills: history in the store before the run, the month's end lived through."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.support.command_line import WholeRun, meterstorm, run_scenario, verdict_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

METERS = 300
SCENARIO = f"""\
name = "bills"
seed = 7
speed = 300
link = "none"
[grid]
transformer_stations = 20
meters = {METERS}
sizes = [{{ name = "small", meters = [5, 25], share = "100 %" }}]
[behaviour]
preloaded = 2971
steps = 4
first = "2026-03-31T23:45:00+02:00"
concentrators = [{{ name = "always", share = "100 %", reachable = "100 %" }}]
[billing]
time_zone = "Europe/Berlin"
base_bill = "12.50"
rates = [{{ month = "2026-03", peak = "0.3245", off_peak = "0.2387", peak_hours = "07:00-22:00" }}]
[billing.load]
bills_per_s = 20
statistics_per_s = 5
"""


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run over the end of March 2026, in which the clock of Berlin goes forward."""
    path = tmp_path_factory.mktemp("bills") / "bills.toml"
    path.write_text(SCENARIO)
    return run_scenario(path)


def test_every_bill_is_right_to_the_cent(billed: WholeRun) -> None:
    assert billed.status == 0, billed.output
    verdict = billed.verdict
    assert verdict.readings.preloaded == 2971 * METERS
    assert verdict.readings.preloaded_wrong == 0
    assert verdict.bills is not None
    assert (verdict.bills.due, verdict.bills.correct) == (METERS, METERS)
    assert verdict.bills.months == ("2026-03",)
    assert "billing.statistics" in verdict.latency_s


def test_a_cent_too_much_fails_the_run_and_names_the_meter(billed: WholeRun) -> None:
    bills = billed.path / "billing" / "bills.parquet"
    whole = bills.read_bytes()
    try:
        with duckdb.connect() as session:
            session.execute(f"CREATE TABLE bills AS FROM read_parquet('{bills}')")
            session.execute("UPDATE bills SET amount_cents = amount_cents + 1 WHERE meter = 17")
            session.execute(f"COPY bills TO '{bills}' (FORMAT parquet)")
        ended = meterstorm("check", str(billed.path), cwd=billed.path)
        assert ended.status == 1, ended.output
        verdict = verdict_of(billed.path)
        assert verdict.bills is not None
        assert (verdict.bills.wrong, verdict.bills.correct) == (1, METERS - 1)
        (example,) = verdict.bills.examples
        assert "meter 17 for 2026-03" in example
    finally:
        bills.write_bytes(whole)


def test_without_its_bills_a_run_proves_nothing(billed: WholeRun, tmp_path: Path) -> None:
    bills = billed.path / "billing" / "bills.parquet"
    aside = bills.rename(tmp_path / "aside.parquet")
    try:
        ended = meterstorm("check", str(billed.path), cwd=billed.path)
        assert ended.status == 2, ended.output
        assert any("bills" in reason for reason in verdict_of(billed.path).reasons)
    finally:
        aside.rename(bills)
