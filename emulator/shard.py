"""The process of one fleet shard: ``python -m emulator.shard RUN SHARD DESCRIPTOR``.

It obeys whoever started it (Locust's process, or ``meterstorm serve``) over an inherited socket:
``start`` with the scenario clock, ``begin`` and ``end`` a slice, ``optical`` to open a meter's
optical port, ``stop``. It answers ``ready`` once its listener is bound, ``optical``, ``counts``
every half second, ``drained``, and a last ``counts`` before it ends. When the other end closes, it
ends. Where the links of a run are real, it lives on the fleet's side of the lab (`emulator.lab`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import trio
from structlog import get_logger

from emulator.atomic import write_json
from emulator.clock import ScenarioClock
from emulator.fleet import FleetShard, open_shard
from emulator.lab import move_to_fleet_side
from emulator.parent import STOP, Parent, begin_obeying, keep_what_exists
from emulator.run_folder import RunFolder
from emulator.serving import listen_in_lab, listen_on_loopback
from protocols.framing import Message

COUNTS_EVERY_S: Final = 0.5
SUMMARY_EVERY_S: Final = 2.0
SUMMARY_FILE: Final = "summary.json"
log = get_logger(__name__)


class ShardService:
    """Obeys one parent; owns one fleet shard once the clock has come."""

    def __init__(self, folder: RunFolder, shard: int, parent: Parent) -> None:
        self._folder = folder
        self._number = shard
        self._parent = parent
        self._config = folder.fleet()

    async def run(self) -> None:
        """Serve until the parent says stop or goes away."""
        clock = ScenarioClock()
        async with (
            self._listen() as listener,
            open_shard(self._folder, self._config, self._number, clock) as shard,
        ):
            keep_what_exists()
            await self._parent.tell({"state": "ready"})
            async with trio.open_nursery() as nursery:
                while (order := await self._parent.next_order())["do"] != STOP:
                    if order["do"] == "start":
                        clock.start(*order["clock"])
                        nursery.start_soon(shard.run, listener)
                        nursery.start_soon(self._report_for_ever, shard)
                        nursery.start_soon(self._report_drained, shard)
                    elif order["do"] == "optical":
                        # Few fleets open one, and none but them needs C12.18.
                        from emulator.optical import open_optical_port

                        opened = open_optical_port(
                            order, shard.concentrators, self._config, nursery
                        )
                        await self._parent.tell(await opened)
                    else:
                        _obey(order, shard)
                nursery.cancel_scope.cancel()
        self._write_summary(shard)
        await self._tell_counts(shard)
        await self._parent.aclose()

    def _listen(self) -> trio.SocketListener:
        listen = listen_in_lab if self._config.in_lab else listen_on_loopback
        return listen(self._config.listen_ports[self._number], self._config.congestion)

    async def _report_drained(self, shard: FleetShard) -> None:
        await shard.drained.wait()
        await self._tell_counts(shard)
        await self._parent.tell({"state": "drained"})

    async def _report_for_ever(self, shard: FleetShard) -> None:
        next_summary = trio.current_time()
        while True:
            await trio.sleep(COUNTS_EVERY_S)
            await self._tell_counts(shard)
            if trio.current_time() >= next_summary:
                next_summary += SUMMARY_EVERY_S
                self._write_summary(shard)

    async def _tell_counts(self, shard: FleetShard) -> None:
        batches = shard.tally.take_batches()
        if batches:
            await self._parent.tell({"state": "counts", "batches": batches})

    def _write_summary(self, shard: FleetShard) -> None:
        summary = {
            "counts": dict(shard.tally.counts),
            "lag_s_max": shard.tally.lag_s_max,
            "latencies": shard.tally.histograms(),
            "links": shard.links.statistics(),
            "congestion": dict(shard.links.congestion),
        }
        try:
            write_json(self._folder.shard(self._number) / SUMMARY_FILE, summary)
        except OSError as error:
            # The next one may succeed; the deliveries must go on either way.
            shard.tally.count("summary not written")
            log.error("summary not written", error=str(error))


def _obey(order: Message, shard: FleetShard) -> None:
    match order["do"]:
        case "begin":
            shard.begin(order["slice"])
        case "end":
            shard.end(order["slice"])
        case unknown:
            raise ValueError(f"an order nobody knows: {unknown!r}")


async def _main(folder: RunFolder, shard: int, descriptor: int) -> None:
    await ShardService(folder, shard, Parent(descriptor)).run()


def main() -> None:
    """Run the shard named on the command line."""
    run, shard, descriptor = sys.argv[1:]
    begin_obeying()
    folder = RunFolder(Path(run))
    if folder.fleet().in_lab:
        # Before there is a socket, or a thread that opens one.
        move_to_fleet_side(folder.path)
    trio.run(_main, folder, int(shard), int(descriptor))


if __name__ == "__main__":
    main()
