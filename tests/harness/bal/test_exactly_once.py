"""Answers that get lost: what a SunSpec battery was told is read back, and not told again."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.batteries.record import Executed
from harness.bal.config import BalConfig
from harness.bal.journal import Order, read_journal
from harness.check.batteries import account_of_batteries
from protocols.sunspec import RegisterMap
from protocols.sunspec.pdu import ReadRegisters
from tests.harness.bal.test_service import executed, set_current
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import Park, battery_config, open_park
from tests.support.lossy import LossyWay, is_modbus_write, open_way

NAME = "battery-0000001"
CURRENT_MA = 12_345
LOOK_FOR_MAP = ReadRegisters(40_000, 2).encode()


def orders_of(config: BalConfig, park: Park) -> list[Order]:
    _, orders = read_journal(config.journal)
    account = account_of_batteries(park.entries, orders)
    assert account.sound, account
    return orders


def sunspec() -> dict[str, str]:
    return {"interface": "sunspec"}


async def test_a_command_whose_answer_is_lost_is_not_sent_again(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        async with open_layer(config, park.clock) as layer:
            await layer.status(NAME)
            way.losing = is_modbus_write
            await layer.command(*set_current(NAME, CURRENT_MA))
            await settled(layer)
            assert way.lost.is_set()
        assert len(executed(park, 0)) == 1
        (order,) = orders_of(config, park)
        # What was about to be sent is known, though nobody said that it arrived.
        (told,) = [entry.asked for entry in park.entries if isinstance(entry, Executed)]
        assert (order.fate, order.sent) == ("in force", told)


async def test_a_layer_that_ends_before_the_answer_asks_what_is_in_force(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        way.losing, way.hang = is_modbus_write, True
        async with open_layer(config, park.clock) as layer:
            await layer.command(*set_current(NAME, CURRENT_MA))
            await way.lost.wait()
        async with open_layer(config, park.clock) as layer:
            await settled(layer)
        assert len(executed(park, 0)) == 1
        assert [order.fate for order in orders_of(config, park)] == ["in force"]


async def test_another_current_than_the_one_sent_is_sent(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        async with open_layer(config, park.clock) as layer:
            await layer.status(NAME)
            way.losing = is_modbus_write
            await layer.command(*set_current(NAME, CURRENT_MA))
            await way.lost.wait()
            await layer.command(*set_current(NAME, CURRENT_MA + 1))
            await settled(layer)
            assert park.fleet.batteries[0].set_ma == CURRENT_MA + 1
        assert len(executed(park, 0)) == 2
        orders_of(config, park)


async def test_a_map_is_found_once_and_not_with_every_line(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        async with open_layer(config, park.clock) as layer:
            await layer.status(NAME)
            way.losing = lambda data: True
            park.clock.stand_at(60)
            status = await layer.status(NAME)
            assert status.online
        assert [looked(way, number) for number in range(2)] == [True, False]


async def test_a_layer_that_starts_again_still_knows_the_map(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        for _ in range(2):
            async with open_layer(config, park.clock) as layer:
                assert (await layer.status(NAME)).online
        assert [looked(way, number) for number in range(2)] == [True, False]


def looked(way: LossyWay, connection: int) -> bool:
    return any(LOOK_FOR_MAP in asked for asked in way.connections[connection])


async def test_a_battery_whose_map_has_changed_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_park(tmp_path, battery_config(1, category=sunspec())) as park,
        open_way(park.dial) as way,
    ):
        config = way.redirect(bal_config(tmp_path, park), NAME)
        async with open_layer(config, park.clock) as layer:
            before = await layer.status(NAME)
            # As new firmware might: the same models in another order.
            park.fleet.batteries._images.clear()
            shifted = RegisterMap.of((1, 713, 802, 704))
            monkeypatch.setattr("emulator.batteries.sunspec.register_map", lambda: shifted)
            way.losing = lambda data: True
            park.clock.stand_at(60)
            after = await layer.status(NAME)
            assert after.online
            assert after.current.charge_ma_ms == before.current.charge_ma_ms
        assert looked(way, 1)
