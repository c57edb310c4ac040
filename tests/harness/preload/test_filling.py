"""History goes into a store reading by reading as meters registered it, in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.plan import Plan
from harness.preload.filling import History, HistoryConflictError, fill
from harness.store.interface import Store
from harness.store.opening import open_reader, open_store
from harness.store.rows import Rows, Via
from tests.support.grids import FIRST_S, behaviour, small_grid, truth_of
from tests.support.stores import Place

PRELOADED = 9
SEED = 7
NOW_US = 1_790_000_000_000_000


def history_of(meters: range | None = None, preloaded: int = PRELOADED) -> History:
    parameters = behaviour(4, preloaded=preloaded)
    grid, truth = truth_of(small_grid(4), parameters, seed=SEED)
    plan = Plan(grid, parameters, FIRST_S, SEED)
    return History.of(plan, truth, range(grid.meters) if meters is None else meters)


HISTORY = history_of()


@contextmanager
def opened(address: str) -> Iterator[Store]:
    with closing(Place(address).open(HISTORY.truth.profile.names)) as store:
        yield store


@pytest.fixture(params=["duckdb", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be, of each back end."""
    if request.param == "duckdb":
        return str(tmp_path / "store.duckdb")
    url: str = request.getfixturevalue("postgres_url")
    return url


def test_a_filled_store_holds_the_truth_of_every_interval_before_the_plan(address: str) -> None:
    told: list[int] = []
    with opened(address) as store:
        assert fill(store, HISTORY, NOW_US, rows_max=50, progress=told.append) == HISTORY.readings
    assert told[-1] == HISTORY.readings
    assert max(np.diff([0, *told])) <= 50
    with closing(open_reader(address)) as reader:
        assert reader.slots().tolist() == [FIRST_S - 900 * ago for ago in range(PRELOADED, 0, -1)]
        for ago in range(PRELOADED, 0, -1):
            found = reader.rows(FIRST_S - 900 * ago)
            expected = HISTORY.truth.registers(np.array(HISTORY.meters), -ago)[0]
            assert found.rows.meter.tolist() == list(HISTORY.meters)
            assert np.array_equal(found.rows.values, expected)
            assert (found.rows.via == Via.PRELOADED).all()
            assert (found.rows.profile == HISTORY.truth.profile.number).all()
            assert not found.rows.status.any()
            assert (found.stored_at_us == NOW_US).all()


def test_a_filling_that_was_cut_short_is_begun_anew(address: str) -> None:
    class EnoughError(Exception):
        pass

    def stop(written: int) -> None:
        if written > HISTORY.readings / 2:
            raise EnoughError

    with opened(address) as store, pytest.raises(EnoughError):
        fill(store, HISTORY, NOW_US, rows_max=20, progress=stop)
    with opened(address) as store:
        rest = fill(store, HISTORY, NOW_US + 1, rows_max=30)
        assert 0 < rest < HISTORY.readings / 2
    with closing(open_reader(address)) as reader:
        assert reader.count() == HISTORY.readings
        assert not len(reader.conflicts())


def test_a_store_that_holds_something_else_is_refused(address: str) -> None:
    with opened(address) as store:
        values = HISTORY.truth.registers(np.array([3]), -2)[0]
        row = next(HISTORY.batches(1))
        captured_at_s = np.array([FIRST_S - 1800])
        store.put(
            Rows(
                np.array([3], np.uint32),
                row.profile,
                captured_at_s,
                row.status,
                values + np.uint32(1),
                row.via,
            ),
            {},
            1,
        )
        with pytest.raises(HistoryConflictError, match=r"1 readings .* not those of this scenario"):
            fill(store, HISTORY, NOW_US)


@given(
    rows_max=st.integers(1, 200),
    first=st.integers(0, HISTORY.plan.grid.meters),
    count=st.integers(0, 12),
    preloaded=st.integers(0, 12),
)
def test_batches_are_bounded_and_hold_every_reading_once_in_order(
    rows_max: int, first: int, count: int, preloaded: int
) -> None:
    meters = range(first, min(first + count, HISTORY.plan.grid.meters))
    history = history_of(meters, preloaded)
    batches = list(history.batches(rows_max))
    assert all(0 < len(batch) <= rows_max for batch in batches)
    assert sum(map(len, batches)) == history.readings
    found = [
        (at, meter)
        for batch in batches
        for at, meter in zip(batch.captured_at_s.tolist(), batch.meter.tolist(), strict=True)
    ]
    times = [FIRST_S - 900 * ago for ago in range(preloaded, 0, -1)]
    assert sorted(found) == [(at, meter) for at in times for meter in meters]
    assert [at for at, _ in found] == sorted(at for at, _ in found)


@given(readings=st.integers(1, 400), preloaded=st.integers(0, 12))
def test_parts_are_bounded_and_hold_every_interval_once(readings: int, preloaded: int) -> None:
    history = history_of(preloaded=preloaded)
    parts = list(history.parts(readings))
    assert [interval for part in parts for interval in part.intervals] == list(history.intervals)
    assert all(part.readings <= readings or len(part.intervals) == 1 for part in parts)
    assert all(part.meters == history.meters for part in parts)


def test_without_history_nothing_is_written(tmp_path: Path) -> None:
    history = history_of(preloaded=0)
    with closing(
        open_store(tmp_path / "x.duckdb", history.truth.profile.names, create=True)
    ) as store:
        assert fill(store, history, NOW_US) == 0
        assert not len(store.slots())
