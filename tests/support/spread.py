"""In which order workers run tests: the slow ones first, spread over all of them.

The slow tests wait more than they compute, the others compute: where every worker begins with its
share of the slow ones, whole runs meet no crowd of computing neighbours, and what is left for the
end, when workers take tests from each other, is short.

`pytest-xdist <https://pytest-xdist.readthedocs.io>`_ gives each worker a stretch of the list, all
of the same length but for one test, and lets idle ones steal from the ends (``--dist worksteal``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def spread(
    tests: Sequence[T],
    workers: int,
    *,
    is_slow: Callable[[T], bool],
    module: Callable[[T], object],
) -> list[T]:
    """Return ``tests`` in the order in which to give them out.

    Args:
        tests: what was collected, in the order of files.
        workers: how many share them, 1 or more.
        is_slow: whether a test waits, for processes or for a scenario's time.
        module: what the slow tests that share a fixture have in common: they stay together.
    """
    rest = iter([test for test in tests if not is_slow(test)])
    given: list[T] = []
    for number, first in enumerate(_shares(filter(is_slow, tests), workers, module)):
        length = (len(tests) - len(given)) // (workers - number)
        given += first
        given += islice(rest, max(0, length - len(first)))
    return [*given, *rest]


def _shares(tests: Iterable[T], workers: int, module: Callable[[T], object]) -> list[list[T]]:
    """Share whole modules out, the one with most tests first, always to who has least."""
    modules: dict[object, list[T]] = {}
    for test in tests:
        modules.setdefault(module(test), []).append(test)
    shares: list[list[T]] = [[] for _ in range(workers)]
    for together in sorted(modules.values(), key=len, reverse=True):
        min(shares, key=len).extend(together)
    return shares
