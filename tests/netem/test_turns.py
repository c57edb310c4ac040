from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netem.turns import Turns

LATE = 1 << 60


def served(packets: list[tuple[int, int]]) -> list[int]:
    """Return where each of (arrival, length) ends, the earliest arrival first."""
    end = -LATE
    ends = [0] * len(packets)
    for index in sorted(range(len(packets)), key=lambda one: packets[one][0]):
        arrival, length = packets[index]
        end = ends[index] = max(end, arrival) + length
    return ends


PACKETS = st.lists(st.tuples(st.integers(-20, 60), st.integers(1, 8)), max_size=30)


@given(PACKETS)
def test_turns_are_in_order_of_arrival_in_whatever_order_they_are_told(
    packets: list[tuple[int, int]],
) -> None:
    turns = Turns()
    for count, (arrival, length) in enumerate(packets, 1):
        assert turns.take(arrival, length, LATE) == served(packets[:count])[-1]
        assert turns.end == max(served(packets[:count]))


@given(PACKETS, st.integers(0, 40), st.integers(0, 9))
def test_forgetting_what_is_over_changes_nothing_that_comes(
    packets: list[tuple[int, int]], now: int, later: int
) -> None:
    forgetful, faithful = Turns(), Turns()
    for arrival, length in packets:
        forgetful.take(arrival, length, LATE)
        faithful.take(arrival, length, LATE)
    forgetful.forget(now)
    assert len(forgetful) <= len(faithful)
    for arrival, length in ((now + later, 3), (now, 1), (now, 9)):
        assert forgetful.take(arrival, length, LATE) == faithful.take(arrival, length, LATE)


def test_what_would_wait_too_long_takes_no_turn() -> None:
    turns = Turns()
    assert turns.take(0, 10, 10) == 10
    assert turns.take(5, 10, 14) is None
    assert turns.take(5, 10, 15) == 20
