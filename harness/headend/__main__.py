"""The process of one head-end shard: ``python -m harness.headend CONFIG``.

It prints one line, ``ready PORT``, to standard output once it listens, and ends when told to
``stop`` over its control socket, on SIGTERM or SIGINT, or when standard input, if it is a pipe,
ends: first the listener, then what is under way is stored and acknowledged, then the store closes.

Exit status: 0 stopped; 4 cannot start, or the store failed for good, the last line of the log says
why; anything else is our mistake.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import NoReturn

import trio
from structlog import get_logger

from emulator.descriptors import raise_descriptor_limit
from emulator.fleet_config import part_of
from emulator.logs import log_to_stderr
from harness.errors import ExitCode
from harness.headend.commands import Commands
from harness.headend.config import HeadEndConfig
from harness.headend.control import Control
from harness.headend.defects import DefectiveShard, Defects
from harness.headend.dialer import Dialer
from harness.headend.fetching import Fetcher
from harness.headend.listener import listen
from harness.headend.poller import Poller
from harness.headend.recovering import Recoverer
from harness.headend.registry import Registry
from harness.headend.service import Shard
from harness.provisioning import Provisioning
from harness.stopping import stop_on_signal, stop_without_parent
from harness.store.errors import StoreError
from harness.store.opening import open_store

log = get_logger(__name__)


async def serve(config: HeadEndConfig, defects: Defects | None = None) -> None:
    """Run a shard until it is told to stop; with ``defects`` one that is broken on purpose.

    Raises:
        StoreError: the store cannot be opened.
        OSError: a port or socket is taken, or provisioning cannot be read.

    Cancellation: connections end at once; what was not acknowledged will be pushed again.
    """
    provisioning = Provisioning.load(config.provisioning)
    shards = len(provisioning.shared.head_end_system_titles)
    mine = part_of(len(provisioning.concentrators), shards, config.shard)
    store = open_store(config.store_url, provisioning.shared.registers, create=True)
    try:
        shared = (config, Registry(provisioning, mine), store, mine)
        await _serve(Shard(*shared) if defects is None else DefectiveShard(defects, *shared))
    finally:
        store.close()


async def _serve(shard: Shard) -> None:
    drain_s = shard.config.drain_s
    async with trio.open_nursery() as committing:
        committing.start_soon(shard.committer.run)
        committing.start_soon(shard.sending.keep_reserve, shard.committer)
        if shard.has_nodes:
            committing.start_soon(shard.stamps.keep_reserve, shard.committer)
        await _work(shard)
        # The store may be away: what nobody was told is stored may be dropped.
        with trio.move_on_after(drain_s):
            await shard.committer.flush()
        committing.cancel_scope.cancel()


async def _work(shard: Shard) -> None:
    """Serve until told to stop; return when pushes that had arrived are acknowledged."""
    dialer = Dialer(shard)
    commands, fetcher = Commands(shard, dialer), Fetcher(shard, dialer)
    stopping = trio.Event()
    async with trio.open_nursery() as working:
        await working.start(Control(shard, commands, stopping.set).run)
        async with trio.open_nursery() as listening:
            pushes = await listening.start(listen, shard)
            working.start_soon(Poller(shard, fetcher).run)
            working.start_soon(Recoverer(shard, fetcher).run)
            working.start_soon(commands.run)
            working.start_soon(shard.expire_nodes)
            working.start_soon(_freeze_collector, shard.config.freeze_after_s)
            working.start_soon(stop_on_signal, stopping)
            working.start_soon(stop_without_parent, stopping)
            sys.stdout.write(f"ready {pushes.port}\n")
            sys.stdout.flush()
            await stopping.wait()
            log.info("stopping")
            pushes.stop(shard.config.drain_s)
        working.cancel_scope.cancel()


async def _freeze_collector(after_s: float) -> None:
    """Keep the collector off what exists once the concentrators have connected."""
    await trio.sleep(after_s)
    gc.collect()
    gc.freeze()
    try:
        await trio.sleep_forever()
    finally:
        # What stays frozen is never torn down, and DuckDB's module then complains of leaks at exit.
        gc.unfreeze()


def main() -> None:
    """Run the shard whose configuration file is named on the command line."""
    log_to_stderr()
    raise_descriptor_limit()
    gc.set_threshold(100_000, 50, 1000)
    try:
        config = HeadEndConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        defects = Defects.of(os.environ)
    except (OSError, ValueError) as error:
        _give_up(error)
    try:
        trio.run(serve, config, defects)
    except* (StoreError, OSError) as errors:
        _give_up(errors)


def _give_up(error: Exception) -> NoReturn:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    log.critical("head-end ends", error=str(error), kind=type(error).__name__)
    sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
