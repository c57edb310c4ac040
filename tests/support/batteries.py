"""Batteries for tests: one on its own, or a few in a process, their clock moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from emulator.batteries.battery import Battery
from emulator.batteries.config import BatteryFleetConfig, record_path
from emulator.batteries.fleet import BatteryFleet, open_batteries
from emulator.batteries.physics import Course, Ratings
from emulator.batteries.record import BatteryRecord, Entry, read_record
from emulator.clock import ScenarioClock
from emulator.identity import concentrator_address
from emulator.serving import listen_on_loopback
from netem.profiles import load_profiles

AH: Final = 3_600_000_000
"""mA ms."""
HOUR_MS: Final = 3_600_000
FIRST_S: Final = 1_767_225_600
"""2026-01-01T00:00Z."""
RATINGS: Final = Ratings(capacity_ma_ms=110 * AH, charge_ma_max=40_000, discharge_ma_max=60_000)


class Bench:
    """One battery with 55 of 110 Ah, on record; time is a number."""

    def __init__(self, folder: Path, ratings: Ratings = RATINGS, charge_ma_ms: int = 55 * AH):
        self.path = folder / "record.ndjson"
        self.record = BatteryRecord(self.path)
        self.battery = Battery(0, "battery-0000001", ratings, Course(0, charge_ma_ms), self.record)
        self.at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms

    @property
    def entries(self) -> list[Entry]:
        return list(read_record(self.path))


def pack(**changes: Any) -> dict[str, Any]:
    """Return a category of packs with 110 Ah that are half full."""
    return {
        "name": "pack",
        "share": "100 %",
        "interface": "jbd",
        "capacity": ("110 Ah", "110 Ah"),
        "first_charge": ("50 %", "50 %"),
        **changes,
    }


def battery_config(count: int = 3, **changes: Any) -> BatteryFleetConfig:
    """Return batteries over perfect links, all of one category."""
    grid = {
        "count": count,
        "categories": [pack(**changes.pop("category", {}))],
        "links": [{"profile": "seed-1", "share": "100 %"}],
    }
    return BatteryFleetConfig.model_validate(
        {
            "seed": 7,
            "first_s": FIRST_S,
            "grid": grid,
            "link": "none",
            "profiles": dict(load_profiles()),
            "listen_ports": (0,),
            **changes,
        }
    )


class HandClock(ScenarioClock):
    """A clock that stands still until it is put to another time."""

    def __init__(self) -> None:
        super().__init__(0.0, FIRST_S, 0.0)
        self._moved = trio.Event()

    def stand_at(self, since_first_s: float) -> None:
        """Stand so long after the first step; wakes who waited for that."""
        self.scenario_s = FIRST_S + since_first_s
        self._moved.set()
        self._moved = trio.Event()

    async def sleep_until(self, scenario_s: float) -> None:
        while self.scenario_s < scenario_s:
            await self._moved.wait()
        await trio.lowlevel.checkpoint()


@dataclass
class Park:
    """Batteries that are being served."""

    fleet: BatteryFleet
    port: int
    folder: Path
    clock: HandClock
    dialled: list[trio.SocketStream] = field(default_factory=list)

    async def dial(self, number: int = 0) -> trio.SocketStream:
        """Return a connection to a battery, closed with the park at the latest."""
        stream = await trio.open_tcp_stream(concentrator_address(number), self.port)
        self.dialled.append(stream)
        return stream

    @property
    def entries(self) -> list[Entry]:
        return list(read_record(record_path(self.folder, 0)))


@asynccontextmanager
async def open_park(
    folder: Path, config: BatteryFleetConfig, process: int = 0
) -> AsyncIterator[Park]:
    clock = HandClock()
    async with (
        listen_on_loopback(0) as listener,
        open_batteries(folder, config, process, clock) as fleet,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(fleet.run, listener)
        port: int = listener.socket.getsockname()[1]
        park = Park(fleet, port, folder, clock)
        try:
            yield park
        finally:
            for stream in park.dialled:
                stream.socket.close()
        nursery.cancel_scope.cancel()
