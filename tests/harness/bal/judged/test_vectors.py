"""The report's tables, row by row, asked of a layer at work through its HTTP API.

The batteries are somebody else's (`rig.Packs`); what they were told is what came over the wire.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import trio.testing

from tests.harness.bal.judged.rig import BEGIN_MS, Node, Pack, node

HOUR_MS = 3_600_000
AH = 3_600_000_000
PARTS = {"P1": 50, "P2": 30, "P3": 20}


async def test_table_3_and_10_two_full_batteries(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(110, 110, 60, 60), B=Pack(40, 40, 40, 40)) as layer:
        await layer.battery("A")
        await layer.battery("B")
        await layer.do("/aggregators", name="C", sources=["A", "B"])
        told = (await layer.get("/batteries/C"))["current"]
        assert told["max_discharge_ma"] == 81_818
        assert told["capacity_ma_ms"] == told["charge_ma_ms"] == 150 * AH
        assert told["max_discharge_ma"] / 150_000 == pytest.approx(0.54545, abs=1e-5)
        assert 150_000 / told["max_discharge_ma"] * 60 == pytest.approx(110, abs=1e-3)
        # Full: there is no room, and nothing is divided by it.
        assert told["max_charge_ma"] == 0
        await layer.do("/batteries/C/discharge", current_ma=30_000)
        assert await layer.told("A", "B") == [22, 8]
        await layer.do("/batteries/C/discharge", current_ma=50_000)
        assert await layer.told("A", "B", count=2) == [36.667, 13.333]
        status, kind, words = await layer.refused("/batteries/C/discharge", current_ma=82_000)
        assert (status, kind) == (422, "CurrentOutOfRangeError")
        assert '"C"' in words
        assert "81818" in words
        assert [layer.packs[name].told for name in "AB"] == [[22, 36.667], [8, 13.333]]


async def test_table_4_an_unbalanced_pair(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(10, 110, 60, 60), B=Pack(40, 40, 40, 40)) as layer:
        await layer.battery("A")
        await layer.battery("B")
        await layer.do("/aggregators", name="C", sources=["A", "B"])
        for held, limit_ma, charged_ppm in ((10, 50_000, 333_333), (9.9, 49_900, 332_666)):
            layer.packs["A"].charge = held
            layer.later()
            told = await layer.get("/batteries/C")
            assert told["current"]["max_discharge_ma"] == limit_ma
            assert told["current"]["charged_ppm"] == charged_ppm
            assert told["expected"]["max_discharge_ma"] == 81_818


async def test_empty_sources_hold_up_nobody_and_nothing_is_divided_by_them(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(0, 110, 60, 60), B=Pack(20, 40, 40, 40)) as layer:
        await layer.battery("A")
        await layer.battery("B")
        await layer.do("/aggregators", name="C", sources=["A", "B"])
        assert (await layer.get("/batteries/C"))["current"]["max_discharge_ma"] == 40_000
        await layer.do("/batteries/C/charge", current_ma=20_000)
        assert await layer.told("A", "B") == [-16.923, -3.077]
        layer.packs["B"].charge = 0
        layer.later()
        told = (await layer.get("/batteries/C"))["current"]
        assert (told["max_discharge_ma"], told["charged_ppm"]) == (0, 0)
        status, kind, _ = await layer.refused("/batteries/C/discharge", current_ma=1)
        assert (status, kind) == (422, "CurrentOutOfRangeError")


BORNE = [
    (200, 90, "proportional", [45, 27, 18]),
    (200, 90, "tranched", [50, 30, 10]),
    (200, 90, "reserved", [50, 30, 10]),
    (200, 110, "proportional", [55, 33, 22]),
    (200, 110, "tranched", [60, 30, 20]),
    (200, 110, "reserved", [50, 30, 30]),
    (125, 110, "reserved", [50, 35, 25]),
    (200, 15, "tranched", [15, 0, 0]),
    (200, 15, "reserved", [15, 0, 0]),
]
"""Capacity, charge where 100 were expected, policy, and what its parts hold then."""


async def test_tables_6_to_8_who_bears_what_was_not_expected(tmp_path: Path) -> None:
    packs = {f"A{row}": Pack(100, capacity, 80, 80) for row, (capacity, *_) in enumerate(BORNE)}
    async with node(tmp_path, **packs) as layer:
        for row, (_, actual, policy, parts) in enumerate(BORNE):
            shares = {f"{name}-{row}": percent for name, percent in PARTS.items()}
            await layer.battery(f"A{row}")
            await layer.split(f"A{row}", policy, **shares)
            assert [await layer.charge_ah(name) for name in shares] == [50, 30, 20]
            layer.packs[f"A{row}"].charge = actual
            layer.later()
            assert [await layer.charge_ah(name) for name in shares] == parts, BORNE[row]
            for name, expected in zip(shares, (50, 30, 20), strict=True):
                told = (await layer.get(f"/batteries/{name}"))["expected"]
                assert told["charge_ma_ms"] == expected * AH


async def test_table_9_charge_moves_between_partitions(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(100, 200, 100, 100)) as layer:
        await layer.battery("A")
        # 80 Ah full beside 120 Ah at 16.667 %: got by discharging the one, charging the other.
        await layer.split("A", "proportional", P1=40, P2=60)
        await layer.do("/batteries/P1/charge", current_ma=40_000)
        await layer.do("/batteries/P2/discharge", current_ma=40_000)
        layer.later(HOUR_MS)
        await layer.do("/batteries/P1/current", current_ma=0)
        await layer.do("/batteries/P2/current", current_ma=0)
        held = [await layer.charge_ah(name) for name in ("P1", "P2")]
        assert held == pytest.approx([80, 20], abs=0.001)
        # The opposite orders have cancelled each other but for the moment between them.
        assert layer.packs["A"].told[-1] == 0
        told = len(layer.packs["A"].told)
        await layer.do("/batteries/P1/discharge", current_ma=40_000)
        await layer.do("/batteries/P2/charge", current_ma=50_000)
        assert await layer.told("A", count=told + 2) == [-10]
        layer.packs["A"].charge = 110
        layer.later(HOUR_MS)
        held = [await layer.charge_ah(name) for name in ("P1", "P2", "A")]
        assert held == pytest.approx([40, 70, 110], abs=0.001)
        layer.packs["A"].charge = 120
        layer.later(HOUR_MS)
        held = [await layer.charge_ah(name) for name in ("P1", "P2", "A")]
        assert held == pytest.approx([0, 120, 120], abs=0.001)
        layer.later()
        assert await layer.told("A", count=told + 3) == [0]
        flows = {flow["name"]: flow for flow in await layer.get("/flows")}
        for flow in flows.values():
            moved = flow["charged_ma_ms"] - flow["discharged_ma_ms"] + flow["adjusted_ma_ms"]
            assert flow["opening_ma_ms"] + moved == flow["closing_ma_ms"]
        assert flows["P1"]["discharged_ma_ms"] == pytest.approx(80 * AH, rel=1e-5)
        assert flows["P2"]["charged_ma_ms"] == pytest.approx(100 * AH, rel=1e-5)


async def test_table_11_limits_are_shared_and_orders_added_up(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(100, 200, 100, 80)) as layer:
        await layer.battery("A")
        await layer.split("A", "proportional", **PARTS)
        for name, charge, discharge in (("P1", 40, 50), ("P2", 24, 30), ("P3", 16, 20)):
            told = (await layer.get(f"/batteries/{name}"))["current"]
            limits = (told["max_charge_ma"], told["max_discharge_ma"])
            assert limits == (charge * 1_000, discharge * 1_000)
        await layer.do("/batteries/P1/discharge", current_ma=20_000)
        await layer.do("/batteries/P2/discharge", current_ma=20_000)
        assert await layer.told("A", count=2) == [40]
        await layer.do("/batteries/P1/charge", current_ma=20_000)
        assert await layer.told("A", count=3) == [0]
        before = [await layer.charge_ah(name) for name in PARTS]
        layer.later(HOUR_MS)
        after = [await layer.charge_ah(name) for name in PARTS]
        moved = [now - then for now, then in zip(after, before, strict=True)]
        assert moved == pytest.approx([20, -20, 0])


COURSES = {
    "A": ([(200, 1, 3), (300, 2, 4)], [0, 200, 300, 300, 0]),
    "B": ([(200, 1, 4), (300, 2, 3)], [0, 200, 300, 200, 0]),
    "C": ([(300, 2, 3), (200, 1, 4)], [0, 200, 200, 200, 0]),
    "D": ([(200, 1, 2), (300, 2, 3)], [0, 200, 300, 0, 0]),
}
"""Windows in the order in which they were scheduled, and what is to flow at each second."""


async def test_the_later_of_two_scheduled_currents_wins_in_its_window(tmp_path: Path) -> None:
    packs = {name: Pack(50, 100, 50, 50) for name in COURSES}
    async with node(tmp_path, **packs) as layer:
        for name in COURSES:
            await layer.battery(name)
        begin_ms = layer.now_ms
        for name, (windows, _) in COURSES.items():
            for current_ma, start_s, end_s in windows:
                await layer.do(
                    f"/batteries/{name}/schedule",
                    current_ma=current_ma,
                    start_ms=begin_ms + start_s * 1_000,
                    end_ms=begin_ms + end_s * 1_000,
                )
        for second in range(5):
            if second:
                layer.later(1_000)
            for name, (_, course) in COURSES.items():
                while (await ordered(layer, name)) != course[second]:
                    await trio.testing.wait_all_tasks_blocked(0.005)
                # An order that has not left yet would give way to the next.
                told = changes(course[: second + 1])
                await layer.told(name, count=len(told))
                assert layer.packs[name].told == told


def changes(course: list[int]) -> list[float]:
    """Return what a battery is told for a course, in amperes."""
    return [to / 1_000 for last, to in pairwise(course) if to != last]


async def ordered(layer: Node, name: str) -> int:
    """Return the current that a battery is to do now."""
    current_ma: int = (await layer.get(f"/batteries/{name}"))["expected"]["current_ma"]
    return current_ma


async def test_a_scheduled_current_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50)) as layer:
        await layer.battery("A")
        now = layer.now_ms
        for current_ma, start_ms, end_ms, kind in (
            (1, now - 1, now + 1_000, "ScheduleError"),
            (1, BEGIN_MS - HOUR_MS, BEGIN_MS, "ScheduleError"),
            (1, now + 1_000, now + 1_000, "ScheduleError"),
            (1, now + 1_000, now + 999, "ScheduleError"),
            (50_001, now + 1_000, now + 2_000, "CurrentOutOfRangeError"),
            (-50_001, now + 1_000, now + 2_000, "CurrentOutOfRangeError"),
        ):
            asked = {"current_ma": current_ma, "start_ms": start_ms, "end_ms": end_ms}
            told = await layer.refused("/batteries/A/schedule", **asked)
            assert told[:2] == (422, kind), asked
            assert '"A"' in told[2]
