"""A probe process and its record, owned by whoever runs a lab."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from netem.probe.config import ProbeConfig

_TO_END_S: Final = 5.0


class ProbeError(Exception):
    """The probe process ended by itself; says what it said last."""


@asynccontextmanager
async def probing(config: ProbeConfig, record: Path) -> AsyncIterator[trio.Process]:
    """Probe for the length of the block; results go to the file ``record``, a line each.

    At the end what is under way gets its patience, unless everything has arrived. The process ends
    with this one, however that ends.

    Raises:
        ProbeError: it ended before the block did, such as for want of a right.
        OSError: the record cannot be written, or no process started.

    Cancellation: the process is killed; the record keeps what was complete.
    """
    with record.open("ab") as out:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "netem.probe"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.PIPE,
        )
    assert process.stdin is not None
    try:
        await process.stdin.send_all((config.to_line() + "\n").encode())
        yield process
        if process.returncode is not None:
            raise ProbeError(await _last_words(process))
        await process.stdin.aclose()
        with trio.move_on_after(config.patience_s + config.bucket_s + _TO_END_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _last_words(process: trio.Process) -> str:
    assert process.stderr is not None
    said = bytes(await process.stderr.receive_some(4_096))
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with {process.returncode}"
