"""Read batteries that speak JBD while a run goes on, where its layer is told that they are.

``python -m tests.support.call_batteries RUN`` waits for the run, asks each of them a few times over
a connection of its own, and prints the address and the shortest time of each, in seconds.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Final

import trio

PATIENCE_S: Final = 60.0
ASKED: Final = 4
BASIC_INFORMATION: Final = bytes.fromhex("dda50300fffd77")
"""Register 03, read; the checksum is that of 03 and 00."""


async def endpoints(file: Path) -> list[tuple[str, int]]:
    """Return where the batteries that speak JBD are, once the run has said so."""
    while True:
        try:
            told = json.loads(await trio.Path(file).read_text())["endpoints"].values()
            return [(one["host"], one["port"]) for one in told if one["driver"] == "jbd"]
        except (OSError, ValueError):
            await trio.sleep(0.1)


async def answered(stream: trio.SocketStream) -> float:
    """Return how long an answer took, seconds."""
    began_s, answer = trio.current_time(), b""
    await stream.send_all(BASIC_INFORMATION)
    while not answer.endswith(b"\x77"):
        received = await stream.receive_some()
        assert received, "the battery hung up"
        answer += received
    return trio.current_time() - began_s


async def ask(host: str, port: int) -> None:
    """Print how long the answers of a battery take; the first waits for the run's clock."""
    async with await trio.open_tcp_stream(host, port) as stream:
        await answered(stream)
        shortest_s = min([await answered(stream) for _ in range(ASKED)])
    print(host, f"{shortest_s:.3f}", flush=True)  # noqa: T201


async def main(run: Path) -> None:
    """Ask them all."""
    with trio.fail_after(PATIENCE_S):
        there = await endpoints(run / "bal" / "bal.json")
        async with trio.open_nursery() as nursery:
            for host, port in there:
                nursery.start_soon(partial(ask, host, port))


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
