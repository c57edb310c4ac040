"""The process of one head-end shard: ``python -m harness.headend CONFIG``.

It prints one line, ``ready PORT``, to standard output once it listens, and ends when told to
``stop`` over its control socket, or on SIGTERM: first the listener, then what is under way, then
the store.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Final

import trio

from emulator.descriptors import raise_descriptor_limit
from emulator.fleet_config import part_of
from emulator.logs import log_to_stderr
from harness.headend.commands import Commands
from harness.headend.config import HeadEndConfig
from harness.headend.control import Control
from harness.headend.dialer import Dialer
from harness.headend.listener import listen
from harness.headend.poller import Poller
from harness.headend.registry import Registry
from harness.headend.service import Shard
from harness.provisioning import Provisioning
from harness.store.opening import open_store

FREEZE_AFTER_S: Final = 5.0


async def serve(config: HeadEndConfig) -> None:
    """Run a shard until it is told to stop.

    Raises:
        StoreError: the store cannot be opened.
        OSError: a port or socket is taken, or provisioning cannot be read.
    """
    provisioning = Provisioning.load(config.provisioning)
    shards = len(provisioning.shared.head_end_system_titles)
    mine = part_of(len(provisioning.concentrators), shards, config.shard)
    store = open_store(config.store_url, provisioning.shared.registers, create=True)
    try:
        await _serve(Shard(config, Registry(provisioning), store, mine))
    finally:
        store.close()


async def _serve(shard: Shard) -> None:
    dialer = Dialer(shard)
    commands = Commands(shard, dialer)
    stopping = trio.Event()
    async with trio.open_nursery() as committing:
        committing.start_soon(shard.committer.run)
        async with trio.open_nursery() as working:
            control = Control(shard, commands, stopping.set)
            await working.start(control.run)
            port = await working.start(listen, shard)
            working.start_soon(Poller(shard, dialer).run)
            working.start_soon(commands.run)
            working.start_soon(_freeze_collector)
            working.start_soon(_stop_on_signal, stopping)
            working.start_soon(_stop_without_parent, stopping)
            sys.stdout.write(f"ready {port}\n")
            sys.stdout.flush()
            await stopping.wait()
            working.cancel_scope.cancel()
        await shard.committer.flush()
        committing.cancel_scope.cancel()


async def _stop_on_signal(stopping: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            stopping.set()


async def _stop_without_parent(stopping: trio.Event) -> None:
    """End when standard input does: whoever started this shard holds the other end of it."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as parent:
        while await parent.receive_some(1):
            pass
    stopping.set()


async def _freeze_collector() -> None:
    """Keep the collector off what exists once the concentrators have connected."""
    await trio.sleep(FREEZE_AFTER_S)
    gc.collect()
    gc.freeze()


def main() -> None:
    """Run the shard whose configuration file is named on the command line."""
    config = HeadEndConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
    log_to_stderr()
    raise_descriptor_limit()
    gc.set_threshold(100_000, 50, 1000)
    trio.run(serve, config)


if __name__ == "__main__":
    main()
