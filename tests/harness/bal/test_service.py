"""A battery layer and emulated batteries, over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from emulator.batteries.record import Executed
from harness.bal import happenings
from harness.bal.errors import CommandConflictError, CurrentOutOfRangeError, UnknownBatteryError
from harness.bal.journal import read_journal
from tests.support.bal import aggregate, bal_config, open_layer, settled
from tests.support.batteries import FIRST_S, Park, battery_config, open_park
from tests.support.lossy import open_way

HOME = aggregate("home", (0, 1))


def set_current(name: str, current_ma: int) -> tuple[str, dict[str, object]]:
    return happenings.SET_CURRENT, {"name": name, "current_ma": current_ma}


def executed(park: Park, number: int) -> list[int]:
    """Return the currents that a battery was set to, in order."""
    return [
        entry.changed.current_ma
        for entry in park.entries
        if isinstance(entry, Executed) and entry.battery == number
    ]


@pytest.mark.parametrize("interface", ["jbd", "sunspec"])
async def test_what_an_aggregate_is_told_reaches_its_batteries(
    tmp_path: Path, interface: str
) -> None:
    async with open_park(tmp_path, battery_config(2, category={"interface": interface})) as park:
        async with open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer:
            status = await layer.status("home")
            assert (status.sources, status.sources_online) == (2, 2)
            assert status.current.charge_ma_ms == status.expected.charge_ma_ms
            await layer.command(*set_current("home", 30_000), "first")
            await settled(layer)
            now = [park.fleet.batteries[number].set_ma for number in range(2)]
        assert sum(now) == pytest.approx(30_000, abs=2)
        assert now[0] == pytest.approx(now[1], abs=2)
        _, orders = read_journal(tmp_path / "journal.sqlite")
        assert [order.fate for order in orders] == ["executed"] * 2


async def test_over_the_limits_and_unknown_names_are_refused_and_leave_no_trace(
    tmp_path: Path,
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        async with open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer:
            with pytest.raises(CurrentOutOfRangeError):
                await layer.command(*set_current("home", 10**9))
            with pytest.raises(UnknownBatteryError):
                await layer.command(*set_current("nobody", 0))
        events, orders = read_journal(tmp_path / "journal.sqlite")
        assert {event.kind for event in events} <= {happenings.READ, happenings.TIME_PASSED}
        assert not orders
        assert executed(park, 0) == executed(park, 1) == []


async def test_a_layer_that_starts_again_knows_everything_and_orders_nothing_twice(
    tmp_path: Path,
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        config = bal_config(tmp_path, park, extra=HOME)
        async with open_layer(config, park.clock) as layer:
            await layer.command(*set_current("home", -20_000), "charge")
            await settled(layer)
            before = await layer.status("home")
        first = [executed(park, number) for number in range(2)]
        async with open_layer(config, park.clock) as layer:
            # Twice the same: the name is what tells one command from another.
            await layer.command(*set_current("home", -20_000), "charge")
            after = await layer.status("home")
            assert after.expected.current_ma == before.expected.current_ma == -20_000
            with pytest.raises(CommandConflictError):
                await layer.command(*set_current("home", 1), "charge")
            await settled(layer)
        assert [executed(park, number) for number in range(2)] == first
        assert sum(map(sum, first)) == -20_000


async def test_a_battery_out_of_reach_counts_for_nothing_now_and_is_expected_all_the_same(
    tmp_path: Path,
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        config = bal_config(tmp_path, park, extra=HOME)
        away = config.endpoints["battery-0000002"].model_copy(update={"port": 1})
        config = config.model_copy(
            update={"endpoints": config.endpoints | {"battery-0000002": away}}
        )
        async with open_layer(config, park.clock) as layer:
            status = await layer.status("home")
            assert status.sources_online == 1
            alone = await layer.status("battery-0000001")
            assert status.current.max_discharge_ma == alone.current.max_discharge_ma
            assert status.expected.max_discharge_ma == 2 * alone.expected.max_discharge_ma
            assert layer.counts["lost: no connection"] >= 1


async def test_nobody_waits_for_a_battery_that_is_lost_even_while_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One battery answers nobody: found out once, then known, until it answers."""
    monkeypatch.setattr("harness.bal.service.RETRY_S", 0.0)
    name, answering = "battery-0000002", trio.Event()
    async with open_park(tmp_path, battery_config(2)) as park:

        async def dial() -> trio.SocketStream:
            await answering.wait()
            return await park.dial(1)

        async with open_way(dial) as way:
            config = way.redirect(bal_config(tmp_path, park, extra=HOME), name)
            config = config.model_copy(update={"timeout_s": 1.0})
            async with open_layer(config, park.clock) as layer:
                before = await layer.status("home")
                while layer.counts["lost: timeout"] < 2:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                with trio.fail_after(0):
                    home, lost = await layer.status("home"), await layer.status(name)
                alone = await layer.status("battery-0000001")
                assert (home.sources, home.sources_online, lost.online) == (2, 1, False)
                assert home.current == before.current == alone.current
                assert home.expected.max_discharge_ma == 2 * alone.expected.max_discharge_ma
                assert home.expected.capacity_ma_ms == 2 * alone.expected.capacity_ma_ms
                answering.set()
                while not (await layer.status(name)).online:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                assert (await layer.status("home")).complete


async def test_batteries_are_made_and_removed_while_the_layer_lives(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        config = bal_config(tmp_path, park)
        async with open_layer(config, park.clock) as layer:
            sources = ["battery-0000001", "battery-0000002"]
            await layer.command(
                happenings.MAKE_AGGREGATOR, {"name": "home", "sources": sources}, "make"
            )
            await layer.command(*set_current("home", 10_000))
            await settled(layer)
            await layer.command(happenings.REMOVE, {"name": "home"})
            await layer.command(happenings.REMOVE, {"name": "battery-0000002"})
            await settled(layer)
            assert layer.batteries.names() == ["battery-0000001"]
            assert set(layer.keepers) == {"battery-0000001"}
        async with open_layer(config, park.clock) as layer:
            assert layer.batteries.names() == ["battery-0000001"]
        assert executed(park, 0)[-1] == 0


async def test_actively_readings_are_ahead_of_whoever_asks(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        active = {"mode": "active", "max_staleness_ms": 1_000}
        config = bal_config(tmp_path, park, extra=HOME, refresh=active)
        async with open_layer(config, park.clock) as layer:
            for since_first_s, readings in ((0.0, 2), (0.7, 4), (1.4, 6)):
                park.clock.stand_at(since_first_s)
                while layer.counts["readings"] < readings:
                    await trio.testing.wait_all_tasks_blocked(0.01)
            # The second readings would be too old by now, the third are not.
            park.clock.stand_at(2.0)
            with trio.fail_after(0):
                # An answer that waits for nothing passes no checkpoint.
                status = await layer.status("home")
            assert status.oldest_ms == pytest.approx(1_000 * FIRST_S + 1_400, abs=1, rel=0)
