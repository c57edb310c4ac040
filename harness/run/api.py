"""The head-end's HTTP API as a process of a run; the run can do without it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from harness.headend.api.config import ApiConfig
from harness.run.capability import entrance
from harness.run.preparation import Prepared
from harness.run.processes import RunProcess, python
from harness.scenario.target import Api

NAME: Final = "api"
TOKEN_OCTETS: Final = 32


class ApiProcess:
    """The API in front of a head-end's shards, with a token of the run's own.

    Args:
        prepared: the run.
        api: how the scenario wants it.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        started: told its name and process id when it is up.
        note: told what is worth a line of the record: that it ended unasked.
        say: tells people where it is.
    """

    def __init__(
        self,
        prepared: Prepared,
        api: Api,
        realtime_offset_s: float,
        *,
        started: Callable[[str, int], None],
        note: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._api = api
        self._realtime_offset_s = realtime_offset_s
        self._started = started
        self._note = note
        self._say = say
        self._folder = prepared.folder.path / "headend"
        self.token_file = self._folder / "api.token"
        self._process = RunProcess(
            NAME,
            python("harness.headend.api", str(self._folder / "api.json")),
            prepared.folder.logs / "api.log",
            ended=self._died,
        )

    @property
    def pid(self) -> int:
        """Its process id. Raises `RuntimeError` before it was started."""
        return self._process.pid

    async def start(
        self, nursery: trio.Nursery, control_sockets: Sequence[Path], *, shared_store: bool
    ) -> None:
        """Start it and wait until it listens. Raises `ProcessFailedError`."""
        write_private(self.token_file, secrets.token_urlsafe(TOKEN_OCTETS))
        config = ApiConfig(
            host=self._api.host,
            port=self._api.port,
            token_file=self.token_file,
            control_sockets=tuple(control_sockets),
            provisioning=self._prepared.provisioning,
            exports=self._folder / "exports",
            shared_store=shared_store,
            realtime_offset_s=self._realtime_offset_s,
        )
        (self._folder / "api.json").write_text(config.model_dump_json(indent=1))
        ready = await nursery.start(self._process.run)
        self._started(NAME, self.pid)
        host = f"[{self._api.host}]" if ":" in self._api.host else self._api.host
        port = ready.split()[-1]
        self._say(
            f"API at http://{host}:{port}/docs, its token in {self.token_file}"
            + entrance(os.getpid())
        )

    async def stop(self) -> None:
        """Let it finish what it is answering and end; its token is worth nothing then."""
        await self._process.stop()
        self.token_file.unlink(missing_ok=True)

    def _died(self, process: RunProcess, status: int) -> None:
        self._note(f"{NAME} ended with status {status}; the run goes on without it")


def write_private(path: Path, text: str) -> None:
    """Write a line into a new file that only its owner may read. Raises `OSError`."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
