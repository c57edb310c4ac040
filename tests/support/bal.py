"""A battery layer for tests, beside the batteries it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from emulator.batteries.grid import battery_name
from emulator.clock import ScenarioClock
from emulator.identity import concentrator_address
from harness.bal.config import BalConfig
from harness.bal.service import BatteryLayer
from tests.support.batteries import Park

PATIENCE_S: Final = 30.0


def topology_text(park: Park, *, extra: str = "") -> str:
    """Return a topology file of the batteries of a park, and what ``extra`` says besides."""
    parts = []
    for number in park.fleet.batteries.numbers:
        ratings = park.fleet.batteries[number].ratings
        parts.append(
            "[[battery]]\n"
            f'name = "{battery_name(number)}"\n'
            f'interface = "{park.fleet.batteries.interface(number)}"\n'
            f"voltage_mv = {ratings.nominal_mv}\n"
            f"capacity_mah = {ratings.capacity_mah}\n"
            f"max_charge_ma = {ratings.charge_ma_max}\n"
            f"max_discharge_ma = {ratings.discharge_ma_max}\n"
        )
    return "\n".join(parts) + extra


def aggregate(name: str, numbers: Sequence[int]) -> str:
    sources = [battery_name(number) for number in numbers]
    return f'\n[[aggregate]]\nname = "{name}"\nsources = {sources}\n'


def bal_config(folder: Path, park: Park, *, extra: str = "", **changes: Any) -> BalConfig:
    """Return a layer of the batteries of a park."""
    topology = folder / "topology.toml"
    if not topology.exists():
        topology.write_text(topology_text(park, extra=extra))
    batteries = park.fleet.batteries
    return BalConfig.model_validate(
        {
            "control_socket": folder / "bal.sock",
            "journal": folder / "journal.sqlite",
            "topology": topology,
            "endpoints": {
                battery_name(number): {
                    "driver": batteries.interface(number),
                    "host": concentrator_address(number),
                    "port": park.port,
                }
                for number in batteries.numbers
            },
            "timeout_s": PATIENCE_S,
            "group_commit_s": 0.0,
            **changes,
        }
    )


@asynccontextmanager
async def open_layer(config: BalConfig, clock: ScenarioClock) -> AsyncIterator[BatteryLayer]:
    """Let a layer live for the length of the block, and let nothing of it take forever."""
    layer = BatteryLayer(config, clock)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(layer.run)
            yield layer
            nursery.cancel_scope.cancel()


async def settled(layer: BatteryLayer) -> None:
    """Return once no battery has anything left to be told."""
    for keeper in layer.keepers.values():
        await keeper.rest()
