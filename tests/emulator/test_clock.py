"""The scenario clock is a straight line through the machine's."""

from __future__ import annotations

import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from emulator.clock import ScenarioClock

rates = st.floats(1e-3, 1e4)
instants = st.floats(0, 1e6)


@given(rate=rates, at=instants, reference=instants)
def test_there_and_back(rate: float, at: float, reference: float) -> None:
    clock = ScenarioClock(reference, 1_772_406_000.0, rate)
    # POSIX seconds as floats are a quarter of a microsecond apart.
    assert clock.monotonic_at(clock.scenario_at(at)) == pytest.approx(at, abs=1e-6 / rate + 1e-9)


def test_it_runs_at_its_rate_from_its_reference() -> None:
    clock = ScenarioClock()
    clock.start(100.0, 5_000.0, 60.0)
    assert clock.triple == (100.0, 5_000.0, 60.0)
    assert clock.scenario_at(101.0) == 5_060.0
    assert clock.monotonic_at(5_120.0) == 102.0


def test_before_it_is_started_it_stands_long_before_everything() -> None:
    assert ScenarioClock().now_s() < 0


async def test_sleeping_takes_the_real_time_that_the_rate_makes_of_it(
    autojump_clock: MockClock,
) -> None:
    clock = ScenarioClock(time.monotonic(), 0.0, 60.0)
    started = trio.current_time()
    await clock.sleep_until(600.0)
    assert trio.current_time() - started == pytest.approx(10.0, abs=0.1)


async def test_what_has_passed_is_not_waited_for(autojump_clock: MockClock) -> None:
    clock = ScenarioClock(time.monotonic(), 1_000.0, 1.0)
    started = trio.current_time()
    await clock.sleep_until(10.0)
    assert trio.current_time() == started
