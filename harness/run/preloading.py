"""Filling the stores of a run before it begins, a process for each shard of the head-end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from harness.errors import EnvironmentUnfitError
from harness.preload.config import PreloadConfig
from harness.preload.written import read_written
from harness.run.preparation import Prepared
from harness.run.processes import ProcessFailedError, RunProcess, python
from harness.run.progress import Filled
from harness.store.errors import StoreError
from harness.store.room import Room, octets_of, room_of
from reports import text

SHOW_EVERY_S: Final = 1.0


class NoRoomError(EnvironmentUnfitError):
    """There is less room than the history of a run takes; says how much of both, and where."""


async def preload(
    prepared: Prepared,
    stores: Sequence[str],
    show: Callable[[Filled], None] = lambda filled: None,
) -> None:
    """Give the stores of the head-end's shards the history of the scenario, if it has any.

    Before the head-end starts: a store has one writer. Cancellation kills the processes; what they
    had written stays, and whoever fills the stores anew writes the rest.

    Args:
        prepared: the run.
        stores: the address of each shard's store; of one database, the same every time.
        show: told once a second how far it is, and at the end.

    Raises:
        NoRoomError: the stores would not fit on their disks; nothing was written.
        ProcessFailedError: a store could not be filled; says which log tells why.
    """
    if not prepared.fleet.behaviour.preloaded:
        return
    folder = prepared.folder.path / "preload"
    folder.mkdir(exist_ok=True)
    configs = [
        PreloadConfig(
            run=prepared.folder.path,
            store_url=store_url,
            shard=shard,
            shards=len(stores),
            progress=folder / f"{shard}.written",
        )
        for shard, store_url in enumerate(stores)
    ]
    await trio.to_thread.run_sync(mind_room, prepared, configs)
    for config in configs:
        config.progress.unlink(missing_ok=True)
    async with trio.open_nursery() as showing:
        shown = _Shown(prepared, configs, show)
        showing.start_soon(shown.run)
        async with trio.open_nursery() as filling:
            for config in configs:
                file = folder / f"{config.shard}.json"
                file.write_text(config.model_dump_json(indent=1))
                log = prepared.folder.logs / f"preload-{config.shard}.log"
                filling.start_soon(_fill, f"preload-{config.shard}", file, log)
        showing.cancel_scope.cancel()
    shown.now()


def mind_room(prepared: Prepared, configs: Sequence[PreloadConfig]) -> None:
    """Refuse to begin where the history cannot fit; places that cannot be seen are left out.

    Raises:
        NoRoomError: it does not fit.
    """
    needed: defaultdict[int, int] = defaultdict(int)
    rooms: dict[int, Room] = {}
    for address in dict.fromkeys(config.store_url for config in configs):
        try:
            room = room_of(address)
        except StoreError:
            # Whoever is to fill it finds the same, and says so in its log.
            continue
        if room is not None:
            rooms[room.device] = room
            needed[room.device] += room.needed(_octets(prepared, configs, address))
    for device, octets in needed.items():
        if octets > rooms[device].free:
            raise _no_room(prepared, octets, rooms[device])


def _octets(prepared: Prepared, configs: Sequence[PreloadConfig], address: str) -> int:
    meters = sum(
        len(config.meters(prepared.grid)) for config in configs if config.store_url == address
    )
    registers = len(prepared.truth.profile.names)
    return octets_of(address, meters * prepared.fleet.behaviour.preloaded, registers)


def _no_room(prepared: Prepared, needed: int, room: Room) -> NoRoomError:
    readings = prepared.grid.meters * prepared.fleet.behaviour.preloaded
    return NoRoomError(
        f"no room for what is preloaded: {readings:,} readings need {text.octets(needed)} where "
        f"{room.where} is, and {text.octets(room.free)} are free; free "
        f"{text.octets(needed - room.free)} more, lower behaviour.preloaded, or put the store on a "
        "larger disk (--out, or target.store.url)"
    )


class _Shown:
    """Shows how far all processes together are."""

    def __init__(
        self, prepared: Prepared, configs: Sequence[PreloadConfig], show: Callable[[Filled], None]
    ) -> None:
        self._files = [config.progress for config in configs]
        self._of = prepared.grid.meters * prepared.fleet.behaviour.preloaded
        self._show = show
        self._began_s = trio.current_time()

    def now(self) -> None:
        """Show it once."""
        readings = sum(map(read_written, self._files))
        self._show(Filled(readings, self._of, trio.current_time() - self._began_s))

    async def run(self) -> None:
        """Show it once a second until cancelled."""
        while True:
            self.now()
            await trio.sleep(SHOW_EVERY_S)


async def _fill(name: str, config: Path, log: Path) -> None:
    ended: list[int] = []
    command = python("harness.preload", str(config))
    await RunProcess(name, command, log, ended=lambda _, status: ended.append(status)).run()
    if ended[0]:
        raise ProcessFailedError(f"{name} did not fill its store; {log} says why", ended[0])
