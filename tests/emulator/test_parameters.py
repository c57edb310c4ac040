"""What a scenario may say about grid and behaviour, and what it is told when it may not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.parameters import (
    WHOLE_PPM,
    BehaviourParameters,
    GridParameters,
    apportion,
    band_quarters,
    first_step_s,
)


def test_the_number_of_stations_is_all_a_scenario_must_say() -> None:
    grid = GridParameters(transformer_stations=1)
    assert [link.profile for link in grid.links] == ["seed-1", "seed-2", "seed-3", "seed-4"]
    assert grid.protocols.dlms == WHOLE_PPM


def test_a_dumped_model_loads_again() -> None:
    grid = GridParameters(transformer_stations=3)
    assert GridParameters.model_validate_json(grid.model_dump_json()) == grid
    behaviour = BehaviourParameters()
    assert BehaviourParameters.model_validate_json(behaviour.model_dump_json()) == behaviour


@pytest.mark.parametrize("model", [GridParameters, BehaviourParameters])
def test_every_field_of_the_schema_is_described(
    model: type[GridParameters] | type[BehaviourParameters],
) -> None:
    schema = model.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            assert field.get("description"), name


SIZE = {"name": "a", "meters": [1, 2], "share": "100 %"}
PATTERN = {"name": "a", "source": "bdew:h0", "share": "100 %"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer_stations": 0}, "greater than or equal to 1"),
        ({"transformer_stations": 200_001}, "less than or equal to 200000"),
        ({"meterz": 5}, "Extra inputs are not permitted"),
        ({"sizes": [SIZE | {"share": "90 %"}]}, "the shares in sizes sum to 90 %, not to 100 %"),
        ({"sizes": [SIZE, SIZE]}, "the shares in sizes sum to 200 %"),
        ({"sizes": [SIZE | {"meters": [5, 2]}]}, "5 is above 2"),
        ({"sizes": [SIZE | {"meters": [-5, 2]}]}, "greater than or equal to 1"),
        ({"sizes": [SIZE], "meters": 21}, "10 stations of these sizes hold 10 to 20"),
        ({"patterns": [PATTERN | {"source": "bdew:h26"}]}, '"bdew:h26" is no consumption'),
        ({"patterns": [PATTERN | {"source": "sun:50.0"}]}, "is no consumption pattern"),
        ({"patterns": [PATTERN | {"export": "bdew:p25"}]}, "consumption only"),
        ({"patterns": [PATTERN | {"export": "sun:90.0"}]}, "-66.0 to 66.0"),
        ({"patterns": [PATTERN | {"values": [1] * 96}]}, "either a source or 96 values"),
        ({"patterns": [{"name": "a", "share": "100 %"}]}, "either a source or 96 values"),
        ({"patterns": [PATTERN | {"source": None, "values": [1] * 95}]}, "at least 96 items"),
        ({"patterns": [PATTERN | {"source": None, "values": [0] * 96}]}, "all zero"),
        ({"patterns": [PATTERN | {"annual": ["5 kWh", "1 kWh"]}]}, "5000 is above 1000"),
        ({"patterns": [PATTERN | {"annual": ["5 kWh", "2000 MWh"]}]}, "less than or equal to"),
        ({"tariffs": [{"name": "a", "high": ["6-22"], "share": "100 %"}]}, "no time band"),
        (
            {"tariffs": [{"name": "a", "high": ["06:00-12:00", "11:45-13:00"], "share": "100 %"}]},
            'the bands of tariff "a" overlap',
        ),
        ({"protocols": {"dlms": "50 %"}}, "dlms and c12 sum to 50 %"),
        ({"protocols": {"dlms": 1}}, "a unit is missing"),
    ],
)
def test_an_impossible_grid_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        GridParameters.model_validate({"transformer_stations": 10, **changes})
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "greater than or equal to 1"),
        ({"step": "7 min"}, "whole seconds that divide the day"),
        ({"step": "100 ms"}, "whole seconds that divide the day"),
        ({"step": "1 d", "steps": 1099}, "1,099 days: the most is 1,098"),
        ({"step": "1 d", "steps": 1098, "preloaded": 1}, "1,099 days: the most is 1,098"),
        ({"preloaded": -1}, "greater than or equal to 0"),
        ({"first": "yesterday"}, 'neither "auto" nor an ISO 8601'),
        ({"first": "2026-03-02T00:00:00"}, "needs whole seconds and an offset"),
        ({"utc_offset": "CET"}, '"CET" is no offset from UTC'),
        ({"meters": [{"name": "a", "share": "20 %"}]}, "the shares in meters sum to 20 %"),
        (
            {
                "meters": [
                    {"name": "a", "share": "100 %", "reachable": "5 %", "windows_per_day": 97}
                ]
            },
            '97 windows a day in meters "a", but a day has 96 steps',
        ),
    ],
)
def test_an_impossible_behaviour_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        BehaviourParameters.model_validate(changes)
    assert message in str(refusal.value)


def test_a_step_longer_than_the_default_windows_is_possible() -> None:
    assert BehaviourParameters.model_validate({"step": "12 h", "steps": 2}).steps_per_day == 2


@given(
    total=st.integers(0, 10**7),
    cuts=st.lists(st.integers(0, WHOLE_PPM), max_size=6).map(sorted),
)
def test_shares_are_met_exactly(total: int, cuts: list[int]) -> None:
    bounds = [0, *cuts, WHOLE_PPM]
    shares = [high - low for low, high in pairwise(bounds)]
    counts = apportion(total, shares)
    assert sum(counts) == total
    for count, share in zip(counts, shares, strict=True):
        assert abs(count * WHOLE_PPM - total * share) < WHOLE_PPM


def test_thirty_percent_of_a_thousand_is_three_hundred() -> None:
    assert apportion(1000, [300_000, 700_000]) == [300, 700]
    assert apportion(3, [500_000, 500_000]) == [2, 1]


@pytest.mark.parametrize(
    ("band", "quarters"),
    [
        ("00:00-24:00", list(range(96))),
        ("06:00-06:30", [24, 25]),
        ("23:45-00:15", [95, 0]),
        ("23:45-00:00", [95]),
    ],
)
def test_a_band_is_a_list_of_quarter_hours(band: str, quarters: list[int]) -> None:
    assert band_quarters(band) == quarters


def test_an_empty_band_is_refused() -> None:
    with pytest.raises(ValueError, match="is empty"):
        band_quarters("06:00-06:00")


def test_a_named_first_step_is_taken_as_written() -> None:
    behaviour = BehaviourParameters(first="2026-03-02T00:00:00+01:00")
    assert first_step_s(behaviour, now_s=0.0) == 1_772_406_000


@given(
    now_s=st.floats(1.5e9, 2.5e9),
    steps=st.integers(1, 1000),
    step_s=st.sampled_from([60, 900, 3600, 86_400]),
    offset=st.sampled_from(["+01:00", "-03:30", "+05:45", "+00:00"]),
)
def test_an_automatic_first_step_puts_the_last_one_before_now(
    now_s: float, steps: int, step_s: int, offset: str
) -> None:
    behaviour = BehaviourParameters.model_validate(
        {"steps": steps, "step": f"{step_s} s", "utc_offset": offset}
    )
    first_s = first_step_s(behaviour, now_s)
    last_s = first_s + (steps - 1) * step_s
    assert step_s <= now_s - last_s < 2 * step_s + 1
    assert (first_s + behaviour.utc_offset_s) % step_s == 0
