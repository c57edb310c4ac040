from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spread import spread

QUICK = [f"quick {number}" for number in range(40)]
SLOW = ["a 0", "a 1", "a 2", "b 0", "b 1", "c 0"]


def given_out(tests: Sequence[str], workers: int) -> list[str]:
    return spread(
        tests, workers, is_slow=lambda test: "quick" not in test, module=lambda test: test[0]
    )


def stretches(tests: Sequence[str], workers: int) -> list[Sequence[str]]:
    """Return what each worker is given: as xdist does, the rest by those who have none yet."""
    left = list(tests)
    found: list[Sequence[str]] = []
    for number in range(workers):
        length = len(left) // (workers - number)
        found.append(left[:length])
        del left[:length]
    return found


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (1, [SLOW]),
        (2, [["a 0", "a 1", "a 2"], ["b 0", "b 1", "c 0"]]),
        (3, [["a 0", "a 1", "a 2"], ["b 0", "b 1"], ["c 0"]]),
        (4, [["a 0", "a 1", "a 2"], ["b 0", "b 1"], ["c 0"], []]),
    ],
)
def test_every_worker_begins_with_whole_modules_of_slow_tests(
    workers: int, expected: list[list[str]]
) -> None:
    tests = [*SLOW[:3], *QUICK, *SLOW[3:]]
    for first, stretch in zip(expected, stretches(given_out(tests, workers), workers), strict=True):
        assert stretch[: len(first)] == first
        assert all("quick" in test for test in stretch[len(first) :])


@given(
    st.lists(st.sampled_from(["a", "b", "c", "quick"]), max_size=60),
    st.integers(1, 5),
)
def test_none_is_left_out_and_a_module_keeps_its_order(kinds: list[str], workers: int) -> None:
    tests = [f"{kind} {number}" for number, kind in enumerate(kinds)]
    found = given_out(tests, workers)
    assert sorted(found) == sorted(tests)
    for kind in set(kinds):
        assert [test for test in found if test.startswith(kind)] == [
            test for test in tests if test.startswith(kind)
        ]
