"""Filling the stores of a run before it begins, a process for each shard of the head-end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio

from harness.preload.config import PreloadConfig
from harness.run.preparation import Prepared
from harness.run.processes import ProcessFailedError, RunProcess, python


async def preload(prepared: Prepared, stores: Sequence[str]) -> None:
    """Give the stores of the head-end's shards the history of the scenario, if it has any.

    Before the head-end starts: a store has one writer. Cancellation kills the processes; what they
    had written stays, and whoever fills the stores anew writes the rest.

    Args:
        prepared: the run.
        stores: the address of each shard's store; of one database, the same every time.

    Raises:
        ProcessFailedError: a store could not be filled; says which log tells why.
    """
    if not prepared.fleet.behaviour.preloaded:
        return
    folder = prepared.folder.path / "preload"
    folder.mkdir(exist_ok=True)
    async with trio.open_nursery() as nursery:
        for shard, store_url in enumerate(stores):
            config = PreloadConfig(
                run=prepared.folder.path, store_url=store_url, shard=shard, shards=len(stores)
            )
            file = folder / f"{shard}.json"
            file.write_text(config.model_dump_json(indent=1))
            log = prepared.folder.logs / f"preload-{shard}.log"
            nursery.start_soon(_fill, f"preload-{shard}", file, log)


async def _fill(name: str, config: Path, log: Path) -> None:
    ended: list[int] = []
    command = python("harness.preload", str(config))
    await RunProcess(name, command, log, ended=lambda _, status: ended.append(status)).run()
    if ended[0]:
        raise ProcessFailedError(f"{name} did not fill its store; {log} says why", ended[0])
