"""Somebody else's battery layer: it knows of a run what is in ``provisioning``, and nothing else.

``python -m tests.acceptance.vendor_layer PROVISIONING PORT SPEAKS TOKEN_FILE DROPS`` waits until a
run has written the folder, keeps the batteries in it and serves an API (``http``) or a dialect of
networked batteries on the port, until SIGTERM. Every ``DROPS``-th order is believed executed and
never sent; 0: none.
"""

from __future__ import annotations

import csv
import json
import sys
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import Any

import trio

from emulator.clock import ScenarioClock
from emulator.logs import log_to_stderr
from harness.bal import service
from harness.bal.api.config import BalApiConfig
from harness.bal.config import BalConfig, Refresh
from harness.bal.control import Control
from harness.bal.drivers import DRIVERS, Line
from harness.bal.faces.config import DialectFace
from harness.bal.faces.serving import open_faces
from harness.bal.service import BatteryLayer
from harness.stopping import stop_on_signal

LOOK_S = 0.05


def facts_of(provisioning: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((provisioning / "battery-layer.json").read_text())
    return facts


def config_of(provisioning: Path, own: Path) -> BalConfig:
    with (provisioning / "batteries.csv").open(newline="") as file:
        endpoints = {
            one["name"]: {
                "driver": one["interface"],
                "host": one["host"],
                "port": int(one["port"]),
                "unit": int(one["unit"] or 1),
            }
            for one in csv.DictReader(file)
        }
    staleness_ms = round(facts_of(provisioning)["staleness_s"] * 1_000)
    return BalConfig.model_validate(
        {
            "control_socket": own / "bal.sock",
            "journal": own / "journal.sqlite",
            "topology": provisioning / "topology.toml",
            "endpoints": endpoints,
            "refresh": Refresh(max_staleness_ms=staleness_ms),
        }
    )


def drop_orders(every: int) -> None:
    """Let every so manyeth order be believed executed, unsent."""
    orders = count(1)

    def dropping(kind: str, line: Line) -> Any:
        driver = DRIVERS[kind](line)
        send = driver.send

        async def sometimes(current_ma: int, number: int) -> None:
            if next(orders) % every:
                await send(current_ma, number)

        setattr(driver, "send", sometimes)  # noqa: B010 - no method is assigned to otherwise
        return driver

    vars(service)["DRIVERS"] = {kind: partial(dropping, kind) for kind in DRIVERS}


async def told(provisioning: Path, fact: str = "speed") -> dict[str, Any]:
    """Return what the run says, once it says a certain thing."""
    while True:
        if (provisioning / "battery-layer.json").exists():
            facts = facts_of(provisioning)
            if facts[fact] is not None:
                return facts
        await trio.sleep(LOOK_S)


async def live(provisioning: Path, port: int, speaks: str, token_file: Path) -> None:
    own = token_file.parent
    await told(provisioning)
    config, clock, stopping = config_of(provisioning, own), ScenarioClock(), trio.Event()
    layer = BatteryLayer(config, clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stopping)
        await nursery.start(Control(layer, lambda _: None, stopping.set).socket().run)
        if speaks == "http":
            api = BalApiConfig(
                port=port, token_file=token_file, control_socket=config.control_socket
            )
            (own / "api.json").write_text(api.model_dump_json())
            command = [sys.executable, "-m", "harness.bal.api", str(own / "api.json")]
            # Its standard input ends with us, and so does it.
            await nursery.start(partial(trio.run_process, command, stdin=PIPE, stdout=sys.stderr))
        else:
            face_config = DialectFace.model_validate({"speaks": speaks, "port": port})
            for face in await open_faces([face_config]):
                nursery.start_soon(face.run, layer)
        nursery.start_soon(follow, provisioning, layer, clock)
        await stopping.wait()
        nursery.cancel_scope.cancel()


async def follow(provisioning: Path, layer: BatteryLayer, clock: ScenarioClock) -> None:
    """Live once the run says what time it is."""
    said = await told(provisioning, "clock")
    clock.start(said["clock"]["monotonic_s"], said["clock"]["scenario_s"], said["speed"])
    await layer.run()


def main() -> None:
    log_to_stderr()
    provisioning, port, speaks, token_file, drops = sys.argv[1:]
    if int(drops):
        drop_orders(int(drops))
    trio.run(live, Path(provisioning), int(port), speaks, Path(token_file))


if __name__ == "__main__":
    main()
