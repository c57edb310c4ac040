"""Initialization vectors: three ways to take them."""

from __future__ import annotations

import pytest

from protocols.c12.initialization_vectors import (
    ReplayError,
    ReplayRule,
    check_vector,
)


@pytest.mark.parametrize(
    ("rule", "vector", "taken"),
    [
        (ReplayRule.STRICT, 5001, True),
        (ReplayRule.STRICT, 5000, False),
        (ReplayRule.STRICT, 4999, False),
        (ReplayRule.WINDOW, 9100, True),
        (ReplayRule.WINDOW, 9099, False),
        (ReplayRule.WINDOW, 10900, True),
        (ReplayRule.WINDOW, 10901, False),
        (ReplayRule.OFF, 0, True),
    ],
)
def test_rules(rule: ReplayRule, vector: int, taken: bool) -> None:
    if taken:
        check_vector(vector, rule, last=5000, now_s=10_000)
        return
    with pytest.raises(ReplayError):
        check_vector(vector, rule, last=5000, now_s=10_000)


def test_the_first_vector_is_new() -> None:
    check_vector(0, ReplayRule.STRICT, last=None, now_s=0)
