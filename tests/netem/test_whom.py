from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.whom import Region, Whom, chosen

NAMES = ("lte", "gprs")
FOUR = np.array([0, 1, 0, 1], np.uint8)


def whom(**words: object) -> Whom:
    return Whom.model_validate(words)


def hits(which: Whom, category: np.ndarray, key: int = 7) -> list[int]:
    return np.flatnonzero(chosen(which, NAMES, category, key)).tolist()


@pytest.mark.parametrize(
    ("region", "numbers"),
    [
        ("1 of 4", [0, 1]),
        ("2 of 4", [2, 3, 4]),
        ("3 of 4", [5, 6]),
        ("4 of 4", [7, 8, 9]),
        ("2-3 of 4", [2, 3, 4, 5, 6]),
        ("1 of 1", list(range(10))),
    ],
)
def test_regions_are_nearly_equal_runs(region: str, numbers: list[int]) -> None:
    assert hits(whom(region=region), np.zeros(10, np.uint8)) == numbers


@given(st.integers(1, 40), st.integers(1, 200))
def test_every_concentrator_is_in_one_region(of: int, total: int) -> None:
    category = np.zeros(total, np.uint8)
    found = [n for k in range(1, of + 1) for n in hits(whom(region=f"{k} of {of}"), category)]
    assert found == list(range(total))


def test_links_and_region_narrow_together() -> None:
    assert hits(whom(links=["gprs"]), FOUR) == [1, 3]
    assert hits(whom(links=["gprs"], region="2 of 2"), FOUR) == [3]
    assert hits(whom(links=["lte", "gprs"]), FOUR) == [0, 1, 2, 3]


def test_the_share_is_of_those_that_are_left() -> None:
    category = np.tile(FOUR, 50)
    found = hits(whom(links=["gprs"], share_ppm=300_000), category)
    assert len(found) == 30
    assert all(number % 2 for number in found)
    assert found == hits(whom(links=["gprs"], share_ppm=300_000), category)
    assert found != hits(whom(links=["gprs"], share_ppm=300_000), category, key=8)


def test_cells_are_hit_as_a_whole() -> None:
    found = hits(whom(cells=10, share_ppm=300_000), np.zeros(200, np.uint8))
    cells = sorted({number // 20 for number in found})
    assert len(cells) == 3
    assert found == [n for cell in cells for n in range(20 * cell, 20 * cell + 20)]


def test_of_a_cell_only_the_links_that_are_meant_are_hit() -> None:
    found = hits(whom(cells=4, share_ppm=250_000, links=["gprs"]), np.tile(FOUR, 10))
    assert len(found) == 5
    assert all(number % 2 for number in found)
    assert len({number // 10 for number in found}) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9 of 8", "no region 9 of 8"),
        ("2-9 of 8", "no region 9 of 8"),
        ("4-2 of 8", 'write "2-4 of 8"'),
        ("0 of 8", "such as"),
        ("2", "such as"),
        (2, "such as"),
    ],
)
def test_no_such_region(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Region.parse(text)


@pytest.mark.parametrize("text", ["2 of 8", "2-4 of 8"])
def test_a_region_is_written_as_it_was_read(text: str) -> None:
    assert str(Region.parse(text)) == text
    made = whom(region=text)
    assert Whom.model_validate_json(made.model_dump_json()) == made
