from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from harness.errors import ArgumentsError, EnvironmentUnfitError
from harness.run.external_billing import ExternalBillingSystem
from harness.run.preparation import free_ports
from harness.scenario.billing import ExternalBilling
from tests.support.recorded_run import RecordedFolder

RATES = [{"month": "2026-03", "peak": "0.3", "off_peak": "0.2", "peak_hours": "07:00-22:00"}]
BATTERIES = {
    "batteries": {"count": 4},
    "bal": {"virtual": 2, "partitions": [{"name": "a", "share": "50 %"}]},
}
BILLS = "meter,month,amount\n0,2026-03,12.50\n"


class Vendor:
    """A run with somebody's own billing system."""

    def __init__(self, folder: Path, *, virtual_meters: bool = False, **target: Any) -> None:
        billing = {
            "rates": RATES,
            "target": {"kind": "external", "settle": "3 s", **target},
            "virtual_meters": virtual_meters,
        }
        run = RecordedFolder(folder, BATTERIES | {"billing": billing})
        assert run.scenario.billing is not None
        external = run.scenario.billing.target
        assert isinstance(external, ExternalBilling)
        self.doubts: list[str] = []
        self.path = run.path
        self.theirs = run.prepared.fleet.pattern_folder / target.get("bills", "none")
        self.system = ExternalBillingSystem(
            run.prepared, run.scenario.billing, external, doubt=self.doubts.append
        )


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_tariffs_and_virtual_meters_are_exported(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path, bills="theirs.csv", virtual_meters=True)
    await vendor.system.start()
    tariffs = json.loads((vendor.path / "provisioning" / "tariffs.json").read_text())
    assert tariffs["rates"] == RATES
    assert set(tariffs) == {"time_zone", "base_bill", "rates"}
    with (vendor.path / "provisioning" / "virtual-meters.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "meter"],
            ["virtual-00001/a", "0"],
            ["virtual-00002/a", "1"],
        ]


async def test_bills_of_a_file_are_kept_after_it_had_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    vendor = Vendor(tmp_path, bills="theirs.csv")
    await vendor.system.start()

    async def bill() -> None:
        await trio.sleep(2.9)
        vendor.theirs.write_text(BILLS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bill)
        await vendor.system.finish()
    assert trio.current_time() >= 3
    assert (vendor.path / "billing" / "bills.csv").read_text() == BILLS
    finished = json.loads((vendor.path / "billing" / "finished.json").read_text())
    assert finished == {"months": [], "made_s": None}
    assert vendor.doubts == []


async def test_bills_of_another_run_are_not_taken_for_those_of_this_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    (tmp_path / "theirs.csv").write_text(BILLS)
    os.utime(tmp_path / "theirs.csv", (1_000, 1_000))
    vendor = Vendor(tmp_path, bills="theirs.csv")
    await vendor.system.start()
    await vendor.system.finish()
    (doubt,) = vendor.doubts
    assert "was not written since the run began" in doubt
    assert not (vendor.path / "billing" / "bills.csv").exists()


async def test_without_bills_the_run_proves_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    vendor = Vendor(tmp_path, bills="theirs.parquet")
    await vendor.system.start()
    await vendor.system.finish()
    (doubt,) = vendor.doubts
    assert "theirs.parquet" in doubt


async def test_what_flowed_is_kept_where_nobody_takes_it(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path, bills="theirs.csv", virtual_meters=True)
    await vendor.system.start()
    record = {"name": "virtual-00002/a", "from_ms": 1, "to_ms": 2}
    await vendor.system.note_virtual_meters([record])
    kept = json.loads((vendor.path / "billing" / "virtual-meters.json").read_text())
    assert kept == [{"meter": 1, **record}]


async def test_an_api_that_is_not_there_is_named(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    vendor = Vendor(tmp_path, url=url, bills="theirs.csv")
    with pytest.raises(EnvironmentUnfitError, match=f"{url} .billing.target.url."):
        await vendor.system.start()
    assert 30 <= trio.current_time() < 31


def test_more_partitions_of_a_topology_than_meters_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    parts = ", ".join(f'{{ name = "{number}", share = "1 %" }}' for number in range(41))
    file.write_text(f'[[splitter]]\nsource = "s"\npartitions = [{parts}]\n')
    run = RecordedFolder(
        tmp_path,
        {
            "batteries": {"count": 4},
            "bal": {"topology": str(file)},
            "billing": {
                "rates": RATES,
                "virtual_meters": True,
                "target": {"kind": "external", "bills": "theirs.csv"},
            },
        },
    )
    billing = run.scenario.billing
    assert billing is not None
    assert isinstance(billing.target, ExternalBilling)
    with pytest.raises(ArgumentsError, match="41 partitions cannot be behind 40 meters"):
        ExternalBillingSystem(run.prepared, billing, billing.target, doubt=print)
