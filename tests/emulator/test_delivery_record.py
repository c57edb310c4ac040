"""The bitmaps: what is marked is found again, in this process and in the next."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.delivery_record import DeliveryRecord, Layout, Mark
from emulator.grid import Grid, generate_grid
from tests.support.grids import behaviour, small_grid

STEPS = 9
GRID: Grid = generate_grid(small_grid(6), behaviour(STEPS), 7)
Reading: TypeAlias = tuple[Mark, int, int, int]
"""A mark, a concentrator, a meter of the whole grid, an interval."""


@st.composite
def readings(draw: st.DrawFn, first: int = 1, end: int = 5) -> list[Reading]:
    concentrators = st.integers(first, end - 1)
    chosen = draw(st.lists(st.tuples(st.sampled_from(Mark), concentrators, st.integers(0, 99))))
    return [
        (mark, number, meters[place % len(meters)], draw(st.integers(0, STEPS - 1)))
        for mark, number, place in chosen
        for meters in [GRID.meters_of(number)]
    ]


def mark_all(record: DeliveryRecord, chosen: Iterable[Reading]) -> None:
    """Mark readings, those of one concentrator in one go."""
    batches: dict[tuple[Mark, int], list[tuple[int, int]]] = {}
    for mark, number, meter, interval in chosen:
        batches.setdefault((mark, number), []).append((meter, interval))
    for (mark, number), pairs in batches.items():
        meters, intervals = np.array(pairs, np.int64).T
        record.mark(mark, number, meters, intervals)


def found(record: DeliveryRecord, first: int, end: int) -> set[Reading]:
    """Return everything that is marked, as `of_concentrator` tells it."""
    return {
        (mark, number, int(meter) + GRID.meters_of(number).start, int(interval))
        for mark in Mark
        for number in range(first, end)
        for interval, meter in zip(
            *np.nonzero(record.of_concentrator(mark, number, 0, STEPS)), strict=True
        )
    }


@settings(max_examples=50)
@given(first=readings(), second=readings())
def test_what_is_marked_is_found_again_and_nothing_else(
    first: list[Reading], second: list[Reading]
) -> None:
    with TemporaryDirectory() as folder:
        record = DeliveryRecord.create(Path(folder), GRID, 1, 5, STEPS)
        mark_all(record, first)
        mark_all(record, second)
        read = DeliveryRecord.open(Path(folder), GRID)
        assert found(read, 1, 5) == {*first, *second}
        for mark in Mark:
            expected = {reading for reading in (*first, *second) if reading[0] is mark}
            assert read.total(mark) == len(expected)


@settings(max_examples=50)
@given(chosen=readings())
def test_by_interval_and_by_concentrator_say_the_same(chosen: list[Reading]) -> None:
    with TemporaryDirectory() as folder:
        record = DeliveryRecord.create(Path(folder), GRID, 1, 5, STEPS)
        mark_all(record, chosen)
        for mark in Mark:
            for interval in range(STEPS):
                rows = [
                    record.of_concentrator(mark, number, interval, interval + 1)[0]
                    for number in range(1, 5)
                ]
                np.testing.assert_array_equal(
                    record.of_interval(mark, interval), np.concatenate(rows)
                )


def test_the_layout_begins_every_concentrator_on_an_octet() -> None:
    layout = Layout.of(GRID, 2, 4)
    sizes = [len(GRID.meters_of(number)) for number in (2, 3)]
    assert layout.octet_offset.tolist() == [0, -(-sizes[0] // 8), sum(-(-n // 8) for n in sizes)]
    assert layout.bit_of_each_meter().tolist() == [
        *range(sizes[0]),
        *(8 * layout.octet_offset[1] + at for at in range(sizes[1])),
    ]


def test_no_readings_mark_nothing(tmp_path: Path) -> None:
    record = DeliveryRecord.create(tmp_path, GRID, 0, 6, STEPS)
    nothing = np.zeros(0, np.int64)
    record.mark(Mark.SENT, 0, nothing, nothing)
    assert record.total(Mark.SENT) == 0


def test_the_first_meter_is_the_highest_bit_of_the_file(tmp_path: Path) -> None:
    record = DeliveryRecord.create(tmp_path, GRID, 2, 4, STEPS)
    record.mark(Mark.SENT, 2, np.array([GRID.meters_of(2).start]), np.array([1]))
    octets = (tmp_path / "sent.bits").read_bytes()
    row = len(octets) // STEPS
    assert octets == bytes(row) + b"\x80" + bytes(len(octets) - row - 1)


def test_one_that_is_read_cannot_be_marked(tmp_path: Path) -> None:
    DeliveryRecord.create(tmp_path, GRID, 0, 6, STEPS)
    record = DeliveryRecord.open(tmp_path, GRID)
    with pytest.raises(ValueError, match="read-only"):
        record.mark(Mark.SENT, 0, np.array([0]), np.array([0]))


def test_none_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DeliveryRecord.open(tmp_path, GRID)


def test_a_full_disk_is_an_error_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        DeliveryRecord.create(tmp_path, GRID, 0, 6, STEPS)


def test_the_room_is_taken_when_it_is_made(tmp_path: Path) -> None:
    DeliveryRecord.create(tmp_path, GRID, 0, 6, STEPS)
    status = (tmp_path / "sent.bits").stat()
    assert status.st_size == STEPS * int(Layout.of(GRID, 0, 6).octet_offset[-1])
    assert status.st_blocks * 512 >= status.st_size
