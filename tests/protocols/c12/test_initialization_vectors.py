"""Initialization vectors: never twice, and three ways to take them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.initialization_vectors import (
    MAX_VECTOR,
    ReplayError,
    ReplayRule,
    SendVectors,
    VectorMemory,
    check_vector,
)
from protocols.errors import LocalProtocolError


@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(0, 1000))
def test_vectors_never_repeat_whatever_the_clock_does(times: list[int], last: int) -> None:
    vectors = SendVectors(last)
    taken = [vectors.take(now) for now in times]
    assert taken == sorted({*taken})
    assert all(vector > last for vector in taken)
    assert all(vector >= now for vector, now in zip(taken, times, strict=True))
    assert vectors.last == (taken[-1] if taken else last)


def test_used_up() -> None:
    vectors = SendVectors(MAX_VECTOR - 1)
    assert vectors.take(0) == MAX_VECTOR
    with pytest.raises(LocalProtocolError):
        vectors.take(0)
    assert vectors.last == MAX_VECTOR


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


def test_memory() -> None:
    memory = VectorMemory({b"a": 1})
    memory.accept(b"b", 7)
    assert memory.last_accepted(b"a") == 1
    assert memory.last_accepted(b"c") is None
    assert memory.snapshot() == {b"a": 1, b"b": 7}
