"""What becomes of currents and names when batteries are made, joined, divided and removed."""

from __future__ import annotations

from pathlib import Path

from tests.harness.bal.judged.rig import Pack, node


def packs(*names: str) -> dict[str, Pack]:
    return {name: Pack(50, 100, 50, 50) for name in names}


async def test_a_battery_is_stopped_before_it_is_removed(tmp_path: Path) -> None:
    async with node(tmp_path, **packs("A")) as layer:
        await layer.battery("A")
        await layer.do("/batteries/A/current", current_ma=10_000)
        assert await layer.told("A") == [10]
        assert (await layer.ask("DELETE", "/batteries/A"))[0] == 200
        # When it is gone, nobody could tell it any more.
        assert layer.packs["A"].told == [10, 0]
        assert (await layer.ask("DELETE", "/batteries/A"))[0] == 404


async def test_a_virtual_battery_that_is_removed_stops_what_it_was_made_of(tmp_path: Path) -> None:
    async with node(tmp_path, **packs("A", "B")) as layer:
        for name in "AB":
            await layer.battery(name)
        await layer.do("/batteries/A/current", current_ma=10_000)
        await layer.told("A")
        await layer.do("/aggregators", name="AB", sources=["A", "B"])
        assert await layer.told("A", count=2) == [0]
        await layer.split("AB", "tranched", p=50, q=30)
        await layer.do("/batteries/p/discharge", current_ma=10_000)
        assert await layer.told("A", "B", count=1) == [5, 5]
        assert (await layer.ask("DELETE", "/batteries/p"))[0] == 200
        assert await layer.told("A", count=4) == [0]
        assert await layer.told("B", count=2) == [0]
        # Its meter is remembered, what it held is the rest's.
        (meter,) = await layer.get("/batteries/p/flows")
        assert meter["source"] == "AB"
        assert (await layer.ask("GET", "/batteries/p"))[0] == 404


async def test_a_command_that_comes_again_when_its_battery_is_gone_was_done(
    tmp_path: Path,
) -> None:
    async with node(tmp_path, **packs("A")) as layer:
        await layer.battery("A")
        await layer.do("/batteries/A/current", current_ma=10_000, id="once")
        await layer.told("A")
        await layer.ask("DELETE", "/batteries/A")
        await layer.do("/batteries/A/current", current_ma=10_000, id="once")
        asked = await layer.refused("/batteries/A/current", current_ma=5, id="once")
        assert asked[:2] == (409, "CommandConflictError")
        asked = await layer.refused("/batteries/A/current", current_ma=5, id="twice")
        assert asked[:2] == (404, "UnknownBatteryError")


async def test_a_set_point_ends_with_its_battery_standing_alone(tmp_path: Path) -> None:
    async with node(tmp_path, **packs("A", "B")) as layer:
        for name in "AB":
            await layer.battery(name)
        window = {"start_ms": layer.now_ms + 1_000, "end_ms": layer.now_ms + 5_000}
        await layer.do("/batteries/A/schedule", current_ma=1_000, **window)
        await layer.do("/batteries/B/schedule", current_ma=2_000, **window)
        await layer.do("/aggregators", name="only A", sources=["A"])
        layer.later(2_000)
        assert await layer.told("B") == [2]
        assert layer.packs["A"].told == []


async def test_a_scheduled_current_is_cut_to_what_can_be_done_when_its_time_comes(
    tmp_path: Path,
) -> None:
    async with node(tmp_path, **packs("A", "B")) as layer:
        for name in "AB":
            await layer.battery(name)
        await layer.do("/aggregators", name="AB", sources=["A", "B"])
        window = {"start_ms": layer.now_ms + 1_000, "end_ms": layer.now_ms + 5_000}
        await layer.do("/batteries/AB/schedule", current_ma=90_000, **window)
        layer.packs["B"].charge = 0
        layer.later(500)
        assert (await layer.get("/batteries/AB"))["current"]["max_discharge_ma"] == 50_000
        layer.later(600)
        assert await layer.told("A") == [50]
        assert layer.packs["B"].told == []
