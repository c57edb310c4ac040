from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bal.errors import CurrentOutOfRangeError, ScheduleError
from harness.bal.model import schedule as module
from harness.bal.model.batteries import Batteries
from harness.bal.model.schedule import Schedule, Window
from tests.support.battery_model import add, told


def planned(*windows: tuple[int, int, int]) -> Schedule:
    """Return a schedule told of (current, start, end), one after the other, at time 0."""
    schedule = Schedule("b")
    for current_ma, start_ms, end_ms in windows:
        schedule.add(Window(start_ms, end_ms, current_ma), 0)
    return schedule


def test_a_later_event_cuts_the_end_of_an_earlier_one() -> None:
    schedule = planned((200, 1, 3), (300, 2, 4))
    assert schedule.windows == (Window(1, 2, 200), Window(2, 4, 300))


def test_a_later_event_in_the_middle_leaves_both_ends() -> None:
    schedule = planned((200, 1, 4), (300, 2, 3))
    assert schedule.windows == (Window(1, 2, 200), Window(2, 3, 300), Window(3, 4, 200))


def test_a_set_point_at_once_ends_what_is_running_and_not_what_comes() -> None:
    schedule = planned((200, 1, 4), (300, 6, 8))
    schedule.stand(50, 2)
    assert [schedule.wanted_ma(at_ms) for at_ms in (2, 4, 6, 8)] == [50, 50, 300, 50]


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (Window(9, 20, 1), "9 ms lies in the past; let it start at 10 ms"),
        (Window(20, 20, 1), "no duration"),
        (Window(20, 19, 1), "no duration"),
    ],
)
def test_a_window_that_cannot_be_is_refused(window: Window, reason: str) -> None:
    schedule = Schedule("home")
    with pytest.raises(ScheduleError, match=f'battery "home": .*{reason}'):
        schedule.add(window, 10)
    assert schedule.windows == ()


def test_windows_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOWS_MAX", 2)
    with pytest.raises(ScheduleError, match="2 windows are scheduled already"):
        planned((1, 1, 2), (1, 3, 4), (1, 5, 6))


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 30), st.integers(1, 15)).map(
            lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
        ),
        max_size=8,
    )
)
def test_the_last_event_that_covers_a_moment_holds(events: list[tuple[int, int, int]]) -> None:
    schedule = planned(*events)
    for at_ms in range(50):
        covering = [current for current, start, end in events if start <= at_ms < end]
        assert schedule.wanted_ma(at_ms) == (covering[-1] if covering else 0)
    changes = sorted({moment for window in schedule.windows for moment in window[:2]})
    for at_ms in range(50):
        later = [change for change in changes if change > at_ms]
        assert schedule.next_change_ms(at_ms) == (later[0] if later else None)


def two() -> Batteries:
    batteries = Batteries()
    add(batteries, "a", ah=110, discharge_a=60)
    add(batteries, "b", ah=40, discharge_a=40)
    batteries.make_aggregator("c", ["a", "b"])
    return batteries


def test_a_scheduled_current_reaches_the_sources_and_ends() -> None:
    batteries = two()
    assert batteries.schedule("c", 30_000, 1_000, 3_000, 0) == []
    assert batteries.due(999) == []
    assert batteries.next_due_ms() == 1_000
    assert told(batteries.due(1_000)) == {"a": 22_000, "b": 8_000}
    assert batteries.next_due_ms() == 3_000
    assert told(batteries.due(3_000)) == {"a": 0, "b": 0}


def test_a_window_that_starts_now_takes_effect_now() -> None:
    assert told(two().schedule("c", 15_000, 5, 9, 5)) == {"a": 11_000, "b": 4_000}


def test_a_set_point_over_what_is_expected_is_refused_and_one_over_what_is_there_is_cut() -> None:
    batteries = two()
    with pytest.raises(CurrentOutOfRangeError, match="81818 mA"):
        batteries.schedule("c", 81_819, 1_000, 2_000, 0)
    batteries.schedule("c", 80_000, 1_000, 2_000, 0)
    batteries.source_lost("b", 10)
    assert told(batteries.due(1_500)) == {"a": 60_000}
    assert batteries.status("c").expected.current_ma == 60_000
