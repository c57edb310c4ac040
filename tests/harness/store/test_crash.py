"""A writer killed with SIGKILL loses nothing it has answered for, and stores nothing twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from harness.store.interface import EventReader, PutResult
from netem.draws import mix_one, stream_key
from tests.support.store_child import (
    POINTS,
    PUTS,
    TITLE,
    alarms_of_put,
    changes_of_put,
    put,
    readings_of_put,
)
from tests.support.stores import Model, Place, readings_of, stored_alarms_of

ROOT = Path(__file__).parents[3]
KILLED_PUT = 3


@contextmanager
def writer(place: Place, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a writer process; it is dead afterwards."""
    command = [sys.executable, "-m", "tests.support.store_child", place.address, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answered(process: subprocess.Popen[str]) -> int:
    """Return how many puts a dead or dying writer answered for."""
    assert process.stdout is not None
    return len(process.stdout.read().splitlines())


def check_recovery(place: Place, durable: int) -> None:
    """Check what is there, send everything again, and check that all of it is there once."""
    model = Model()
    with closing(place.open()) as store:
        found = len(store.slots())
        assert durable <= found <= durable + 1, "one put at most was under way"
        for number in range(found):
            model_put(model, number)
        assert store.counters() == model.counters
        assert store.conflict_count() == len(model.conflicts)
        assert store.alarm_conflict_count() == len(model.alarm_conflicts)
        assert len(store.last_registrations()) == found
        for number in range(PUTS):
            expected = model_put(model, number)
            assert put(store, number) == expected
    with closing(place.reader()) as reader:
        for slot in model.slots():
            assert readings_of(reader.rows(slot)) == model.slot(slot)
        assert sorted(readings_of(reader.conflicts())) == sorted(model.conflicts)
        assert isinstance(reader, EventReader)
        alarms = stored_alarms_of(reader.alarms())
        assert sorted(alarms) == sorted(model.alarms.values())
        aside = stored_alarms_of(reader.alarm_conflicts())
        assert sorted(aside) == sorted(model.alarm_conflicts)
        assert len(reader.registrations()) == len(model.changes)


def model_put(model: Model, number: int) -> PutResult:
    """Put the batch of that number into the model."""
    return model.put(
        readings_of_put(number),
        {TITLE: number},
        number,
        alarms_of_put(number),
        changes_of_put(number),
    )


@pytest.mark.parametrize("point", list(POINTS))
def test_a_kill_at_each_point_of_a_put(tmp_path: Path, point: str) -> None:
    place = Place(str(tmp_path / "store.duckdb"))
    with writer(place, point, str(KILLED_PUT)) as process:
        durable = answered(process)
        assert process.wait() == -9
    assert durable == KILLED_PUT
    check_recovery(place, durable)


@pytest.mark.parametrize("trial", range(6))
def test_a_kill_at_a_random_moment(place: Place, trial: int) -> None:
    draw = mix_one(stream_key(2, "kill"), trial)
    with writer(place) as process:
        assert process.stdout is not None
        seen = 0
        for _ in range(draw % PUTS):
            seen += len(process.stdout.readline().splitlines())
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw % 4096 / 4096 * 0.02)
        process.kill()
        durable = seen + answered(process)
    place.settle()
    check_recovery(place, durable)


def test_a_file_left_by_a_killed_writer_is_read_whole(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "store.duckdb"))
    with writer(place) as process:
        assert process.stdout is not None
        for _ in range(PUTS):
            process.stdout.readline()
        process.kill()
        process.wait()
    with closing(place.reader()) as reader:
        assert len(reader.slots()) == PUTS
