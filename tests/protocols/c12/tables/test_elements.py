"""Element indexes and what they span."""

from __future__ import annotations

import pytest

from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
from protocols.c12.tables.dimensions import Dimensions, Registers
from protocols.c12.tables.elements import element_span
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import LocalProtocolError

DIMENSIONS = meter_dimensions(channels=4, blocks=3, intervals=2)
REGISTERS = STANDARD_TABLES.declaration(23, CONFIGURATION, DIMENSIONS)
PROFILE = STANDARD_TABLES.declaration(64, CONFIGURATION, DIMENSIONS)
# One block: time 4, four readings of 6, two intervals of status 3 and four data of 4.
BLOCK = 4 + 4 * 6 + 2 * (3 + 4 * 4)


@pytest.mark.parametrize(
    ("path", "count", "span"),
    [
        ((0,), 1, (0, 1)),  # the counter of demand resets
        ((1,), 1, (1, 24)),  # the totals
        ((0,), 2, (0, 25)),  # both
        ((1, 0), 1, (1, 24)),  # its summations
        ((1, 0, 2), 1, (13, 6)),  # the third of them
        ((1, 0, 2), 2, (13, 12)),
        ((2, 1), 1, (49, 24)),  # the second tier
        ((2, 1, 0, 3), 1, (67, 6)),
    ],
)
def test_registers(path: tuple[int, ...], count: int, span: tuple[int, int]) -> None:
    assert element_span(REGISTERS, path, count) == span


@pytest.mark.parametrize(
    ("path", "count", "span"),
    [
        ((0,), 1, (0, 3 * BLOCK)),
        ((0, 1), 1, (BLOCK, BLOCK)),
        ((0, 1), 2, (BLOCK, 2 * BLOCK)),
        ((0, 2, 0), 1, (2 * BLOCK, 4)),
        ((0, 2, 1, 3), 1, (2 * BLOCK + 4 + 18, 6)),
        # The simple status, element 2, is not there and keeps its index.
        ((0, 0, 3, 1, 1, 2), 1, (4 + 24 + 19 + 3 + 8, 4)),
    ],
)
def test_load_profile(path: tuple[int, ...], count: int, span: tuple[int, int]) -> None:
    assert element_span(PROFILE, path, count) == span


def test_indexes_may_close_ranks_over_what_is_absent() -> None:
    span = element_span(PROFILE, (0, 0, 2, 1, 1, 2), keep_absent=False)
    assert span == (4 + 24 + 19 + 3 + 8, 4)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ((), 1),
        ((3,), 1),
        ((-1,), 1),
        ((0,), 0),
        ((0,), 4),
        ((2, 2), 1),
        ((1, 0, 4), 1),
        ((1, 0, 0, 0), 1),  # nothing is inside a number
        ((0,) * 10, 1),
    ],
)
def test_elements_that_are_not_there(path: tuple[int, ...], count: int) -> None:
    with pytest.raises(LocalProtocolError):
        element_span(REGISTERS, path, count)


def test_an_absent_element_has_no_octets() -> None:
    with pytest.raises(LocalProtocolError):
        element_span(PROFILE, (0, 0, 2))
    without = STANDARD_TABLES.declaration(
        23, CONFIGURATION, Dimensions(registers=Registers(summations=1))
    )
    with pytest.raises(LocalProtocolError):
        element_span(without, (0,))
    assert element_span(without, (1,)) == (0, 6)


def test_a_last_element_of_any_length() -> None:
    response = STANDARD_TABLES.declaration(8, CONFIGURATION)
    assert element_span(response, (2,)) == (3, 1)
    assert element_span(response, (3,), table_size=11) == (4, 7)
    assert element_span(response, (1,), 3, table_size=11) == (2, 9)
    with pytest.raises(LocalProtocolError):
        element_span(response, (3,))


def test_every_span_lies_in_its_table() -> None:
    for table in STANDARD_TABLES:
        if table.number in (7, 8, 65, 66, 67):
            continue
        declaration = STANDARD_TABLES.declaration(table.number, CONFIGURATION, DIMENSIONS)
        ends: list[int] = []
        for index in range(30):
            try:
                offset, length = element_span(declaration, (index,))
            except LocalProtocolError:
                continue
            assert offset == (ends[-1] if ends else 0)
            ends.append(offset + length)
        assert (ends[-1] if ends else 0) == declaration.sizeof()
