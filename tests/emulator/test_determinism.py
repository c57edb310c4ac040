"""Two runs of one seed owe and draw the same, whatever the order in which things happen."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from emulator.fleet_config import FleetConfig, PushTimers
from emulator.identity import concentrator_address
from emulator.readings import Truth
from emulator.schedule import Schedule
from tests.support.drawn import Drawn, drawn_delays
from tests.support.fleets import (
    Caller,
    FakeHeadEnd,
    confirms,
    facing,
    fleet_config,
    plan_of,
    slow_profiles,
)
from tests.support.grids import HARD_TO_REACH

RESET = struct.pack("ii", 1, 0)


def config_of(seed: int, **changes: Any) -> FleetConfig:
    timers = PushTimers(confirmation_s=5, back_off_min_s=0.002, back_off_max_s=0.004)
    return fleet_config(
        seed=seed, link="model", profiles=slow_profiles(), rows_per_push=2, timers=timers, **changes
    )


@dataclass
class Moody:
    """Resets the first connection of concentrator 1 when a push has come; confirms the rest."""

    reset: set[str] = field(default_factory=set)

    async def __call__(self, caller: Caller) -> None:
        address = caller.stream.socket.getpeername()[0]
        if address != concentrator_address(1) or address in self.reset:
            await confirms(caller)
            return
        self.reset.add(address)
        await caller.next_push()
        caller.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        caller.stream.socket.close()


@dataclass(frozen=True)
class Outcome:
    readings: list[tuple[bytes, int, tuple[int, ...]]]
    drawn: Drawn


async def run_of(
    config: FleetConfig,
    folder: Path,
    order: Sequence[int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    together: bool,
) -> Outcome:
    head_end = FakeHeadEnd(config, [Moody()] * 20)
    with drawn_delays(monkeypatch) as drawn:
        async with facing(folder, head_end) as site, trio.open_nursery() as nursery:
            for number in order:
                if together:
                    nursery.start_soon(site.shard.pushers.deliver, number)
                else:
                    await site.shard.pushers.deliver(number)
    assert site.counts["push.failed"] == 1
    return Outcome(sorted(set(head_end.readings)), drawn)


async def test_the_order_of_arrival_changes_neither_readings_nor_delays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third, other = [
        await run_of(config_of(seed), tmp_path / name, order, monkeypatch, together=together)
        for name, seed, order, together in (
            ("first", 7, [0, 1, 2], False),
            ("second", 7, [2, 1, 0], False),
            ("third", 7, [1, 2, 0], True),
            ("other", 8, [0, 1, 2], False),
        )
    ]
    assert first.readings == second.readings == third.readings
    assert first.drawn == second.drawn == third.drawn
    assert {attempt for _, _, attempt, _ in first.drawn} == {0, 1}
    assert other.readings != first.readings
    shared = other.drawn.keys() & first.drawn.keys()
    assert shared
    assert all(other.drawn[key] != first.drawn[key] for key in shared)


def owed(config: FleetConfig) -> tuple[bytes, bytes]:
    """Return when everything is due and what it must be, as octets."""
    plan = plan_of(config)
    truth = Truth(plan.grid, config.behaviour, config.first_s, config.seed)
    schedule = Schedule.of(plan, config.outages)
    meters = plan.grid.meters
    steps = [schedule.delivery_step_block(at, 0, meters) for at in range(plan.steps)]
    values = [truth.block(0, meters, at)[0] for at in range(plan.steps)]
    return np.concatenate(steps).tobytes(), np.concatenate(values).tobytes()


def test_one_seed_owes_the_same_bit_for_bit_and_another_does_not() -> None:
    config = config_of(7, steps=96, behaviour=HARD_TO_REACH, stations=12)
    again = FleetConfig.model_validate_json(config.model_dump_json())
    assert owed(config) == owed(again)
    for one, other in zip(owed(config), owed(config.model_copy(update={"seed": 8})), strict=True):
        assert one != other
