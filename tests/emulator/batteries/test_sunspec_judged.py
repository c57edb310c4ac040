"""The SunSpec Alliance's own client, in a process of its own, reads and commands a battery."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import trio

from emulator.batteries.record import Executed, Refused
from emulator.identity import concentrator_address
from tests.support import sunspec_judge
from tests.support.batteries import Park, battery_config, open_park

PATIENCE_S = 60.0
SUNSPEC = {"interface": "sunspec", "capacity": ("100 Ah", "100 Ah")}


async def judged(park: Park, number: int, *powers_w: int) -> list[dict[str, Any]]:
    command = [sys.executable, sunspec_judge.__file__]
    command += [concentrator_address(number), str(park.port)]
    told = "".join(f"{power}\n" for power in powers_w).encode()
    with trio.fail_after(PATIENCE_S):
        done = await trio.run_process(command, stdin=told, capture_stdout=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_it_finds_reads_and_commands_a_battery(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2, category=SUNSPEC)) as park:
        before, discharging, charging, refused = await judged(park, 1, 1_650, -1_320, 9_000)
        battery = park.fleet.batteries[1]
    assert before["name"] == "battery-0000002"
    assert before["models"] == [1, 802, 713, 704]
    # 50 of 100 Ah are half way between 3,290 and 3,310 mV, sixteen times.
    assert before["802.V"] == 52.8
    assert (before["802.AHRtg"], before["802.SoC"], before["713.SoC"]) == (100.0, 50.0, 50.0)
    assert (before["802.AChaMax"], before["802.ADisChaMax"]) == (50.0, 50.0)
    assert (before["713.WHRtg"], before["713.WHAvail"]) == (5_120.0, 2_560.0)
    assert (before["802.A"], before["802.W"], before["802.ChaSt"]) == (0.0, 0.0, 6)
    assert (discharging["802.A"], discharging["802.W"]) == (31.25, 1_650.0)
    assert discharging["802.ChaSt"] == 3
    assert (charging["802.A"], charging["802.W"], charging["802.ChaSt"]) == (-25.0, -1_320.0, 4)
    assert discharging["refused"] == charging["refused"] == ""
    assert refused["refused"] != ""
    assert (refused["802.A"], refused["704.WSet"]) == (-25.0, -1_320.0)
    assert battery.set_ma == -25_000
    told = [e for e in park.entries if isinstance(e, Executed | Refused)]
    assert [(type(e), e.battery, e.kind, e.asked) for e in told] == [
        (Executed, 1, "power", 1_650_000),
        (Executed, 1, "power", -1_320_000),
        (Refused, 1, "power", 9_000_000),
    ]
