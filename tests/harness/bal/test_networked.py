"""A battery of one layer as a source of another, over each dialect and over SunSpec."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from harness.bal.config import BalConfig
from harness.bal.faces.serving import OpenFace
from harness.bal.journal import read_journal
from harness.bal.service import BatteryLayer
from harness.check.batteries import account_of_batteries
from tests.harness.bal.test_service import HOME, executed, set_current
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import Park, battery_config, open_park
from tests.support.faces import Authority, open_face
from tests.support.lossy import open_way

FAR = """
[[battery]]
name = "far"
kind = "networked"
interface = "of another node"
voltage_mv = 51_200
capacity_mah = 220_000
max_charge_ma = 80_000
max_discharge_ma = 80_000

[[aggregate]]
name = "village"
sources = ["far"]
"""
WORDS = ["v1", "v2", "v3", "sunspec"]


def ways(folder: Path, speaks: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said of a face, and of the endpoint that leads to it."""
    face: dict[str, Any] = {"speaks": speaks}
    to: dict[str, Any] = {"driver": speaks, "host": "127.0.0.1"}
    if speaks == "sunspec":
        return face | {"units": {7: "home"}}, to | {"unit": 7}
    if speaks == "v3":
        authority = Authority(folder)
        face["tls"] = authority.files("node").model_dump()
        to["tls"] = authority.files("client").model_dump()
    return face, to | {"battery": "home"}


def far_config(folder: Path, to: dict[str, Any], port: int) -> BalConfig:
    topology = folder / "far.toml"
    topology.write_text(FAR)
    return BalConfig.model_validate(
        {
            "control_socket": folder / "far.sock",
            "journal": folder / "far.sqlite",
            "topology": topology,
            "endpoints": {"far": to | {"port": port}},
            "timeout_s": 20.0,
            "group_commit_s": 0.0,
        }
    )


@asynccontextmanager
async def two_layers(
    folder: Path, park: Park, speaks: str
) -> AsyncIterator[tuple[BatteryLayer, OpenFace, BatteryLayer]]:
    said, to = ways(folder, speaks)
    async with (
        open_layer(bal_config(folder, park, extra=HOME), park.clock) as near,
        open_face(near, **said) as face,
        open_layer(far_config(folder, to, face.port), park.clock) as far,
    ):
        yield near, face, far


@pytest.mark.parametrize("speaks", WORDS)
async def test_a_current_set_in_one_layer_reaches_the_battery_of_another(
    tmp_path: Path, speaks: str
) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        two_layers(tmp_path, park, speaks) as (near, _, far),
    ):
        status = await far.status("village")
        assert (status.sources, status.sources_online) == (1, 1)
        assert status.current.capacity_ma_ms == (await near.status("home")).current.capacity_ma_ms
        await far.command(*set_current("village", -20_000))
        await settled(far)
        await settled(near)
        assert near.batteries.status("home").expected.current_ma == pytest.approx(-20_000, abs=2)
        assert sum(executed(park, 0) + executed(park, 1)) == pytest.approx(-20_000, abs=2)
        park.clock.stand_at(60)
        assert (await far.status("village")).current.current_ma == pytest.approx(-20_000, abs=10)


@pytest.mark.parametrize("speaks", WORDS)
async def test_more_than_the_other_node_can_is_refused_and_not_lost(
    tmp_path: Path, speaks: str
) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        two_layers(tmp_path, park, speaks) as (near, _, far),
    ):
        await far.status("village")
        # Somebody else divides it in the meantime.
        await near.command("remove", {"name": "home"})
        await far.command(*set_current("village", 1_000))
        await settled(far)
        assert far.counts["orders refused"] + far.counts["orders lost"] == 1
        assert executed(park, 0) == executed(park, 1) == []


@pytest.mark.parametrize("speaks", WORDS)
async def test_another_node_that_goes_away_lowers_current_values_only(
    tmp_path: Path, speaks: str
) -> None:
    said, to = ways(tmp_path, speaks)
    gone = trio.Event()
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as near,
    ):
        async with open_face(near, gone, **said) as face:
            config = far_config(tmp_path, to, face.port)
            async with open_layer(config, park.clock) as far:
                before = await far.status("village")
                gone.set()
                await trio.testing.wait_all_tasks_blocked()
                park.clock.stand_at(60)
                after = await far.status("village")
        assert before.sources_online == 1
        assert after.sources_online == 0
        assert after.current.max_discharge_ma == after.current.charge_ma_ms == 0
        assert after.expected.max_discharge_ma == before.expected.max_discharge_ma == 80_000
        assert after.expected.capacity_ma_ms == before.expected.capacity_ma_ms


async def test_a_layer_over_another_loses_nothing(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        async with two_layers(tmp_path, park, "v2") as (near, _, far):
            for number, current_ma in enumerate((5_000, -7_000, 0, 9_000)):
                await far.command(*set_current("village", current_ma), f"command-{number}")
                await settled(far)
                await settled(near)
        _, orders = read_journal(tmp_path / "journal.sqlite")
        account = account_of_batteries(park.entries, orders)
        assert account.sound, account
        _, told = read_journal(tmp_path / "far.sqlite")
        assert [order.current_ma for order in told] == [5_000, -7_000, 0, 9_000]
        assert {order.fate for order in told} == {"executed"}


async def test_a_current_whose_answer_is_lost_between_nodes_reaches_the_battery_once(
    tmp_path: Path,
) -> None:
    said, to = ways(tmp_path, "v2")
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as near,
        open_face(near, **said) as face,
        open_way(partial(trio.open_tcp_stream, "127.0.0.1", face.port)) as way,
        open_layer(far_config(tmp_path, to, way.port), park.clock) as far,
    ):
        await far.status("village")
        way.losing = is_v2_command
        await far.command(*set_current("village", 6_000))
        await settled(far)
        await settled(near)
        assert way.lost.is_set()
        assert near.counts["v2: done"] == 2
        assert [len(executed(park, number)) for number in range(2)] == [1, 1]


def is_v2_command(data: bytes) -> bool:
    return data[4] == 3
