"""Energy between moments, on both back ends, held against a register that is walked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store import usage_query
from harness.store.interface import UsageReader
from harness.store.rows import Rows, Via
from harness.store.usage import NEVER, Usage, UsageQuestion, Window
from harness.store.usage_query import usage
from tests.support.stores import REGISTERS, Place, rows_of

STEP_S = 900
QUESTION = UsageQuestion((Window(0, 1800, 0), Window(1800, 3600, 1), Window(3600, 5400, 0)), STEP_S)
"""Bands of half an hour: 0, 1, 0."""


def rows(meter: int, *readings: tuple[int, int, int]) -> Rows:
    """Return readings of a meter given as (captured_at_s, import, export)."""
    return rows_of([(meter, 1, at, 0, (i, e), Via.PUSH) for at, i, e in readings])


def evenly(meter: int, *, without: Sequence[int] = (), slope: int = 10) -> Rows:
    """Return readings of a register that rises by ``slope`` a step and exports 1 a step."""
    return rows(
        meter, *((at, at // STEP_S * slope, at // STEP_S) for at in range(0, 5401, STEP_S)
                 if at not in without)
    )  # fmt: skip


def asked(place: Place, parts: Sequence[Rows], question: UsageQuestion = QUESTION) -> Usage:
    """Return what a store with these rows answers; its reader must answer alike."""
    with closing(place.open()) as store:
        if parts:
            store.put(Rows.concatenate(parts), {}, 1)
        answer = store.usage(question)
    with closing(place.reader()) as reader:
        assert isinstance(reader, UsageReader)
        again = reader.usage(question)
    assert told(again) == told(answer)
    assert standing(again) == standing(answer)
    assert again.standing.estimated.tolist() == answer.standing.estimated.tolist()
    return answer


def told(answer: Usage) -> list[tuple[int, ...]]:
    """Return the energy as (meter, band, import, export)."""
    columns = (getattr(answer.energy, name).tolist() for name in answer.energy.TYPES)
    return list(zip(*columns, strict=True))


def standing(answer: Usage) -> list[tuple[int, ...]]:
    """Return the standing as (meter, readings, from_s, to_s, fell_at_s)."""
    names = list(answer.standing.TYPES)[:-1]
    columns = (getattr(answer.standing, name).tolist() for name in names)
    return list(zip(*columns, strict=True))


def test_energy_goes_to_the_band_of_its_window(place: Place) -> None:
    answer = asked(place, [evenly(3), evenly(70_000, slope=7)])
    assert told(answer) == [
        (3, 0, 40, 4),
        (3, 1, 20, 2),
        (70_000, 0, 28, 4),
        (70_000, 1, 14, 2),
    ]
    assert standing(answer) == [(3, 7, 0, 5400, NEVER), (70_000, 7, 0, 5400, NEVER)]


def test_what_lies_outside_the_windows_counts_for_nothing(place: Place) -> None:
    outside = rows(3, (6300, 5000, 5000))
    assert told(asked(place, [evenly(3), outside])) == [(3, 0, 40, 4), (3, 1, 20, 2)]


def test_a_missing_reading_between_bounds_changes_nothing_but_the_count(place: Place) -> None:
    answer = asked(place, [evenly(3, without=[900])])
    assert told(answer) == [(3, 0, 40, 4), (3, 1, 20, 2)]
    assert standing(answer) == [(3, 6, 0, 5400, NEVER)]


def test_energy_over_a_missing_bound_is_prorated_by_time(place: Place) -> None:
    # From 900 s to 4500 s the register rises by 100, evenly: at 1800 s by 25, at 3600 s by 75.
    readings = [(0, 0, 0), (900, 1, 0), (4500, 101, 7), (5400, 102, 9)]
    answer = asked(place, [rows(3, *readings), evenly(4)])
    # Whole watt-hours: of the exported 7, 1 has flowed at 1800 s and 5 at 3600 s.
    assert told(answer)[:2] == [(3, 0, 1 + 25 + 25 + 1, 1 + 2 + 2), (3, 1, 50, 4)]
    assert told(answer)[2:] == [(4, 0, 40, 4), (4, 1, 20, 2)]
    assert standing(answer) == [(3, 4, 0, 5400, NEVER), (4, 7, 0, 5400, NEVER)]


def test_readings_outside_prorate_the_ends(place: Place) -> None:
    readings = rows(3, (0, 0, 0), (3600, 40, 4), (7200, 80, 8))
    question = UsageQuestion((Window(1800, 5400, 0),), STEP_S)
    answer = asked(place, [readings], question)
    assert told(answer) == [(3, 0, 40, 4)]
    assert standing(answer) == [(3, 1, 1800, 5400, NEVER)]


def test_readings_beyond_the_margin_prorate_nothing_however_long_the_steps(place: Place) -> None:
    day_s = 86_400
    readings = [rows(m, (-day_s, 0, 0), (day_s, 40, 0), (5 * day_s, 80, 0)) for m in (3, 4)]
    question = UsageQuestion((Window(0, 3 * day_s, 0),), day_s)
    answer = asked(place, readings, question)
    assert told(answer) == [(3, 0, 20, 0), (4, 0, 20, 0)]
    assert standing(answer) == [(3, 1, 0, day_s, NEVER), (4, 1, 0, day_s, NEVER)]


def test_without_readings_at_the_ends_the_standing_says_from_when_to_when(place: Place) -> None:
    answer = asked(place, [evenly(3, without=[0, 5400])])
    assert told(answer) == [(3, 0, 20, 2), (3, 1, 20, 2)]
    assert standing(answer) == [(3, 5, 900, 4500, NEVER)]


@pytest.mark.parametrize("without", [[], [1800]], ids=["all bounds", "a bound missing"])
@pytest.mark.parametrize("column", [1, 2], ids=["import", "export"])
def test_a_register_that_falls_is_told_with_its_time(
    place: Place, without: list[int], column: int
) -> None:
    readings = [[at, at // 90, at // 90] for at in range(0, 5401, 900) if at not in without]
    at = next(i for i, reading in enumerate(readings) if reading[0] == 4500)
    readings[at][column] = 1
    falling = rows(3, *((t, i, e) for t, i, e in readings))
    answer = asked(place, [falling, evenly(4)])
    assert [(line[0], line[-1]) for line in standing(answer)] == [(3, 4500), (4, NEVER)]


def test_the_first_fall_is_told_across_chunks(place: Place) -> None:
    day_s = 86_400
    windows = tuple(Window(day * day_s, (day + 1) * day_s, 0) for day in range(4))
    values = [(day_s * n // 2, value, 0) for n, value in enumerate([1, 2, 3, 2, 5, 4, 7, 8, 9])]
    answer = asked(place, [rows(3, *values)], UsageQuestion(windows, day_s // 2))
    assert standing(answer) == [(3, 9, 0, 4 * day_s, day_s * 3 // 2)]


def test_a_fall_over_a_missing_reading_between_chunks_is_told(place: Place) -> None:
    day_s = 86_400
    windows = tuple(Window(day * day_s, (day + 1) * day_s, 0) for day in range(2))
    readings = rows(3, (0, 5, 0), (day_s // 2, 9, 0), (day_s * 3 // 2, 8, 0), (day_s * 2, 10, 0))
    answer = asked(place, [readings], UsageQuestion(windows, day_s // 2))
    assert standing(answer) == [(3, 4, 0, 2 * day_s, day_s * 3 // 2)]


@pytest.mark.parametrize("ends", [1, 100])
@pytest.mark.parametrize(
    ("missing", "before", "after"),
    [
        # A bound at 30 and readings around it that lie further away than is looked at first.
        (range(30, 37), 29, 37),
        (range(23, 31), 22, 31),
        (range(20, 41), 19, 41),
    ],
)
def test_the_readings_next_to_a_bound_count_however_far_they_are(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    missing: range,
    before: int,
    after: int,
    ends: int,
) -> None:
    monkeypatch.setattr(usage_query, "_ENDS_MAX", ends)
    squares = [(at, at * at, at) for at in range(61) if at not in missing]
    late = [(at, at * at, at) for at in range(21, 51)]
    early = [(at, at * at, at) for at in range(10, 39)]
    question = UsageQuestion((Window(10, 30, 0), Window(30, 50, 1)), 1, margin_s=5)
    answer = asked(place, [rows(3, *squares), rows(4, *late), rows(5, *early)], question)
    at_30 = before**2 + (after**2 - before**2) * (30 - before) // (after - before)
    assert told(answer) == [
        (3, 0, at_30 - 100, 20),
        (3, 1, 2500 - at_30, 20),
        (4, 0, 900 - 21**2, 9),
        (4, 1, 2500 - 900, 20),
        (5, 0, 900 - 100, 20),
        (5, 1, 38**2 - 900, 8),
    ]
    assert [line[2:4] for line in standing(answer)] == [(10, 50), (21, 50), (10, 38)]


def test_a_meter_that_came_later_is_counted_from_its_first_reading(place: Place) -> None:
    day_s = 86_400
    windows = tuple(Window(day * day_s, (day + 1) * day_s, day) for day in range(3))
    question = UsageQuestion(windows, day_s)
    old = rows(3, *((day * day_s, day * 5, 0) for day in range(4)))
    new = rows(1, *((day * day_s, day * 5, 0) for day in range(2, 4)))
    answer = asked(place, [old, new], question)
    assert told(answer) == [
        (1, 0, 0, 0), (1, 1, 0, 0), (1, 2, 5, 0), (3, 0, 5, 0), (3, 1, 5, 0), (3, 2, 5, 0),
    ]  # fmt: skip
    assert standing(answer) == [
        (1, 2, 2 * day_s, 3 * day_s, NEVER),
        (3, 4, 0, 3 * day_s, NEVER),
    ]


def test_the_ends_of_windows_without_a_reading_are_counted(place: Place) -> None:
    lacking = [[], [900], [1800], [1800, 3600], [0, 3600]]
    answer = asked(place, [evenly(n, without=without) for n, without in enumerate(lacking)])
    assert answer.standing.estimated.tolist() == [0, 0, 2, 4, 3]


def test_only_the_meters_asked_for(place: Place) -> None:
    question = replace(QUESTION, meters=(4, 6))
    answer = asked(place, [evenly(n) for n in (3, 4, 5, 6)], question)
    assert {line[0] for line in told(answer)} == {4, 5}
    assert [line[0] for line in standing(answer)] == [4, 5]


def test_a_row_twice_in_place_of_another_is_not_taken_for_it(place: Place) -> None:
    with closing(place.open()) as store:
        store.put(evenly(3, without=[1800]), {}, 1)
    place.tamper(
        *(["DROP INDEX readings_once"] if place.address.startswith("postgresql") else []),
        "INSERT INTO readings SELECT * FROM readings WHERE captured_at = 3600",
    )
    with closing(place.reader()) as reader:
        assert isinstance(reader, UsageReader)
        assert told(reader.usage(QUESTION)) == [(3, 0, 40, 4), (3, 1, 20, 2)]


def test_an_empty_store_answers_nothing(place: Place) -> None:
    answer = asked(place, [])
    assert told(answer) == []
    assert standing(answer) == []


def test_an_unknown_register_is_refused_by_name(place: Place) -> None:
    with closing(place.open()) as store, pytest.raises(ValueError, match="'heat_wh'"):
        store.usage(replace(QUESTION, imported="heat_wh"))


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ((), "0 windows"),
        ((Window(0, 0, 0),), "ends after"),
        ((Window(0, 9, -1),), "0 or more"),
        ((Window(0, 9, 0), Window(10, 11, 0)), "each window begins"),
    ],
)
def test_windows_without_sense_are_refused(windows: tuple[Window, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        UsageQuestion(windows, STEP_S)


CAPTURES = 60
MARGIN = 12


@settings(max_examples=80, deadline=None)
@given(
    rises=st.lists(st.integers(0, 1000), min_size=CAPTURES, max_size=CAPTURES),
    kept=st.lists(st.sets(st.integers(0, CAPTURES), min_size=1), min_size=1, max_size=3),
    gap=st.tuples(st.integers(0, CAPTURES), st.integers(0, CAPTURES)),
    cuts=st.sets(st.integers(16, 44), max_size=4),
    step=st.integers(1, 2),
)
def test_whatever_is_missing_the_register_rises_evenly_between_readings(
    rises: list[int], kept: list[set[int]], gap: tuple[int, int], cuts: set[int], step: int
) -> None:
    """Captures 0..60 a second apart; the windows lie within 15..45, the margin reaches 3..57."""
    register = np.concatenate([[0], np.cumsum(rises)])
    rows = [(m, at) for m, places in enumerate(kept) for at in sorted(places)]
    # One that has all but one long gap.
    rows += [(9, at) for at in range(CAPTURES + 1) if not min(gap) <= at <= max(gap)]
    edges = sorted({15, 45, *cuts})
    windows = tuple(Window(a, b, i % 2) for i, (a, b) in enumerate(pairwise(edges)))
    question = UsageQuestion(windows, step, margin_s=MARGIN)
    with duckdb.connect() as session:
        session.execute(
            "CREATE TABLE readings (meter UINTEGER, profile UTINYINT, captured_at BIGINT, "
            "stored_at BIGINT, import_wh UINTEGER, export_wh UINTEGER)"
        )
        lines = ", ".join(f"({m}, 1, {at}, 0, {register[at]}, {at})" for m, at in rows)
        session.execute(f"INSERT INTO readings VALUES {lines or '(99, 2, 0, 0, 0, 0)'}")
        answer = usage(
            lambda query, names: session.execute(query).fetchnumpy(), question, REGISTERS
        )
    expected = []
    for meter in sorted({m for m, at in rows if 15 <= at <= 45}):
        mine = [at for m, at in rows if m == meter and 15 - MARGIN <= at <= 45 + MARGIN]
        sums = {window.band: 0 for window in windows}
        for window in windows:
            begin, end = (_register(mine, register, at) for at in (window.from_s, window.to_s))
            sums[window.band] += end - begin
        expected += [(meter, band, wh) for band, wh in sorted(sums.items())]
    assert [line[:3] for line in told(answer)] == expected
    inside = [sum(m == meter and 15 <= at <= 45 for m, at in rows) for meter in (0, 1, 2, 9)]
    assert answer.standing.readings.tolist() == [count for count in inside if count]


def _register(places: list[int], register: np.ndarray, at: int) -> int:
    """Return a register at a moment: as at the first or last reading where there is no other."""
    at = min(max(at, places[0]), places[-1])
    before = max(place for place in places if place <= at)
    after = min(place for place in places if place >= at)
    rise = int(register[after] - register[before])
    return int(register[before]) + (rise * (at - before) // (after - before) if rise else 0)
