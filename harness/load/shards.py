"""The fleet shards a Locust process owns: child processes at the far end of socket pairs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import gevent

from harness.load.channel import Channel
from protocols.framing import Message

FAREWELL_S: Final = 30.0


class ShardProcess:
    """One fleet shard, started in its own process.

    ``received`` is called, in a greenlet of this object, with every message of the shard; after
    the last one it is called with ``{"state": "gone", "code": exit code}``.
    """

    def __init__(self, run: Path, shard: int, received: Callable[[int, Message], None]) -> None:
        self.shard = shard
        self._received = received
        ours, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-m",
            "emulator.shard",
            str(run),
            str(shard),
            str(theirs.fileno()),
        ]
        log = (run / "logs" / f"shard-{shard}.log").open("ab")
        with theirs, log:
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_plain_environment(),
            )
        self._channel = Channel(ours)
        self._reader = gevent.spawn(self._read)

    @property
    def pid(self) -> int:
        """Process id of the shard."""
        return self._process.pid

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; a shard that is gone is told by ``received``, not here."""
        try:
            self._channel.send(message)
        except OSError:
            return

    def end(self) -> int:
        """Ask the shard to finish, wait for its last counts, and return its exit code.

        A shard that says nothing for 30 s is killed: its code is then -9.
        """
        self.send({"do": "stop"})
        self._reader.join(timeout=FAREWELL_S)
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        self._channel.close()
        return code

    def _read(self) -> None:
        while (message := self._channel.receive()) is not None:
            self._received(self.shard, message)
        self._received(self.shard, {"state": "gone", "code": self._process.wait()})


def _plain_environment() -> dict[str, str]:
    """Return the environment without what Locust sets for its own workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
