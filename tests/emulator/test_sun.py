"""The photovoltaic curve: integer sines and a day that looks like one."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from emulator.sun import ONE, sine_millionths, sun_weights

SUMMER, WINTER, SPRING = date(2026, 6, 21), date(2026, 12, 21), date(2026, 3, 21)


def test_the_integer_sine_is_near_the_sine() -> None:
    angles = np.arange(-720_000, 720_000, 777)
    exact = [math.sin(math.radians(angle / 1000)) for angle in angles.tolist()]
    assert np.abs(sine_millionths(angles) / ONE - exact).max() < 0.0017


@pytest.mark.parametrize(
    ("day", "hours"),
    [(SUMMER, 16.2), (SPRING, 12.0), (WINTER, 7.8)],
    ids=["summer", "spring", "winter"],
)
def test_the_day_at_fifty_degrees_is_as_long_as_it_is(day: date, hours: float) -> None:
    lit = np.count_nonzero(sun_weights(50_000, day))
    assert lit / 4 == pytest.approx(hours, abs=0.5)


def test_noon_is_as_high_as_it_is() -> None:
    # At noon the elevation is 90 - latitude + declination.
    for day, declination in ((SUMMER, 23.45), (SPRING, 0.0), (WINTER, -23.45)):
        expected = math.sin(math.radians(40 + declination))
        assert sun_weights(50_000, day).max() / ONE == pytest.approx(expected, abs=0.015)


def test_morning_mirrors_the_afternoon_and_nights_are_dark() -> None:
    weights = sun_weights(50_000, SUMMER)
    assert np.abs(weights - weights[::-1]).max() <= 1  # rounding
    assert not weights[:12].any()


def test_the_southern_hemisphere_has_its_summer_in_december() -> None:
    assert sun_weights(-33_900, WINTER).sum() > 2 * sun_weights(-33_900, SUMMER).sum()
