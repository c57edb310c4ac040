from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from harness.bal.model.accounting import Account
from harness.run.virtual_meters import behind_meters, metered
from harness.scenario.bal import Bal

BERLIN = ZoneInfo("Europe/Berlin")
FIRST_S = int(datetime(2026, 3, 31, 21, 45, tzinfo=UTC).timestamp())
"""A quarter of an hour before midnight in Berlin."""
MIDNIGHT_S = FIRST_S + 900


class Layer:
    """A battery layer of a few accounts, asked up to ``now_ms``."""

    def __init__(self, now_s: float, **accounts: Account) -> None:
        self.now_ms = round(1000 * now_s)
        self.accounts = list(accounts.items())

    async def flows(self, to_ms: int | None) -> list[dict[str, Any]]:
        to_ms = min(self.now_ms, self.now_ms if to_ms is None else to_ms)
        return [asdict(account.record(name, "source", 0, to_ms)) for name, account in self.accounts]


def account(*currents_ma: int, voltage_mv: int = 48_000, every_s: int = 900) -> Account:
    """Return an account through which flows each current in turn, from the first step on."""
    opened = Account.opened(0, 10**12, voltage_mv)
    for number, current_ma in enumerate(currents_ma):
        opened.flow((FIRST_S + number * every_s) * 1000, current_ma, voltage_mv)
    return opened


async def records_of(layer: Layer, **meters: int) -> list[Any]:
    return await metered(layer.flows, meters, FIRST_S, BERLIN)


async def test_each_local_day_has_a_record_of_its_own() -> None:
    # 1 A out of 48 V for a quarter of an hour is 12 Wh; then 2 A into it for half an hour.
    layer = Layer(MIDNIGHT_S + 1800, house=account(1000, -2000))
    records = await records_of(layer, house=5)
    assert records == [
        {
            "name": "house",
            "from_ms": FIRST_S * 1000,
            "to_ms": MIDNIGHT_S * 1000,
            "charged_mwh": 0,
            "discharged_mwh": 12_000,
        },
        {
            "name": "house",
            "from_ms": MIDNIGHT_S * 1000,
            "to_ms": (MIDNIGHT_S + 1800) * 1000,
            "charged_mwh": 48_000,
            "discharged_mwh": 0,
        },
    ]


@pytest.mark.parametrize(("sign", "key"), [(1, "discharged_mwh"), (-1, "charged_mwh")])
async def test_records_of_many_days_add_up_to_the_whole_milliwatt_hour(sign: int, key: str) -> None:
    # 7 mA out of 3.333 V is a third of a milliwatt-hour more each minute or so, never whole.
    days, layer_end_s = 40, MIDNIGHT_S + 40 * 86_400 + 777
    layer = Layer(layer_end_s, house=account(7 * sign, voltage_mv=3_333))
    records = await records_of(layer, house=0)
    assert len(records) == days + 2
    flowed_uj = 7 * 3_333 * (layer_end_s - FIRST_S)
    moved = sum(record[key] for record in records)
    assert moved == flowed_uj // 3_600_000
    ends = [record["to_ms"] for record in records[:-1]]
    assert ends == [record["from_ms"] for record in records[1:]]


async def test_a_partition_made_again_goes_on_and_strangers_are_left_out() -> None:
    layer = Layer(MIDNIGHT_S - 1, house=account(1000))
    layer.accounts += [("house", account(1000)), ("", account(9000)), ("made live", account(9000))]
    (record,) = await records_of(layer, house=0)
    assert record["discharged_mwh"] == 24_000 * 899 // 900


async def test_where_nothing_is_divided_there_is_no_record() -> None:
    assert await records_of(Layer(MIDNIGHT_S), house=0) == []


def test_partitions_are_behind_meters_in_their_order(tmp_path: Path) -> None:
    made = Bal.model_validate(
        {
            "virtual": 2,
            "partitions": [{"name": "b", "share": "50 %"}, {"name": "a", "share": "50 %"}],
        }
    )
    names = ["virtual-00001/b", "virtual-00001/a", "virtual-00002/b", "virtual-00002/a"]
    assert behind_meters(made, 10) == {name: meter for meter, name in enumerate(names)}
    file = tmp_path / "own.toml"
    file.write_text(
        '[[splitter]]\nsource = "s"\npartitions = [{ name = "z", share = "40 %" }]\n'
        '[[splitter]]\nsource = "z"\npartitions = [{ name = "y", share = "40 %" }]\n'
    )
    assert behind_meters(Bal(topology=file), 10) == {"z": 0, "y": 1}
