"""Which readings were handed to a link, and which were acknowledged: two bitmaps a shard.

Layout of ``<name>.bits``: one row per interval, and in each row the concentrators of the shard one
after the other, each with ``ceil(meters / 8)`` octets, first meter in the highest bit. Every
concentrator starts on an octet, so marking one push touches its octets only. A billion readings
take about 126 MB a bitmap.

The files are memory-mapped: what was marked survives SIGKILL of the process (not a power cut).
Their room on the disk is taken when they are made, so that a full disk is an error then and not the
death of the process (SIGBUS) in the middle of a run.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.grid import Grid

BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]
_META: Final = "shard.json"


class Mark(Enum):
    """What a bit says of a reading; the value names the file."""

    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the bits of each concentrator lie.

    ``octet_offset`` (int64, concentrators + 1) is relative to the row; ``first_meter`` (int64,
    concentrators + 1) numbers meters in the whole grid.
    """

    first_concentrator: int
    first_meter: Int64Array
    octet_offset: Int64Array

    @classmethod
    def of(cls, grid: Grid, first_concentrator: int, end_concentrator: int) -> Layout:
        """Return the layout for the concentrators of that half-open range."""
        first_meter = grid.first_meter[first_concentrator : end_concentrator + 1].astype(np.int64)
        octets = (np.diff(first_meter) + 7) // 8
        return cls(first_concentrator, first_meter, np.concatenate(([0], np.cumsum(octets))))

    def bit_of_each_meter(self) -> Int64Array:
        """Return the position in an unpacked row of every meter of the shard, in meter order."""
        counts = np.diff(self.first_meter)
        start = np.repeat(self.octet_offset[:-1] * 8, counts)
        within = np.arange(counts.sum()) - np.repeat(
            self.first_meter[:-1] - self.first_meter[0], counts
        )
        position: Int64Array = start + within
        return position


class DeliveryRecord:
    """The two bitmaps of one shard."""

    def __init__(self, directory: Path, layout: Layout, steps: int, *, writable: bool) -> None:
        self.layout = layout
        self.steps = steps
        self._octet_offset: list[int] = layout.octet_offset.tolist()
        self._first_meter: list[int] = layout.first_meter.tolist()
        shape = (steps, self._octet_offset[-1])
        # A plain array over the map: a memmap costs a Python call for every slice of it.
        self._bits: dict[Mark, NDArray[np.uint8]] = {
            mark: np.asarray(
                np.memmap(_file(directory, mark), np.uint8, "r+" if writable else "r", shape=shape)
            )
            for mark in Mark
        }

    @classmethod
    def create(
        cls, directory: Path, grid: Grid, first_concentrator: int, end_concentrator: int, steps: int
    ) -> DeliveryRecord:
        """Start an empty record in ``directory`` (made if missing).

        Raises `OSError`: the folder cannot be written, or the disk has not the room.
        """
        directory.mkdir(parents=True, exist_ok=True)
        meta = {"first_concentrator": first_concentrator, "end_concentrator": end_concentrator}
        (directory / _META).write_text(json.dumps(meta | {"steps": steps}))
        layout = Layout.of(grid, first_concentrator, end_concentrator)
        for mark in Mark:
            _reserve(_file(directory, mark), steps * int(layout.octet_offset[-1]))
        return cls(directory, layout, steps, writable=True)

    @classmethod
    def open(cls, directory: Path, grid: Grid) -> DeliveryRecord:
        """Open a recorded one to read. Raises `FileNotFoundError` when there is none."""
        meta = json.loads((directory / _META).read_text())
        layout = Layout.of(grid, meta["first_concentrator"], meta["end_concentrator"])
        return cls(directory, layout, meta["steps"], writable=False)

    def mark(
        self, mark: Mark, concentrator: int, meters: Int64Array, intervals: Int64Array
    ) -> None:
        """Set the bits of readings of one concentrator.

        Args:
            mark: which bits.
            concentrator: one of the shard's.
            meters: (n,) its meters, numbered in the whole grid.
            intervals: (n,) the interval of each reading.
        """
        if len(intervals) == 0:
            return
        first, end = int(intervals.min()), int(intervals.max()) + 1
        octets, members = self._octets(concentrator), self._meters(concentrator)
        chosen: BoolArray = np.zeros((end - first, len(members)), np.bool_)
        chosen[intervals - first, meters - members.start] = True
        self._bits[mark][first:end, octets] |= np.packbits(chosen, axis=1)

    def of_concentrator(self, mark: Mark, concentrator: int, first: int, end: int) -> BoolArray:
        """Return bool (intervals, meters of the concentrator) for intervals first .. end - 1."""
        octets, members = self._octets(concentrator), self._meters(concentrator)
        bits = np.unpackbits(self._bits[mark][first:end, octets], axis=1, count=len(members))
        return bits.view(np.bool_)

    def of_interval(self, mark: Mark, interval: int) -> BoolArray:
        """Return one bool for every meter of the shard, in meter order."""
        bits = np.unpackbits(self._bits[mark][interval])
        return bits[self.layout.bit_of_each_meter()].view(np.bool_)

    def total(self, mark: Mark) -> int:
        """Return how many bits are set."""
        return sum(int(np.bitwise_count(row).sum()) for row in self._bits[mark])

    def _octets(self, concentrator: int) -> slice:
        index = concentrator - self.layout.first_concentrator
        return slice(self._octet_offset[index], self._octet_offset[index + 1])

    def _meters(self, concentrator: int) -> range:
        index = concentrator - self.layout.first_concentrator
        return range(self._first_meter[index], self._first_meter[index + 1])


def _file(directory: Path, mark: Mark) -> Path:
    return directory / f"{mark.value}.bits"


def _reserve(path: Path, octets: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, octets)
