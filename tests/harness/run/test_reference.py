from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
import trio

import harness.run.reference as module
from harness.errors import ExitCode
from harness.run.processes import ProcessFailedError
from harness.run.questions import NoAnswerError
from harness.run.reference import HeadEndShard, ReferenceTarget
from harness.scenario import Reference
from tests.support.push_fleet import small_run

SOON_S = 0.01

pytestmark = pytest.mark.slow


class Lives:
    """The reference head-end of a small run, and what is noted of the lives of its shard."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.prepared = small_run(folder, stations=2, steps=2)
        scenario = self.prepared.scenario
        assert isinstance(scenario.target, Reference)
        self.noted: list[tuple[str, int]] = []
        self._send, self._receive = trio.open_memory_channel[tuple[str, int]](100)
        self.target = ReferenceTarget(self.prepared, scenario.target, 0.0, sockets, self._note)
        (self.shard,) = self.target.shards

    def _note(self, what: str, shard: HeadEndShard, number: int) -> None:
        assert shard is self.shard
        self.noted.append((what, number))
        self._send.send_nowait((what, number))

    async def until(self, wanted: str) -> int:
        """Return the number of the next note that says ``wanted``."""
        while True:
            what, number = await self._receive.receive()
            if what == wanted:
                return number

    async def until_it_starts(self) -> None:
        """Return while a new process of the shard is on its way up."""
        before = self.target.pids()
        while self.target.pids() in (before, {}):
            # Nobody tells of a process that is not up yet.
            await trio.lowlevel.checkpoint()

    @contextmanager
    def port_taken(self) -> Iterator[None]:
        """Hold the shard's port, so that it cannot listen."""
        config = self.shard.config
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((config.listen_host, config.listen_port))
            taken.listen()
            yield


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    # A Unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="meterstorm-") as sockets:
        yield Lives(tmp_path, Path(sockets))


def kinds(lives: Lives) -> list[str]:
    return [what for what, _ in lives.noted]


async def test_a_killed_shard_lives_again(lives: Lives) -> None:
    async with trio.open_nursery() as nursery:
        await lives.target.start(nursery)
        await lives.target.kill(0, SOON_S)
        assert await lives.until("died") == -signal.SIGKILL
        await lives.until("restarted")
        await lives.target.stop()
    assert kinds(lives) == ["started", "died", "restarted"]


async def test_one_that_is_killed_while_it_starts_is_started_again(lives: Lives) -> None:
    kills = module.STARTS_MAX + 1  # a kill is no failure to start, however many there are
    async with trio.open_nursery() as nursery:
        await lives.target.start(nursery)
        await lives.target.kill(0, SOON_S)
        for _ in range(kills):
            await lives.until_it_starts()
            await lives.target.kill(0, SOON_S)
        await lives.until("restarted")
        await lives.shard.observe()
        assert lives.shard.status, "it answers"
        await lives.target.stop()
    assert kinds(lives) == ["started", *["died"] * (1 + kills), "restarted"]
    assert {number for what, number in lives.noted if what == "died"} == {-signal.SIGKILL}
    assert lives.shard.deaths == 1 + kills


async def test_one_that_cannot_start_for_a_while_is_tried_again(lives: Lives) -> None:
    async with trio.open_nursery() as nursery:
        await lives.target.start(nursery)
        await lives.target.kill(0, SOON_S)
        await lives.until("died")
        with lives.port_taken():
            assert await lives.until("died") == ExitCode.ENVIRONMENT
        await lives.until("restarted")
        await lives.target.stop()


async def test_one_that_never_starts_again_ends_the_run(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STARTS_MAX", 2)

    async def live_until_the_port_is_taken() -> None:
        async with trio.open_nursery() as nursery:
            await lives.target.start(nursery)
            await lives.target.kill(0, SOON_S)
            await lives.until("died")
            with lives.port_taken():
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await live_until_the_port_is_taken()
    (error,) = caught.value.exceptions
    assert isinstance(error, ProcessFailedError)
    assert error.status == ExitCode.ENVIRONMENT
    assert "headend-0 did not start" in str(error)
    assert kinds(lives) == ["started", "died", "died"]


@pytest.mark.parametrize("when", ["it starts", "it waits to be started"])
async def test_a_run_may_stop_while(when: str, lives: Lives) -> None:
    async with trio.open_nursery() as nursery:
        await lives.target.start(nursery)
        await lives.target.kill(0, SOON_S if when == "it starts" else 0.3)
        await lives.until("died")
        if when == "it starts":
            await lives.until_it_starts()
        await lives.target.stop()
    assert "restarted" not in kinds(lives)
    assert lives.shard.process is not None
    assert not psutil.pid_exists(lives.shard.process.pid)


async def test_a_shard_that_does_not_say_has_not_read_all_again(lives: Lives) -> None:
    target, shard = lives.target, lives.shard
    assert not target.recovering
    shard.recovers = True
    assert target.recovering
    shard.status = {"recovering": 0}
    assert not target.recovering
    shard.died()
    assert target.recovering


async def test_what_is_lost_is_read_again_as_soon_as_the_shard_answers(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    async def answer(socket: Path, question: str, **arguments: object) -> object:
        asked.append((question, arguments))
        if len(asked) == 1:
            raise NoAnswerError("away")
        return {"lose": 7, "status": {"recovering": 0}}.get(question, {})

    monkeypatch.setattr(module, "ask", answer)
    monkeypatch.setattr(module, "RECOVERING_S", SOON_S)
    lives.shard.status = {"recovering": 0}
    assert await lives.target.lose(900) == 7
    await lives.target.recover(0, 900)
    assert lives.target.recovering
    await lives.target.recovered()
    assert [question for question, _ in asked] == ["lose", "lose", "recover", "status"]
    assert asked[2][1] == {"answer_s": module.LOSE_S, "from_s": 0, "to_s": 900}
    assert lives.shard.config.recoveries == lives.shard.file.with_name("0.recoveries.json")
