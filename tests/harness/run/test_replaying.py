from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trio

from emulator.clock import ScenarioClock
from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.processes import ProcessFailedError
from harness.run.replaying import NAME, Replaying
from reports.recording import RunRecorder
from tests.support.recorded_run import RecordedFolder


def prepared(folder: Path, replay: int) -> Prepared:
    return RecordedFolder(folder, {"probes": {"replay": replay}}).prepared


def probes_of(run: Prepared) -> list[psutil.Process]:
    """Return the processes that look at this run."""
    children = psutil.Process().children()
    return [child for child in children if str(run.folder.path) in child.cmdline()]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with RunRecorder(tmp_path) as recorder:
        yield Journal(recorder, 0, ScenarioClock(), 0.0, lambda: None)


async def test_the_probe_lives_as_long_as_it_is_let(tmp_path: Path, journal: Journal) -> None:
    run = prepared(tmp_path, 2)
    replaying = Replaying(run, journal)
    async with trio.open_nursery() as nursery:
        await replaying.start(nursery)
        (probe,) = probes_of(run)
        found = json.loads((run.folder.path / "replays.json").read_text())
        assert (found["tried"], found["accepted"]) == (0, 0)
        await replaying.stop()
    assert not probe.is_running()
    assert journal.doubts == []


async def test_a_run_that_asks_for_none_has_none(tmp_path: Path, journal: Journal) -> None:
    run = prepared(tmp_path, 0)
    replaying = Replaying(run, journal)
    async with trio.open_nursery() as nursery:
        await replaying.start(nursery)
        assert probes_of(run) == []
        await replaying.stop()


async def test_one_that_dies_makes_the_run_doubtful(tmp_path: Path, journal: Journal) -> None:
    run = prepared(tmp_path, 1)
    replaying = Replaying(run, journal)
    async with trio.open_nursery() as nursery:
        await replaying.start(nursery)
        (probe,) = probes_of(run)
        probe.kill()
    assert journal.doubts == [f"{NAME} ended with status -9 before it was asked to"]


async def test_one_that_cannot_start_is_told(tmp_path: Path, journal: Journal) -> None:
    run = prepared(tmp_path, 1)
    shutil.rmtree(run.provisioning)
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await Replaying(run, journal).start(nursery)
    (error,) = caught.value.exceptions
    assert isinstance(error, ProcessFailedError)
    assert f"{NAME} did not start" in str(error)
