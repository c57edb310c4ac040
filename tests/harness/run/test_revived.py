"""A process that is started again whenever it dies."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from harness.run import revived
from harness.run.processes import ProcessFailedError
from harness.run.revived import STARTS_MAX, RevivedProcess

PATIENCE_S = 30.0
T = TypeVar("T")
LIVES = "print('ready', flush=True); input()"
FAILS = "raise SystemExit(4)"


class Lives:
    """A process that runs ``codes``, one a life and then the last for ever, and what was told."""

    def __init__(self, folder: Path, *codes: str) -> None:
        self._codes = list(codes)
        self.begun: list[int] = []
        self.notes: list[str] = []
        self.asked = 0
        self._changed = trio.Event()
        self.process = RevivedProcess(
            "system",
            self._command,
            folder / "system.log",
            started=lambda name, pid: self._tell(self.begun, pid),
            note=lambda text: self._tell(self.notes, text),
        )

    async def until(self, lives: int, deaths: int = 0) -> None:
        with trio.fail_after(PATIENCE_S):
            while len(self.begun) < lives or len(self.notes) < deaths:
                await self._changed.wait()

    def _command(self) -> list[str]:
        code = self._codes[min(self.asked, len(self._codes) - 1)]
        self.asked += 1
        return [sys.executable, "-c", code]

    def _tell(self, told: list[T], what: T) -> None:
        told.append(what)
        self._changed.set()
        self._changed = trio.Event()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revived, "RESTART_S", 0.0)


@asynccontextmanager
async def living(lives: Lives) -> AsyncIterator[Lives]:
    async with trio.open_nursery() as nursery:
        await lives.process.start(nursery)
        yield lives
        await lives.process.stop()
        nursery.cancel_scope.cancel()


async def test_one_that_is_killed_lives_again_and_can_be_killed_again(tmp_path: Path) -> None:
    async with living(Lives(tmp_path, LIVES)) as lives:
        for life in (2, 3):
            lives.process.kill(0.0)
            await lives.until(life)
            assert lives.process.pids() == {"system": lives.begun[-1]}
    assert len(set(lives.begun)) == 3
    assert lives.notes == [f"system ended with status {-signal.SIGKILL}"] * 2


async def test_one_that_dies_unasked_lives_again(tmp_path: Path) -> None:
    async with living(Lives(tmp_path, "print('ready', flush=True)", LIVES)) as lives:
        await lives.until(2)
    assert lives.notes == ["system ended with status 0"]


async def test_one_that_was_told_to_stop_stays_dead(tmp_path: Path) -> None:
    async with living(Lives(tmp_path, LIVES)) as lives:
        pass
    assert (len(lives.begun), lives.asked, lives.notes) == (1, 1, [])


async def test_one_that_is_dead_when_told_to_stop_stays_dead(tmp_path: Path) -> None:
    lives = Lives(tmp_path, LIVES)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await lives.process.start(nursery)
            lives.process.kill(0.1)
            await lives.until(1, deaths=1)
            await lives.process.stop()
    assert lives.asked == 1


async def test_attempts_that_fail_are_repeated_and_each_is_told_anew(tmp_path: Path) -> None:
    async with living(Lives(tmp_path, LIVES, FAILS, FAILS, LIVES)) as lives:
        lives.process.kill(0.0)
        await lives.until(2)
    assert lives.asked == 4


async def test_one_that_never_comes_up_again_ends_the_run(tmp_path: Path) -> None:
    lives = Lives(tmp_path, LIVES, FAILS)
    with pytest.RaisesGroup(ProcessFailedError):
        async with trio.open_nursery() as nursery:
            await lives.process.start(nursery)
            lives.process.kill(0.0)
            with trio.fail_after(PATIENCE_S):
                await trio.sleep_forever()
    assert lives.asked == 1 + STARTS_MAX
