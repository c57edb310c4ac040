"""The process of some batteries: ``python -m emulator.batteries RUN PROCESS DESCRIPTOR``.

It obeys whoever started it over an inherited socket: ``start`` with the scenario clock, ``status``,
``terminal`` to open a battery's line on a pseudo-terminal, ``stop``. It answers ``ready`` with the
port it listens on, ``status``, ``terminal``, and ``stopped`` once its record is complete. When the
other end closes, it ends, its record complete too. In a lab it lives on the fleet's side. Where
battery n is reached, `emulator.batteries.config.BatteryFleetConfig.addresses` says.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import trio

from emulator.batteries.config import BATTERIES_FILE, BatteryFleetConfig
from emulator.batteries.fleet import BatteryFleet, open_batteries
from emulator.batteries.jbd import LINE_SILENCE_S, JbdSession
from emulator.batteries.terminal import serve_terminal
from emulator.clock import ScenarioClock
from emulator.lab import move_to_fleet_side
from emulator.parent import STOP, Parent, begin_obeying, keep_what_exists
from emulator.serving import listen_in_lab, listen_on_loopback
from protocols.framing import Message


class BatteryService:
    """Obeys one parent; owns one process's batteries."""

    def __init__(self, run: Path, config: BatteryFleetConfig, process: int, parent: Parent) -> None:
        self._run = run
        self._config = config
        self._process = process
        self._parent = parent

    async def run(self) -> None:
        """Serve until the parent says stop or goes away."""
        clock = ScenarioClock()
        async with (
            self._listen() as listener,
            open_batteries(self._run, self._config, self._process, clock) as fleet,
        ):
            keep_what_exists()
            bound: int = listener.socket.getsockname()[1]
            await self._parent.tell({"state": "ready", "port": bound})
            async with trio.open_nursery() as nursery:
                while (order := await self._parent.next_order())["do"] != STOP:
                    if order["do"] == "start":
                        clock.start(*order["clock"])
                        nursery.start_soon(fleet.run, listener)
                    else:
                        await self._parent.tell(await self._answer(order, fleet, nursery))
                nursery.cancel_scope.cancel()
        await self._parent.tell({"state": "stopped", **_status(fleet)})
        await self._parent.aclose()

    def _listen(self) -> trio.SocketListener:
        listen = listen_in_lab if self._config.in_lab else listen_on_loopback
        return listen(self._config.listen_ports[self._process], self._config.congestion)

    async def _answer(self, order: Message, fleet: BatteryFleet, nursery: trio.Nursery) -> Message:
        match order["do"]:
            case "status":
                return {"state": "status", **_status(fleet)}
            case "terminal":
                return await _open_terminal(order["battery"], fleet, nursery)
            case unknown:
                raise ValueError(f"an order nobody knows: {unknown!r}")


def _status(fleet: BatteryFleet) -> Message:
    return {
        "batteries": len(fleet.batteries.numbers),
        "commands": fleet.batteries.commands,
        "counts": dict(fleet.tally.counts),
        "links": fleet.links.statistics(),
    }


async def _open_terminal(number: int, fleet: BatteryFleet, nursery: trio.Nursery) -> Message:
    """Open a battery's line; return what to tell: its ``path``, or the ``error`` there was."""
    batteries = fleet.batteries
    if number not in batteries.numbers or batteries.interface(number) != "jbd":
        return {"state": "terminal", "error": f"battery {number} has no serial line here"}

    def line() -> JbdSession:
        now = trio.current_time()
        return JbdSession(batteries[number], batteries.now_ms, now, LINE_SILENCE_S)

    try:
        opened = await nursery.start(partial(serve_terminal, line))
    except OSError as error:
        return {"state": "terminal", "error": str(error)}
    return {"state": "terminal", "path": opened.path}


async def _main(run: Path, config: BatteryFleetConfig, process: int, descriptor: int) -> None:
    await BatteryService(run, config, process, Parent(descriptor)).run()


def main() -> None:
    """Run the process named on the command line."""
    run, process, descriptor = sys.argv[1:]
    begin_obeying()
    folder = Path(run)
    config = BatteryFleetConfig.model_validate_json((folder / BATTERIES_FILE).read_bytes())
    if config.in_lab:
        # Before there is a socket, or a thread that opens one.
        move_to_fleet_side(folder)
    trio.run(_main, folder, config, int(process), int(descriptor))


if __name__ == "__main__":
    main()
