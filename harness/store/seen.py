"""Which readings are stored, as bitmaps in memory: the duplicate filter of the embedded store.

One bit per meter for each (capture profile, capture time). A key index in the database would cost
3 to 9 times the insert time and 14 times the space; this costs 0.44 MB per slot of 3.5 million
meters. Only the slots in use are held: a slot is read back from the table when it is touched for
the first time after opening, and the one unused for longest makes room, so peers that send rows
of many capture times do not choose our memory use. Meter numbers are the head-end's own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import Rows

_Item = TypeVar("_Item", bound=np.generic)

SLOTS_IN_MEMORY: Final = 512

Slot = tuple[int, int]
"""(capture profile, capture time in POSIX seconds)."""


class Seen:
    """Tells first arrivals from later ones. Not thread-safe: the store's lock guards it."""

    def __init__(
        self,
        load: Callable[[Slot], NDArray[np.uint32]],
        stored: Iterable[Slot],
        *,
        slots_in_memory: int = SLOTS_IN_MEMORY,
    ) -> None:
        """Start with nothing in memory.

        Args:
            load: reads the meters stored in a slot.
            stored: the slots that have rows; the others need no reading back.
            slots_in_memory: bitmaps to keep.
        """
        self._load = load
        self._stored = set(stored)
        self._slots_in_memory = slots_in_memory
        self._bitmaps: OrderedDict[Slot, NDArray[np.uint8]] = OrderedDict()
        self._position = np.zeros(0, np.intp)

    def first_arrivals(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows are neither stored nor preceded in ``rows`` by the same reading."""
        first = np.zeros(len(rows), np.bool_)
        for slot, members in _by_slot(rows):
            meters = rows.meter[members]
            first[members] = self._first_of_batch(meters) & ~self._has(slot, meters)
        return first

    def add(self, rows: Rows) -> None:
        """Note ``rows`` as stored; only after they are committed."""
        for slot, members in _by_slot(rows):
            self._stored.add(slot)
            _set_bits(self._bitmap(slot, rows.meter[members]), rows.meter[members])

    def forget(self, before_s: int) -> None:
        """Take slots captured before then as never stored; only after that is committed."""
        self._stored = {slot for slot in self._stored if slot[1] >= before_s}
        for slot in [slot for slot in self._bitmaps if slot[1] < before_s]:
            del self._bitmaps[slot]

    def present(self, slot: Slot, meters: range) -> NDArray[np.bool_]:
        """Tell which of ``meters`` (step 1) are stored in ``slot``."""
        return self._has(slot, np.arange(meters.start, meters.stop, dtype=np.uint32))

    def _first_of_batch(self, meters: NDArray[np.uint32]) -> NDArray[np.bool_]:
        # Writing backwards leaves each meter's first position; no sort, and no clearing because
        # only positions written here are read here.
        self._position = _grown(self._position, int(meters.max(initial=0)) + 1)
        order = np.arange(len(meters))
        self._position[meters[::-1]] = order[::-1]
        return np.asarray(self._position[meters] == order)

    def _has(self, slot: Slot, meters: NDArray[np.uint32]) -> NDArray[np.bool_]:
        bitmap = self._bitmap(slot, meters)
        return np.asarray((bitmap[meters >> 3] >> (meters & 7).astype(np.uint8)) & 1 != 0)

    def _bitmap(self, slot: Slot, meters: NDArray[np.uint32]) -> NDArray[np.uint8]:
        bitmap = self._bitmaps.get(slot)
        if bitmap is None:
            bitmap = self._read_back(slot)
        bitmap = _grown(bitmap, int(meters.max(initial=0) >> 3) + 1)
        self._bitmaps[slot] = bitmap
        self._bitmaps.move_to_end(slot)
        if len(self._bitmaps) > self._slots_in_memory:
            self._bitmaps.popitem(last=False)
        return bitmap

    def _read_back(self, slot: Slot) -> NDArray[np.uint8]:
        if slot not in self._stored:
            return np.zeros(0, np.uint8)
        meters = self._load(slot)
        bitmap = np.zeros(int(meters.max(initial=0) >> 3) + 1, np.uint8)
        _set_bits(bitmap, meters)
        return bitmap


def _by_slot(rows: Rows) -> Iterator[tuple[Slot, NDArray[np.intp]]]:
    """Yield each slot of ``rows`` with the positions of its rows, in order of arrival."""
    if not len(rows):
        return
    key = rows.captured_at_s * 256 + rows.profile
    order = np.argsort(key, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        yield (int(rows.profile[members[0]]), int(rows.captured_at_s[members[0]])), members


def _set_bits(bitmap: NDArray[np.uint8], meters: NDArray[np.uint32]) -> None:
    bits = np.left_shift(np.uint8(1), (meters & 7).astype(np.uint8))
    np.bitwise_or.at(bitmap, meters >> 3, bits)


def _grown(array: NDArray[_Item], size: int) -> NDArray[_Item]:
    if size <= len(array):
        return array
    # Doubling keeps the copying linear in the number of meters.
    grown = np.zeros(max(size, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown
