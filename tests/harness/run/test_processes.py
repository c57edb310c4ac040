from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import trio

from harness.cli import exit_status
from harness.errors import ExitCode
from harness.run.processes import ProcessFailedError, RunProcess

READY = "print('ready 4711', flush=True); "
WAIT = "import sys; sys.stdin.read()"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    + READY
    + "time.sleep(99)"
)
Ended = list[int]


@pytest.fixture
def ended() -> Ended:
    """Exit statuses of processes that ended unasked."""
    return []


@pytest.fixture
def make(tmp_path: Path, ended: Ended) -> Callable[[str], RunProcess]:
    def make_one(code: str) -> RunProcess:
        command = [sys.executable, "-c", code]
        return RunProcess("child", command, tmp_path / "log", ended=lambda _, s: ended.append(s))

    return make_one


Make = Callable[[str], RunProcess]


async def test_it_is_up_when_it_says_so(make: Make, ended: Ended) -> None:
    process = make(READY + WAIT)
    async with trio.open_nursery() as nursery:
        assert await nursery.start(process.run) == "ready 4711"
        assert psutil.pid_exists(process.pid)
        await process.stop()
    assert ended == []


async def test_one_that_ends_unasked_is_reported_with_its_status(make: Make, ended: Ended) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(make(READY + "raise SystemExit(7)").run)
    assert ended == [7]


async def test_a_killed_one_is_reported_as_waitpid_does(make: Make, ended: Ended) -> None:
    process = make(READY + WAIT)
    async with trio.open_nursery() as nursery:
        await nursery.start(process.run)
        process.send_signal(signal.SIGKILL)
    assert ended == [-signal.SIGKILL]


async def test_cancellation_leaves_nothing_behind(make: Make, ended: Ended) -> None:
    process = make(DEAF)
    async with trio.open_nursery() as nursery:
        await nursery.start(process.run)
        nursery.cancel_scope.cancel()
    assert not psutil.pid_exists(process.pid)
    assert ended == []


async def test_one_that_does_not_listen_is_killed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.processes.STOP_S", 0.2)
    process = make(DEAF)
    async with trio.open_nursery() as nursery:
        await nursery.start(process.run)
        await process.stop()
        assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize(
    "code", ["raise SystemExit('no such store')", "print('half a li', end='')"]
)
async def test_one_that_cannot_start_says_why_from_its_log(code: str, make: Make) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(make(code).run)
    (error,) = caught.value.exceptions
    assert isinstance(error, ProcessFailedError)
    assert "child did not start" in str(error)
    assert ("no such store" in str(error)) == ("store" in code)
    assert exit_status(caught.value) is ExitCode.ENVIRONMENT


def test_before_it_was_started_it_has_no_pid(make: Make) -> None:
    with pytest.raises(RuntimeError, match="child was not started"):
        make(WAIT).pid  # noqa: B018


async def test_stopping_what_was_never_started_is_nothing(make: Make) -> None:
    await make(WAIT).stop()
