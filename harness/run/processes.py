"""The processes of a run: started, watched, stopped, and never left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from harness.errors import EnvironmentUnfitError

STOP_S: Final = 20.0
READY_S: Final = 120.0


class ProcessFailedError(EnvironmentUnfitError):
    """A process of the run could not be started; says which, and where its log is.

    ``status`` is its exit status, as of waitpid; ``None``: it said nothing, and had to be killed.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class RunProcess:
    """One child process, its log, and whether it ended as asked.

    Args:
        name: what the record calls it.
        command: what to execute.
        log: file its output goes to; standard output only where ``says_ready`` is false.
        says_ready: whether it prints a line once it is up, which `run` then waits for.
        pass_fds: descriptors it inherits.
        ended: called with the exit status when it ends without having been asked to.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        says_ready: bool = True,
        pass_fds: Sequence[int] = (),
        ended: Callable[[RunProcess, int], None],
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._environment = environment
        self._says_ready = says_ready
        self._pass_fds = tuple(pass_fds)
        self._ended = ended
        self._process: trio.Process | None = None
        self.stopping = False

    @property
    def has_pid(self) -> bool:
        """Whether it was started: being started takes a moment."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process id. Raises `RuntimeError` before it was started."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    async def run(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the process until it ends; reports its ``ready`` line through ``nursery.start``.

        Cancellation kills it. Whoever cancels politely calls `stop` first.

        Raises:
            ProcessFailedError: it ended, or said nothing for two minutes, before it was ready.
        """
        with self._log.open("ab") as log:
            self._process = await trio.lowlevel.open_process(
                self._command,
                # A child that reads its standard input learns so that this process is gone.
                stdin=subprocess.PIPE if self._says_ready else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._says_ready else log,
                stderr=log,
                env=self._environment,
                pass_fds=self._pass_fds,
                # Ctrl-C is for this process, which then ends the others in order.
                start_new_session=True,
            )
        try:
            task_status.started(await self._ready() if self._says_ready else "")
            status = await self._process.wait()
            if not self.stopping:
                self._ended(self, status)
        finally:
            await self._make_sure()

    async def stop(self, *, ask: Callable[[], None] | None = None) -> None:
        """Ask the process to end (by default with SIGTERM) and wait; kill it after 20 s."""
        self.stopping = True
        if self._process is None or self._process.poll() is not None:
            return
        if ask is None:
            self._process.send_signal(signal.SIGTERM)
        else:
            ask()
        with trio.move_on_after(STOP_S):
            await self._process.wait()
        await self._make_sure()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGKILL, SIGSTOP, SIGCONT; nothing if it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def _ready(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        with trio.move_on_after(READY_S):
            while not line.endswith(b"\n"):
                data = await self._process.stdout.receive_some(1024)
                if not data:
                    # Whoever closes its output is about to end; how it ends says why.
                    await self._process.wait()
                    break
                line += data
        if not line.endswith(b"\n"):
            raise ProcessFailedError(
                f"{self.name} did not start; the last lines of {self._log}:\n{_tail(self._log)}",
                self._process.returncode,
            )
        return line.decode().strip()

    async def _make_sure(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with trio.CancelScope(shield=True):
                self._process.kill()
                await self._process.wait()


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
