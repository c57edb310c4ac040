"""The window of invocation ids: each is new once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.association.invocations import WINDOW, InvocationWindow


@given(st.lists(st.integers(0, 200), max_size=80))
def test_each_is_new_once(invocations: list[int]) -> None:
    window = InvocationWindow()
    seen: set[int] = set()
    for invocation in invocations:
        highest = max(seen, default=-1)
        expected = invocation not in seen and invocation > highest - WINDOW
        assert window.is_new(invocation) is expected
        window.mark(invocation)
        seen.add(invocation)


def test_a_jump_forgets_nothing_that_matters() -> None:
    window = InvocationWindow()
    window.mark(1)
    window.mark(1 << 31)
    assert not window.is_new(1)
    assert not window.is_new((1 << 31) - WINDOW)
    assert window.is_new((1 << 31) - WINDOW + 1)
