"""When a process of ours ends: on a signal, or when whoever started it is gone."""

from __future__ import annotations

import os
import signal
import stat
import sys

import trio


async def stop_on_signal(stopping: trio.Event) -> None:
    """Set ``stopping`` on SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stopping.set()


async def stop_without_parent(stopping: trio.Event) -> None:
    """Set ``stopping`` when standard input ends: whoever started us holds the other end of it.

    A terminal or a file is nobody's other end.
    """
    if sys.stdin is None or not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        return
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as parent:
        while await parent.receive_some(1):
            pass
    stopping.set()
