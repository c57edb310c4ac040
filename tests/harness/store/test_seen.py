"""The duplicate filter in memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.store.rows import Rows, Via
from harness.store.seen import Seen, Slot
from tests.support.stores import Reading, push, rows_of


class Table:
    """What is committed, and how often it was read back."""

    def __init__(self) -> None:
        self.meters: dict[Slot, set[int]] = {}
        self.loads: list[Slot] = []

    def load(self, slot: Slot) -> NDArray[np.uint32]:
        self.loads.append(slot)
        return np.array(sorted(self.meters[slot]), np.uint32)

    def seen(self, slots_in_memory: int = 512) -> Seen:
        return Seen(self.load, self.meters, slots_in_memory=slots_in_memory)

    def commit(self, seen: Seen, rows: Rows) -> None:
        for meter, profile, slot in zip(rows.meter, rows.profile, rows.captured_at_s, strict=True):
            self.meters.setdefault((int(profile), int(slot)), set()).add(int(meter))
        seen.add(rows)


READING: st.SearchStrategy[Reading] = st.tuples(
    st.integers(0, 40),
    st.sampled_from([1, 255]),
    st.sampled_from([-900, 0, 900, 2**40]),
    st.just(0),
    st.just((1, 2)),
    st.just(int(Via.PUSH)),
)


@given(
    batches=st.lists(st.lists(READING, max_size=30), max_size=8),
    slots_in_memory=st.integers(1, 9),
)
def test_first_arrivals_are_those_a_set_has_not(
    batches: list[list[Reading]], slots_in_memory: int
) -> None:
    table = Table()
    seen = table.seen(slots_in_memory)
    known: set[tuple[int, int, int]] = set()
    for batch in batches:
        rows = rows_of(batch)
        first = seen.first_arrivals(rows)
        for reading, is_first in zip(batch, first, strict=True):
            assert is_first == (reading[:3] not in known)
            known.add(reading[:3])
        table.commit(seen, rows.take(first))
    for slot, meters in table.meters.items():
        assert np.flatnonzero(seen.present(slot, range(41))).tolist() == sorted(meters)


def test_what_was_not_committed_is_not_noted() -> None:
    seen = Table().seen()
    assert seen.first_arrivals(push([1], 900)).all()
    assert seen.first_arrivals(push([1], 900)).all()


def test_a_stored_slot_is_read_back_once_and_a_new_one_never() -> None:
    table = Table()
    table.meters = {(1, 900): {1, 9}}
    seen = table.seen()
    assert seen.first_arrivals(push([1, 2, 9], 900)).tolist() == [False, True, False]
    seen.first_arrivals(push([1], 900))
    seen.first_arrivals(push([1], 1800))
    assert table.loads == [(1, 900)]


def test_many_slots_do_not_grow_memory() -> None:
    table = Table()
    seen = table.seen(slots_in_memory=4)
    for slot in range(0, 90_000, 900):
        table.commit(seen, push([1], slot))
    assert len(seen._bitmaps) == 4


def test_present_counts_from_the_first_of_the_range() -> None:
    table = Table()
    seen = table.seen()
    table.commit(seen, push([8, 11], 900))
    assert seen.present((1, 900), range(8, 13)).tolist() == [True, False, False, True, False]
    assert seen.present((1, 900), range(8, 8)).tolist() == []
