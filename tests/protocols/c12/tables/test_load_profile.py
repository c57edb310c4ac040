"""ST63 and ST64: where blocks lie in their table, in every order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.defaults import CONFIGURATION
from protocols.c12.tables.interval_blocks import Intervals, block_layout
from protocols.c12.tables.load_profile import (
    ProfileStatus,
    decode_status,
    elements,
    encode_status,
    load_intervals,
    store_intervals,
)
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import CodecError
from tests.support.c12_profiles import configuration_of, dimensions_of, recorded

BLOCKS, INTERVALS = 5, 4
LAYOUT = block_layout(CONFIGURATION, dimensions_of(blocks=BLOCKS, intervals=INTERVALS))
ORDERS = list(product([False, True], repeat=3))


def like(orders: tuple[bool, bool, bool], first: int = 0) -> ProfileStatus:
    circular, descending, intervals_descending = orders
    return ProfileStatus(
        0, 0, first, 0, circular=circular, descending=descending,
        intervals_descending=intervals_descending,
    )  # fmt: skip


@pytest.mark.parametrize("orders", ORDERS)
@given(count=st.integers(1, 45), first=st.integers(0, 1000), meters=st.integers(1, 3))
def test_what_was_stored_comes_back(
    orders: tuple[bool, bool, bool], count: int, first: int, meters: int
) -> None:
    intervals, before = recorded(meters, count)
    status, table = store_intervals(LAYOUT, BLOCKS, intervals, before, like(orders, first))
    assert table.shape == (meters, BLOCKS * LAYOUT.size)
    found = load_intervals(LAYOUT, table, status)
    made = -(-count // INTERVALS)
    kept = count - max(made - BLOCKS, 0) * INTERVALS
    assert status.valid_blocks == min(made, BLOCKS)
    assert status.last_block_sequence == first + made - 1
    for name in ("captured_at_s",):
        assert np.array_equal(getattr(found, name), getattr(intervals, name)[-kept:])
    for name in ("values", "channel_status", "common_status"):
        assert np.array_equal(getattr(found, name), getattr(intervals, name)[:, -kept:])


@pytest.mark.parametrize(
    ("orders", "made", "places"),
    [
        # Blocks 0 to 2 in a table of five; then blocks 2 to 6, the oldest overwritten.
        ((True, False, False), 3, [0, 1, 2]),
        ((True, False, False), 7, [2, 3, 4, 0, 1]),
        ((True, True, False), 3, [4, 3, 2]),
        ((True, True, False), 7, [2, 1, 0, 4, 3]),
        ((False, False, False), 3, [0, 1, 2]),
        ((False, False, False), 7, [0, 1, 2, 3, 4]),
        ((False, True, False), 3, [2, 1, 0]),
        ((False, True, False), 7, [4, 3, 2, 1, 0]),
    ],
)
def test_places(orders: tuple[bool, bool, bool], made: int, places: list[int]) -> None:
    intervals, before = recorded(1, made * INTERVALS)
    status, table = store_intervals(LAYOUT, BLOCKS, intervals, before, like(orders))
    assert elements(status, BLOCKS).tolist() == places
    values = STANDARD_TABLES.decode(
        64, table[0].tobytes(), CONFIGURATION, dimensions_of(blocks=BLOCKS)
    )
    ends = [values["blocks"][place]["end_time"] for place in places]
    wanted = intervals.captured_at_s[INTERVALS - 1 :: INTERVALS][-len(places) :]
    assert ends == wanted.tolist()


def test_the_newest_interval_comes_first_in_a_partial_block_too() -> None:
    intervals, before = recorded(1, 2)
    _, table = store_intervals(LAYOUT, 1, intervals, before, like((True, False, True)))
    (block,) = STANDARD_TABLES.decode(
        64, table[0].tobytes(), CONFIGURATION, dimensions_of(blocks=1)
    )["blocks"]
    deltas = np.diff(intervals.values[0], axis=0, prepend=before)
    data = [interval["data"] for interval in block["intervals"]]
    assert data == [deltas[1].tolist(), deltas[0].tolist(), [0] * 4, [0] * 4]


def test_unread_blocks_are_no_more_than_there_are() -> None:
    intervals, before = recorded(1, 4 * INTERVALS)
    asked = replace(like((True, False, False)), unread_blocks=6)
    status, _ = store_intervals(LAYOUT, BLOCKS, intervals, before, asked)
    assert (status.unread_blocks, status.overflow) == (4, True)


@given(
    numbers=st.tuples(*[st.integers(0, 65_535)] * 4),
    sequence=st.integers(0, (1 << 32) - 1),
    flags=st.tuples(*[st.booleans()] * 7),
)
def test_the_status_table_round_trips(
    numbers: tuple[int, int, int, int], sequence: int, flags: tuple[bool, ...]
) -> None:
    blocks, element, intervals, unread = numbers
    status = ProfileStatus(blocks, element, sequence, intervals, unread, *flags)
    two = configuration_of(standard_tables_used=frozenset({64, 66}), set_sizes=None)
    sets = {1: status, 3: status}
    assert decode_status(encode_status(sets, two), two) == sets


def test_the_status_table_octet_by_octet() -> None:
    status = ProfileStatus(5, 4, 260, 3, unread_blocks=2, circular=True)
    octets = encode_status({1: status}, CONFIGURATION)
    assert octets.hex() == "24 0500 0400 04010000 0200 0300".replace(" ", "")


@pytest.mark.parametrize(
    "changes",
    [{"valid_blocks": 0}, {"valid_blocks": 6}, {"last_block_element": 5}, {"valid_intervals": 9}],
)
def test_a_status_that_the_table_contradicts(changes: dict[str, Any]) -> None:
    intervals, before = recorded()
    status, table = store_intervals(LAYOUT, BLOCKS, intervals, before)
    with pytest.raises(CodecError):
        load_intervals(LAYOUT, table, replace(status, **changes))


def test_a_table_of_another_length() -> None:
    intervals, before = recorded()
    status, table = store_intervals(LAYOUT, BLOCKS, intervals, before)
    with pytest.raises(CodecError):
        load_intervals(LAYOUT, table[:, :-1], status)


def test_good_intervals_have_no_status() -> None:
    intervals, before = recorded(2, 4)
    good = Intervals.good(intervals.captured_at_s, intervals.values)
    status, table = store_intervals(LAYOUT, BLOCKS, good, before)
    found = load_intervals(LAYOUT, table, status)
    assert not found.channel_status.any()
    assert not found.common_status.any()
